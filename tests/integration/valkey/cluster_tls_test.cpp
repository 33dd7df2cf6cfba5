// A cluster over TLS: every node has to prove the name that it is called by, and is logged in to
// with a password of its own.
#include <valkeycache/valkey_cache.hpp>

#include <atomic>

#include "contract.hpp"
#include "support/valkey/valkey_cluster.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

class TlsCluster : public testing::Test {
 protected:
  // The certificates name no address.
  static void SetUpTestSuite() {
    cluster_ = std::make_unique<ValkeyCluster>(ValkeyClusterOptions{
        .config = {"cluster-announce-hostname localhost", "user app on nopass ~* &* +@all"},
        .tls = true,
        .certificate = {.names = "DNS:localhost"}});
    await_names("localhost");
  }
  static void TearDownTestSuite() { cluster_.reset(); }
  static ValkeyCluster& cluster() { return *cluster_; }
  static void set_everywhere(const std::string& name, const std::string& value) {
    for (std::size_t i = 0; i < cluster().size(); ++i) {
      cluster().server(i).command({"CONFIG", "SET", name, value});
    }
  }
  // Everybody has heard it of everybody.
  static void await_names(const std::string& name) {
    ASSERT_TRUE(wait_until([&] {
      for (std::size_t i = 0; i < cluster().size(); ++i) {
        for (const auto& range : cluster().server(i).command({"CLUSTER", "SLOTS"}).items) {
          const auto& metadata = range.items[2].items.at(3).items;
          const bool named = metadata.size() == 2 && (name.empty() || metadata[1].text == name);
          if (named == name.empty()) return false;
        }
      }
      return true;
    }));
  }
  static ValkeyCacheOptions trusting() {
    auto options = patient_options();
    options.tls.ca_file = cluster().server(0).ca_file();
    return options;
  }
  static std::vector<CacheKey> keys() {
    std::vector<CacheKey> keys;
    for (int i = 0; i < 30; ++i) keys.push_back(key_of("tls" + std::to_string(i)));
    return keys;
  }

 private:
  static inline std::unique_ptr<ValkeyCluster> cluster_;
};

TEST_F(TlsCluster, NodesAreCalledByTheNamesThatCertificatesProve) {
  for (const std::string announced : {"ip", "hostname"}) {
    set_everywhere("cluster-preferred-endpoint-type", announced);
    const auto cache = ValkeyCache::open(cluster().uri(), trusting()).value();
    for (const auto& key : keys()) ASSERT_TRUE(ok(cache.set(key, announced).get()));
    // MOVED and ASK name the same node as the map does.
    const auto slot = cluster().slot_of(cache.wire_key(keys()[0]));
    const auto from = cluster().owner_of(slot).value();
    const auto to = (from + 1) % 3;
    cluster().begin_move(slot, from, to);
    cluster().move_keys(slot, from, to);
    EXPECT_EQ(cache.get(keys()[0]).get().value(), announced);
    cluster().end_move(slot, from, to);
    for (const auto& key : keys()) EXPECT_EQ(cache.get(key).get().value(), announced);
    EXPECT_EQ(cache.stats().errors, 0U);
    EXPECT_EQ(cache.stats().connect_failures, 0U);
    EXPECT_EQ(cache.stats().connects, 3U);
    cluster().move(slot, to, from);
  }
  set_everywhere("cluster-preferred-endpoint-type", "ip");
}

TEST_F(TlsCluster, AnAddressThatNoCertificateNamesIsNotTrusted) {
  set_everywhere("cluster-announce-hostname", "");
  await_names("");
  const auto cache = ValkeyCache::open(cluster().uri(), trusting()).value();
  const auto stored = cache.set(keys()[0], "v").get();
  ASSERT_TRUE(fails_with(stored, ErrorCode::tls_failed));
  EXPECT_NE(stored.error().message.find("server_name"), std::string::npos);
  set_everywhere("cluster-announce-hostname", "localhost");
  await_names("localhost");
  EXPECT_TRUE(wait_until([&] { return cache.set(keys()[0], "v").get().has_value(); }));
}

// As ElastiCache's IAM has it: a token for each connection, and another one before its life ends.
TEST_F(TlsCluster, EveryNodeIsLoggedInToAndLoggedInAgain) {
  const auto asked = std::make_shared<std::atomic<int>>(0);
  auto options = trusting();
  options.username = "app";
  options.password_provider = {.ask = [asked]() -> Result<Password> {
                                 return Password{"token " + std::to_string(++*asked), 150ms};
                               },
                               .needs_tls = true};
  const auto cache = ValkeyCache::open(cluster().uri(), options).value();
  for (const auto& key : keys()) ASSERT_TRUE(ok(cache.set(key, "v").get()));
  EXPECT_GE(*asked, 3);
  for (std::size_t i = 0; i < cluster().size(); ++i) {
    EXPECT_TRUE(wait_until([&] {
      const auto stats = cluster().server(i).command({"INFO", "commandstats"}).text;
      return stats.find("cmdstat_auth:calls=") != stats.npos &&
             stats.find("cmdstat_auth:calls=1,") == stats.npos;
    })) << i;
  }
  EXPECT_EQ(cache.stats().connects, 3U);
  EXPECT_EQ(cache.stats().errors, 0U);
  auto plain = options;
  plain.tls = {};
  const auto uri = "valkey+cluster://127.0.0.1:" + std::to_string(cluster().server(0).port());
  EXPECT_TRUE(fails_with(ValkeyCache::open(uri, plain), ErrorCode::invalid_argument));
}

}  // namespace
