// A primary and its replica over TLS, as addresses or by sentinels: each has to prove who it is.
#include <valkeycache/valkey_cache.hpp>

#include <fstream>

#include "contract.hpp"
#include "support/valkey/sentinel.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class ReplicatedTls : public testing::Test {
 protected:
  void SetUp() override { follow(b_, a_); }

  static ValkeyServerOptions by(const std::shared_ptr<const Authority>& authority) {
    return {.config = {"tls-replication yes", "repl-diskless-sync-delay 0"},
            .tls = true,
            .authority = authority};
  }
  // Waits until both of them say so.
  static void follow(const ValkeyServer& replica, const ValkeyServer& primary) {
    replica.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.tls_port())});
    ASSERT_TRUE(wait_until([&] {
      return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
                 std::string::npos &&
             !primary.command({"ROLE"}).items.at(2).items.empty();
    }));
  }
  static std::string address(const ValkeyServer& server) {
    return "127.0.0.1:" + std::to_string(server.tls_port());
  }
  [[nodiscard]] ValkeyCacheOptions trusting() const {
    auto options = patient_options();
    options.tls.ca_file = a_.ca_file();
    options.reconnect_base = 1ms;
    options.reconnect_cap = 20ms;
    return options;
  }

  const std::shared_ptr<const Authority> authority_ = std::make_shared<const Authority>();
  ValkeyServer a_{by(authority_)};
  ValkeyServer b_{by(authority_)};
};

TEST_F(ReplicatedTls, ThePrimaryIsFoundFromEitherAddressAndFoundAgain) {
  // What one says of the other is the port for TLS.
  for (const auto& seed : {address(a_), address(b_)}) {
    const auto cache = ValkeyCache::open("valkeys+replicated://" + seed, trusting()).value();
    ASSERT_TRUE(ok(cache.set(key_of("k"), seed).get()));
    EXPECT_EQ(cache.get(key_of("k")).get().value(), seed);
    EXPECT_EQ(stored(a_, cache.wire_key(key_of("k"))), seed);
    EXPECT_EQ(cache.stats().connect_failures, 0U);
  }
  const auto cache =
      ValkeyCache::open("valkeys+replicated://" + address(a_) + "," + address(b_), trusting())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  a_.kill();
  b_.command({"REPLICAOF", "NO", "ONE"});
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "2").get().has_value(); }));
  EXPECT_EQ(stored(b_, cache.wire_key(key_of("k"))), "2");
}

TEST_F(ReplicatedTls, ReadsComeFromTheReplica) {
  auto options = trusting();
  options.read_from = ReadFrom::replica;
  const auto cache = ValkeyCache::open("valkeys+replicated://" + address(a_), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  EXPECT_TRUE(wait_until([&] {
    EXPECT_TRUE(ok(cache.get(key_of("k")).get()));
    return b_.command({"INFO", "commandstats"}).text.find("cmdstat_get:") != std::string::npos;
  }));
}

TEST_F(ReplicatedTls, AStrangerIsNotTrusted) {
  auto options = trusting();
  const TemporaryFolder folder;
  options.tls.ca_file = folder.path() + "/other.pem";
  std::ofstream(options.tls.ca_file) << Authority("another").certificate();
  const auto cache =
      ValkeyCache::open("valkeys+replicated://" + address(a_) + "," + address(b_), options).value();
  EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(), ErrorCode::tls_failed));
}

TEST_F(ReplicatedTls, SentinelsAreAskedByTlsToo) {
  const Sentinel sentinel(a_, true);
  const auto cache =
      ValkeyCache::open("valkeys+sentinel://" + sentinel.address() + "/main", trusting()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  EXPECT_EQ(stored(a_, cache.wire_key(key_of("k"))), "1");
  sentinel.watch_closely(500ms);
  a_.kill();
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "2").get().has_value(); }));
  EXPECT_EQ(stored(b_, cache.wire_key(key_of("k"))), "2");
}

}  // namespace
