// Caches without a server, and files to move their entries by.
#pragma once

#include <valkeycache/transfer.hpp>

#include <algorithm>
#include <atomic>
#include <fstream>
#include <optional>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

// A store that nobody else uses.
inline ValkeyCache empty_cache(ValkeyCacheOptions options = {}) {
  static std::atomic<int> made{0};
  options.connect_timeout = options.command_timeout = patience;
  return ValkeyCache::open("memory://transfer" + std::to_string(++made), std::move(options))
      .value();
}

inline CacheKey key_of(const std::string& text, std::vector<std::string> namespaces = {"ns"}) {
  return CacheKey::raw(std::move(namespaces), text).value();
}

inline std::vector<std::string> lines_of(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  std::vector<std::string> lines;
  for (std::string line; std::getline(file, line);) lines.push_back(line);
  return lines;
}

inline void write_lines(const std::string& path, const std::vector<std::string>& lines) {
  std::ofstream file(path, std::ios::binary | std::ios::trunc);
  for (const auto& line : lines) file << line << '\n';
}

inline const std::string secret(32, 's');

// What every report says of itself.
inline testing::AssertionResult sums(const ImportReport& r) {
  std::uint64_t faults = 0;
  for (const auto& [fault, count] : r.faults) faults += count;
  const auto all = r.stored + r.present + r.rejected + r.failed;
  if (all == r.entries && faults == r.rejected) return testing::AssertionSuccess();
  return testing::AssertionFailure() << all << " of " << r.entries << " entries, " << faults
                                     << " of " << r.rejected << " faults";
}

inline std::uint64_t count_of(const ImportReport& r, LineFault fault) {
  for (const auto& [kind, count] : r.faults) {
    if (kind == fault) return count;
  }
  return 0;
}

class Transfer : public testing::Test {
 protected:
  [[nodiscard]] std::string file(const std::string& name = "entries.ndjson") const {
    return folder_.path() + "/" + name;
  }
  // "key0", "key1", … with these values.
  static void fill(const ValkeyCache& cache, int count) {
    for (int i = 0; i < count; ++i) {
      ASSERT_TRUE(
          ok(cache.set(key_of("key" + std::to_string(i)), "value" + std::to_string(i)).get()));
    }
  }
  static std::optional<std::string> value_of(const ValkeyCache& cache, const CacheKey& key) {
    return cache.get(key).get().value();
  }

  TemporaryFolder folder_;
};

}  // namespace valkeycache::test
