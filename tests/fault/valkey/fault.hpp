// What the fault tests share.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/fake_server.hpp"
#include "support/valkey/gate.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

using Found = std::optional<std::string>;
using SteadyClock = std::chrono::steady_clock;

// What a log hook was told. Copies share the record.
class LogRecords {
 public:
  [[nodiscard]] LogHook hook() const {
    return [kept = kept_](const LogRecord& record) {
      const std::lock_guard lock(kept->mutex);
      kept->lines.push_back(std::string(record.component) + ": " + std::string(record.message));
      kept->levels.push_back(record.level);
    };
  }
  [[nodiscard]] std::vector<std::string> lines() const {
    const std::lock_guard lock(kept_->mutex);
    return kept_->lines;
  }
  [[nodiscard]] bool hold(const std::string& text) const {
    for (const auto& line : lines()) {
      if (line.find(text) != std::string::npos) return true;
    }
    return false;
  }

 private:
  struct Kept {
    std::mutex mutex;
    std::vector<std::string> lines;
    std::vector<LogLevel> levels;
  };
  std::shared_ptr<Kept> kept_ = std::make_shared<Kept>();
};

// Options with which nothing times out by itself, and which come back quickly.
inline ValkeyCacheOptions patient() {
  ValkeyCacheOptions options;
  options.connect_timeout = patience;
  options.command_timeout = patience;
  options.reconnect_base = std::chrono::milliseconds(1);
  options.reconnect_cap = std::chrono::milliseconds(20);
  return options;
}

inline CacheKey key_of(const std::string& text, std::vector<std::string> namespaces = {"test"}) {
  return CacheKey::raw(std::move(namespaces), text).value();
}

// A generous upper bound for what should take a moment.
inline constexpr std::chrono::seconds a_moment{10};

}  // namespace valkeycache::test
