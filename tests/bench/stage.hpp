// What the benchmarks share: a server of their own, entries in it, and their names as both sides
// want them.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <cstddef>
#include <optional>
#include <stdexcept>
#include <string>
#include <vector>

#include "bench/bench.hpp"
#include "bench/raw.hpp"
#include "support/valkey/valkey_server.hpp"

namespace valkeycache::bench {

// Entries of one size, stored at construction.
class Entries {
 public:
  Entries(const ValkeyCache& cache, std::size_t count, std::size_t bytes);

  [[nodiscard]] std::size_t count() const noexcept { return keys_.size(); }
  [[nodiscard]] std::size_t bytes() const noexcept { return bytes_; }
  // Round and round.
  [[nodiscard]] const CacheKey& key(std::size_t i) const { return keys_[i % keys_.size()]; }
  [[nodiscard]] const std::string& wire_key(std::size_t i) const {
    return wire_keys_[i % keys_.size()];
  }
  [[nodiscard]] const RawCommand& raw_get(std::size_t i) const { return gets_[i % keys_.size()]; }

  [[nodiscard]] bool is_hit(const Result<std::optional<std::string>>& result) const {
    return result.has_value() && *result && (*result)->size() == bytes_;
  }
  // A hit, or the benchmark is void.
  void require_hit(const Result<std::optional<std::string>>& result) const {
    if (!is_hit(result)) fail(result);
  }

 private:
  [[noreturn]] static void fail(const Result<std::optional<std::string>>& result);

  std::size_t bytes_;
  std::vector<CacheKey> keys_;
  std::vector<std::string> wire_keys_;
  std::vector<RawCommand> gets_;
};

class Stage {
 public:
  explicit Stage(Options options) : options_(std::move(options)) {}

  [[nodiscard]] const Options& options() const noexcept { return options_; }
  [[nodiscard]] const test::ValkeyServer& server() const noexcept { return server_; }
  // A cache with the default options, connected.
  [[nodiscard]] ValkeyCache open(ValkeyCacheOptions options = {}) const;
  [[nodiscard]] Raw raw() const { return Raw(server_.port()); }

 private:
  Options options_;
  test::ValkeyServer server_;
};

}  // namespace valkeycache::bench
