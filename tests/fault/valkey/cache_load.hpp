// Callers that keep a cache busy while something happens to its servers, and what they saw.
#pragma once

#include <valkeycache/cached_llm.hpp>

#include <algorithm>
#include <atomic>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "fault.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::test {

inline ValkeyCacheOptions hurried() {
  ValkeyCacheOptions options;
  options.connect_timeout =
      sanitized ? std::chrono::milliseconds(2000) : std::chrono::milliseconds(500);
  options.command_timeout = options.connect_timeout;
  options.reconnect_base = std::chrono::milliseconds(5);
  options.reconnect_cap = std::chrono::milliseconds(100);
  return options;
}

// Every value says which key it belongs to, every answer which question.
class CacheLoad {
 public:
  CacheLoad(const std::string& uri, ValkeyCacheOptions options)
      : cache_(ValkeyCache::open(uri, with_own_prefix(std::move(options))).value()),
        llm_(cache_, make_text_llm({.model = "backwards-1", .scope = "local"},
                                   [](const ChatRequest& request) {
                                     auto text =
                                         request.as_triple().value_or(ChatRequest::Triple{}).prompt;
                                     std::reverse(text.begin(), text.end());
                                     return text;
                                   })) {
    threads_.emplace_back([this] { call_directly(0); });
    threads_.emplace_back([this] { call_directly(1); });
    threads_.emplace_back([this] { ask(); });
  }
  ~CacheLoad() { stop(); }
  CacheLoad(const CacheLoad&) = delete;
  CacheLoad& operator=(const CacheLoad&) = delete;

  [[nodiscard]] const ValkeyCache& cache() const { return cache_; }
  void stop() {
    stopping_ = true;
    for (auto& thread : threads_) thread.join();
    threads_.clear();
  }
  // So many calls of each kind more have ended.
  void go_on(int calls) const {
    const int direct = good_ + failed_ + calls;
    const int asked = answered_ + unanswered_ + calls;
    EXPECT_TRUE(wait_until([&] {
      return good_ + failed_ >= direct && answered_ + unanswered_ >= asked;
    })) << "the callers do not get on";
  }
  // When the servers take every key from somebody else they have recovered. The same has to be so
  // here within a second; another one is for what a busy machine adds.
  using Taken = std::function<bool(const std::string& wire_key, const std::string& value)>;
  void expect_recovery_after(const Taken& taken) const {
    ASSERT_TRUE(wait_until([&] {
      for (int i = 0; i < keys; ++i) {
        if (!taken(cache_.wire_key(key(i)), value(i))) return false;
      }
      return true;
    })) << "the servers do not recover";
    const auto recovered = SteadyClock::now();
    EXPECT_TRUE(wait_until([&] { return all_well(); }));
    const auto later = SteadyClock::now() - recovered;
    ::testing::Test::RecordProperty("recovery_ms",
                                    static_cast<int>(later / std::chrono::milliseconds(1)));
    if (!sanitized) {
      EXPECT_LT(later, std::chrono::seconds(2)) << "beyond the servers' own time";
    }
  }
  // Every key can be written and read. In little time: what began too early is to end soon.
  [[nodiscard]] bool all_well() const {
    const CallOptions soon{.timeout = std::chrono::milliseconds(200)};
    std::vector<Future<void>> stores;
    for (int i = 0; i < keys; ++i) stores.push_back(cache_.set(key(i), value(i), {}, soon));
    bool well = true;
    for (auto& store : stores) well = store.get().has_value() && well;
    for (int i = 0; well && i < keys; ++i) {
      const auto found = cache_.get(key(i), soon).get();
      well = found && *found == Found(value(i));
    }
    return well;
  }

  // What others write is what is read, once the push about it has come.
  void expect_coherence(const std::string& uri) {
    stop();
    auto options = patient();
    options.prefix = cache_.prefix();
    const auto writer = ValkeyCache::open(uri, options).value();
    for (int i = 0; i < keys; ++i) {
      EXPECT_TRUE(wait_until([&] {
        (void)cache_.get(key(i)).get();
        return static_cast<bool>(cache_.find_near(key(i)));
      }));
      ASSERT_TRUE(ok(writer.set(key(i), "new").get()));
      EXPECT_TRUE(wait_until([&] {
        const auto found = cache_.get(key(i)).get();
        return found && *found == Found("new");
      }));
    }
    EXPECT_EQ(cache_.stats().near_coherence, NearCoherence::tracking);
  }
  void expect_nothing_wrong() {
    stop();
    EXPECT_EQ(wrong_, 0) << "values of other keys, such as: " << wrong_value_;
    EXPECT_EQ(unanswered_, 0) << "calls of CachedLlm that were not answered";
    EXPECT_GT(good_, 0);
    EXPECT_GT(answered_, 0);
  }
  [[nodiscard]] int failed() const { return failed_; }

 private:
  static constexpr int keys = 60;
  static CacheKey key(int i) { return key_of("load" + std::to_string(i)); }
  static std::string value(int i) { return "value of " + std::to_string(i); }

  // What a test before this one has left is none of its business.
  static ValkeyCacheOptions with_own_prefix(ValkeyCacheOptions options) {
    static std::atomic<int> made{0};
    options.prefix = "load" + std::to_string(++made) + ":";
    return options;
  }
  void tell_wrong(const std::string& value) {
    const std::lock_guard lock(mutex_);
    ++wrong_;
    wrong_value_ = value;
  }

  void call_directly(int first) {
    for (int i = first; !stopping_; i = (i + 7) % keys) {
      const auto stored = cache_.set(key(i), value(i)).get();
      const auto found = cache_.get(key(i)).get();
      if (found && *found && **found != value(i)) tell_wrong(**found);
      ++(stored && found ? good_ : failed_);
    }
  }
  void ask() {
    for (int i = 0; !stopping_; ++i) {
      std::string question = "question " + std::to_string(i % 100);
      const auto answer = llm_.ask(question).get();
      if (!answer) {
        ++unanswered_;
        continue;
      }
      std::reverse(question.begin(), question.end());
      if (answer->response != question) tell_wrong(answer->response);
      ++answered_;
    }
  }

  ValkeyCache cache_;
  CachedLlm llm_;
  std::mutex mutex_;
  std::string wrong_value_;  // the last one
  std::atomic<bool> stopping_{false};
  std::atomic<int> good_{0}, failed_{0}, wrong_{0}, answered_{0}, unanswered_{0};
  std::vector<std::thread> threads_;
};

}  // namespace valkeycache::test
