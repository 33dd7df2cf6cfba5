// memory://: an in-process store that behaves as the real one does.
#include <atomic>
#include <thread>

#include "contract.hpp"
#include "support/valkey/gate.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

using Found = std::optional<std::string>;

class Memory : public testing::Test {
 protected:
  [[nodiscard]] static std::string uri() {
    std::string name = unique_prefix();
    std::erase(name, ':');
    return "memory://" + name;
  }
  // Time that passes when the test says so. Shared, since a store may outlive the test's body.
  using Clock = std::atomic<std::chrono::steady_clock::rep>;
  std::shared_ptr<Clock> passed = std::make_shared<Clock>(0);
  void let_pass(std::chrono::steady_clock::duration time) const { *passed += time.count(); }
  [[nodiscard]] ValkeyCacheOptions with_clock() const {
    auto options = patient_options();
    options.clock = [passed = this->passed] {
      return std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(*passed));
    };
    return options;
  }
};

TEST_F(Memory, StoresAreSharedByName) {
  const auto a = ValkeyCache::open(uri(), patient_options()).value();
  const auto b = ValkeyCache::open(uri(), patient_options()).value();
  const auto c = ValkeyCache::open(uri() + "-other", patient_options()).value();
  ASSERT_TRUE(ok(a.set(key_of("k"), "v").get()));
  EXPECT_EQ(b.get(key_of("k")).get().value(), Found("v"));
  EXPECT_EQ(c.get(key_of("k")).get().value(), std::nullopt);
}

TEST_F(Memory, TheInjectedClockDecides) {
  const auto cache = ValkeyCache::open(uri(), with_clock()).value();
  ASSERT_TRUE(ok(cache.set(key_of("short"), "v", 10s).get()));
  ASSERT_TRUE(ok(cache.set(key_of("long"), "v", 1h).get()));
  ASSERT_TRUE(ok(cache.set(key_of("forever"), "v").get()));
  EXPECT_EQ(cache.ttl(key_of("short")).get().value()->duration(), 10s);
  let_pass(4s);
  EXPECT_EQ(cache.ttl(key_of("short")).get().value()->duration(), 6s);
  let_pass(5999ms);
  EXPECT_EQ(cache.get(key_of("short")).get().value(), Found("v"));
  let_pass(1ms);
  EXPECT_EQ(cache.get(key_of("short")).get().value(), std::nullopt);
  EXPECT_EQ(cache.ttl(key_of("short")).get().value(), std::nullopt);
  EXPECT_FALSE(cache.erase(key_of("short")).get().value());
  EXPECT_FALSE(cache.touch(key_of("short"), 1h).get().value());
  EXPECT_EQ(cache.get(key_of("long")).get().value(), Found("v"));
  let_pass(24h * 365);
  EXPECT_EQ(cache.get(key_of("long")).get().value(), std::nullopt);
  EXPECT_EQ(cache.get(key_of("forever")).get().value(), Found("v"));
}

TEST_F(Memory, WhatHasExpiredIsAbsent) {
  const auto cache = ValkeyCache::open(uri(), with_clock()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "old", 10s).get()));
  let_pass(10s);
  EXPECT_FALSE(cache.erase_if(key_of("k"), "old").get().value());
  EXPECT_FALSE(cache.expire_if(key_of("k"), "old", 10s).get().value());
  EXPECT_TRUE(cache.set_if_absent(key_of("k"), "new", 10s).get().value());
  EXPECT_EQ(cache.get(key_of("k")).get().value(), Found("new"));
  ASSERT_TRUE(ok(cache.set(key_of("gone"), "v", 5s).get()));
  let_pass(5s);
  EXPECT_EQ(cache.clear().get().value(), 1U) << "what has expired is not counted";
}

TEST_F(Memory, TouchCountsFromNow) {
  const auto cache = ValkeyCache::open(uri(), with_clock()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v", 10s).get()));
  let_pass(9s);
  EXPECT_TRUE(cache.touch(key_of("k"), 10s).get().value());
  let_pass(9s);
  EXPECT_EQ(cache.ttl(key_of("k")).get().value()->duration(), 1s);
}

TEST_F(Memory, CompletesOnAnotherThread) {
  const auto cache = ValkeyCache::open(uri(), patient_options()).value();
  // Continuations that were attached in time run on the library's thread, never inside the call.
  bool elsewhere = false;
  for (int i = 0; i < 10000 && !elsewhere; ++i) {
    Gate done;
    std::thread::id where;
    (void)cache.get(key_of("k")).then([&](Result<Found>) {
      where = std::this_thread::get_id();
      done.open();
    });
    ASSERT_TRUE(done.wait());
    elsewhere = where != std::this_thread::get_id();
  }
  EXPECT_TRUE(elsewhere);
}

TEST_F(Memory, NeedsNoServerAndNoPort) {
  auto options = patient_options();
  options.host = "no-such-host.invalid";
  options.port = 1;
  const auto cache = ValkeyCache::open(uri(), options).value();
  EXPECT_TRUE(ok(cache.ping().get()));
}

}  // namespace
