// Passwords that change, on a real server that wants them.
#include <atomic>
#include <mutex>
#include <stdexcept>

#include "contract.hpp"
#include "support/valkey/gate.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

const std::string secret = "hunter2-";

class Passwords : public testing::Test {
 protected:
  // Alice's, with a provider that counts and remembers what is logged.
  ValkeyCacheOptions alice(std::function<Result<Password>()> ask) {
    auto options = patient_options();
    options.username = "alice";
    options.password_provider.ask = [this, held = held_, ask = std::move(ask)] {
      ++asked_;
      const Returning returning{returned_};
      return ask();
    };
    options.log = [this](const LogRecord& record) {
      const std::lock_guard lock(mutex_);
      logged_ += std::string(record.message) + "\n";
    };
    return options;
  }
  std::string logged() {
    const std::lock_guard lock(mutex_);
    return logged_;
  }
  // Of the AUTHs that the server has seen; observers send none.
  long count_of_auth(const std::string& name) {
    const auto info = server_.command({"INFO", "commandstats"}).text;
    const auto line = info.find("cmdstat_auth:");
    if (line == info.npos) return 0;
    return std::stol(info.substr(info.find(name + "=", line) + name.size() + 1));
  }
  // Another one for Alice, and none of the earlier ones any more.
  std::string new_password() {
    const std::lock_guard lock(provider_mutex_);
    auto password = secret + std::to_string(++made_);
    server_.command({"ACL", "SETUSER", "alice", "resetpass", ">" + password});
    return password;
  }
  // A provider may still be running when its cache is gone; nothing that it uses may be.
  void TearDown() override {
    gate_.open();
    ASSERT_TRUE(wait_until([&] { return held_.use_count() == 1; }));
    EXPECT_EQ(asked_, returned_);
    EXPECT_EQ(logged().find(secret), std::string::npos) << logged();
  }

  struct Returning {
    std::atomic<int>& count;
    ~Returning() { ++count; }
  };
  std::shared_ptr<int> held_ = std::make_shared<int>();
  std::atomic<int> asked_{0};
  std::atomic<int> returned_{0};
  int made_ = 0;
  std::mutex provider_mutex_;
  std::string current_ = secret + "old";
  Gate gate_;
  std::atomic<bool> well_{false};

  std::mutex mutex_;
  std::string logged_;
  ValkeyServer server_{{.config = {"user alice on >" + secret + "old ~* +@all"}}};
};

TEST_F(Passwords, EachConnectionAsksForItsOwn) {
  const auto cache = ValkeyCache::open(server_.uri(), alice([this]() -> Result<Password> {
                                         const std::lock_guard lock(provider_mutex_);
                                         return Password{current_};
                                       }))
                         .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_EQ(asked_, 1);
  {
    const std::lock_guard lock(provider_mutex_);
    current_ = secret + "new";
  }
  server_.command({"ACL", "SETUSER", "alice", ">" + secret + "new", "<" + secret + "old"});
  // The one that stands is not disturbed.
  ASSERT_TRUE(ok(cache.get(key_of("k")).get()));
  EXPECT_EQ(asked_, 1);
  server_.command({"CLIENT", "KILL", "USER", "alice"});
  ASSERT_TRUE(wait_until([&] { return cache.stats().connects == 2; }));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), "v");
  EXPECT_EQ(asked_, 2);
  EXPECT_EQ(count_of_auth("failed_calls"), 0);
}

TEST_F(Passwords, ARefusedOneIsAskedForAgain) {
  auto options = alice([this]() -> Result<Password> {
    return Password{asked_ < 3 ? secret + "wrong" : secret + "old"};
  });
  const auto cache = ValkeyCache::open(server_.uri(), options).value();
  ASSERT_TRUE(wait_until([&] {
    const auto got = cache.get(key_of("k")).get();
    EXPECT_TRUE(got || got.error().code == ErrorCode::authentication);
    return got.has_value();
  }));
  EXPECT_EQ(asked_, 3);
}

class StandingPasswords : public Passwords, public testing::WithParamInterface<std::size_t> {};

TEST_P(StandingPasswords, LogInAgainBeforeTheirLifeEnds) {
  const auto connections = GetParam();
  auto options = alice([this]() -> Result<Password> {
    const std::lock_guard lock(provider_mutex_);
    const auto made = secret + std::to_string(++made_);
    server_.command({"ACL", "SETUSER", "alice", ">" + made});
    return Password{made, 150ms};
  });
  options.connections = connections;
  const auto cache = ValkeyCache::open(server_.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  ASSERT_TRUE(wait_until([&] {
    EXPECT_EQ(cache.get(key_of("k")).get().value(), "v");
    return count_of_auth("calls") >= static_cast<long>(4 * connections) &&
           cache.stats().connects >= connections;
  }));
  EXPECT_EQ(cache.stats().connects, connections);
  EXPECT_EQ(cache.stats().errors, 0U);
  EXPECT_EQ(count_of_auth("failed_calls"), 0);
}

INSTANTIATE_TEST_SUITE_P(Of, StandingPasswords, testing::Values(1, 3));

TEST_F(Passwords, AStandingConnectionOutlivesTheProvidersTroubles) {
  auto options = alice([this]() -> Result<Password> {
    switch (asked_) {
      case 1:
        return Password{secret + "old", 40ms};
      case 2:
        return Error{.code = ErrorCode::timeout, .message = secret};
      case 3:
        throw std::runtime_error(secret);
      case 4:
        return Password{secret + "wrong", 40ms};
      default:
        return Password{new_password(), 1h};
    }
  });
  const auto cache = ValkeyCache::open(server_.uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  ASSERT_TRUE(wait_until([&] { return count_of_auth("calls") == 3; }));
  EXPECT_EQ(cache.get(key_of("k")).get().value(), "v");
  EXPECT_EQ(cache.stats().connects, 1U);
  EXPECT_EQ(asked_, 5);
  EXPECT_EQ(count_of_auth("failed_calls"), 1);
  EXPECT_NE(logged().find("the password provider failed with timeout"), std::string::npos);
  EXPECT_NE(logged().find("threw an exception"), std::string::npos);
  EXPECT_NE(logged().find("WRONGPASS"), std::string::npos);
}

TEST_F(Passwords, AProviderThatFailsIsATypedErrorWithoutItsWords) {
  static const std::vector<std::function<Result<Password>()>> failures = {
      []() -> Result<Password> {
        return Error{.code = ErrorCode::credentials, .message = secret, .retryable = true};
      },
      []() -> Result<Password> { throw std::runtime_error(secret); },
      []() -> Result<Password> { return Password{}; },
      []() -> Result<Password> {
        return Password{secret + "old", -1ms};
      },
  };
  for (std::size_t i = 0; i < failures.size(); ++i) {
    well_ = false;
    const auto cache = ValkeyCache::open(server_.uri(), alice([this, i]() -> Result<Password> {
                                           if (well_) return Password{secret + "old"};
                                           return failures[i]();
                                         }))
                           .value();
    const auto got = cache.get(key_of("k")).get();
    ASSERT_TRUE(fails_with(got, ErrorCode::authentication)) << i;
    EXPECT_EQ(got.error().message.find(secret), std::string::npos) << got.error().message;
    EXPECT_EQ(got.error().retryable, i == 0);
    well_ = true;
    EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); })) << i;
  }
  EXPECT_EQ(count_of_auth("failed_calls"), 0);
}

TEST_F(Passwords, AProviderThatHangsHoldsUpNobody) {
  auto options = alice([this]() -> Result<Password> {
    gate_.wait();
    return Password{secret + "old"};
  });
  options.connect_timeout = 30ms;
  const auto cache = ValkeyCache::open(server_.uri(), options).value();
  const auto got = cache.get(key_of("k"), {.timeout = 100ms}).get();
  EXPECT_TRUE(fails_with(got, {ErrorCode::authentication, ErrorCode::timeout}));
  ASSERT_TRUE(wait_until([&] { return asked_ > 0 && cache.stats().connect_failures >= 2; }));
  EXPECT_EQ(asked_, 1) << "one question at a time";
  gate_.open();
  EXPECT_TRUE(wait_until([&] { return cache.get(key_of("k")).get().has_value(); }));
}

TEST_F(Passwords, OptionsThatContradictEachOther) {
  const auto ask = [] {
    return Result<Password>(Password{"x"});
  };
  auto options = alice(ask);
  options.password = secret;
  auto opened = ValkeyCache::open(server_.uri(), options);
  ASSERT_TRUE(fails_with(opened, ErrorCode::invalid_argument));
  EXPECT_NE(opened.error().message.find("password_provider"), std::string::npos);
  options = alice(ask);
  options.password_provider.needs_tls = true;
  opened = ValkeyCache::open(server_.uri(), options);
  ASSERT_TRUE(fails_with(opened, ErrorCode::invalid_argument));
  EXPECT_NE(opened.error().message.find("password_provider"), std::string::npos);
  EXPECT_TRUE(ok(ValkeyCache::open("memory://passwords", options)));
  EXPECT_EQ(asked_, 0);
}

TEST_F(Passwords, TheUrisUserNeedsNone) {
  auto options = alice([] { return Result<Password>(Password{secret + "old"}); });
  options.username.clear();
  const auto cache =
      ValkeyCache::open("valkey://alice@127.0.0.1:" + std::to_string(server_.port()), options)
          .value();
  EXPECT_TRUE(ok(cache.get(key_of("k")).get()));
}

TEST(TlsPasswords, AreAskedForOnceTheServerIsProven) {
  ValkeyServer server({.config = {"user alice on >hunter2 ~* +@all"}, .tls = true});
  const auto asked = std::make_shared<std::atomic<int>>(0);
  auto options = patient_options();
  options.username = "alice";
  options.password_provider = {.ask = [asked]() -> Result<Password> {
                                 ++*asked;
                                 return Password{"hunter2", 100ms};
                               },
                               .needs_tls = true};
  {
    const auto stranger = ValkeyCache::open(server.tls_uri(), options).value();
    EXPECT_TRUE(fails_with(stranger.get(key_of("k")).get(), ErrorCode::tls_failed));
    EXPECT_EQ(*asked, 0);
  }
  options.tls.ca_file = server.ca_file();
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  EXPECT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(wait_until([&] { return *asked >= 3; }));
  EXPECT_TRUE(ok(cache.get(key_of("k")).get()));
  EXPECT_EQ(cache.stats().connects, 1U);
}

}  // namespace
