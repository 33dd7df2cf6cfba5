// A primary and its replica over TLS, as addresses or by sentinels: each has to prove who it is.
#include <valkeycache/valkey_cache.hpp>

#include <fstream>

#include "contract.hpp"
#include "support/valkey/child_process.hpp"

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
  const TemporaryFolder folder;
  const auto port = ValkeyServer::free_port();
  const auto tls_port = ValkeyServer::free_port();
  const auto file = folder.path() + "/sentinel.conf";
  std::ofstream(file) << "port " << port << "\ntls-port " << tls_port
                      << "\ntls-replication yes\ntls-auth-clients no\ntls-ca-cert-file "
                      << a_.ca_file() << "\ntls-cert-file " << a_.folder()
                      << "/cert.pem\ntls-key-file " << a_.folder()
                      << "/key.pem\nbind 127.0.0.1\ndir " << folder.path()
                      << "\nsentinel monitor main 127.0.0.1 " << a_.tls_port()
                      << " 1\nsentinel failover-timeout main 2000\n";
  ChildProcess sentinel({valkey_server_program(), file, "--sentinel"}, folder.path() + "/log");
  const auto cache =
      ValkeyCache::open("valkeys+sentinel://127.0.0.1:" + std::to_string(tls_port) + "/main",
                        trusting())
          .value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "1").get()));
  EXPECT_EQ(stored(a_, cache.wire_key(key_of("k"))), "1");
  ASSERT_TRUE(wait_until([&] {  // it has heard of the replica
    auto client = RespClient::tcp(port);
    return !client.command({"SENTINEL", "REPLICAS", "main"}).items.empty();
  }));
  // It looks after the others ten times a second, instead of every few seconds.
  RespClient::tcp(port).command(
      {"SENTINEL", "DEBUG", "INFO-PERIOD", "100", "PUBLISH-PERIOD", "100"});
  // Not before: a busy machine is not to be taken for a fall.
  RespClient::tcp(port).command({"SENTINEL", "SET", "main", "down-after-milliseconds", "500"});
  a_.kill();
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "2").get().has_value(); }));
  EXPECT_EQ(stored(b_, cache.wire_key(key_of("k"))), "2");
  sentinel.stop();
}

}  // namespace
