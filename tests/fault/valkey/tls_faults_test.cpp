// A primary dies under load, over TLS, after its user's password has been changed: each new
// connection asks for the one of its time.
#include <atomic>
#include <memory>
#include <string>
#include <utility>
#include <vector>

#include "cluster_load.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

// The password of the user "app", which somebody changes, and who asks for it.
class Rotation {
 public:
  explicit Rotation(std::vector<const ValkeyServer*> servers) : servers_(std::move(servers)) {
    rotate();
  }
  // At any time what is told is right; then the one before is none any more. Connections that stand
  // go on.
  void rotate() {
    const int next = *generation_ + 1;
    const auto everywhere = [&](const std::vector<std::string>& change) {
      for (const auto* server : servers_) {
        auto command = std::vector<std::string>{"ACL", "SETUSER", "app"};
        command.insert(command.end(), change.begin(), change.end());
        server->command(command);
      }
    };
    everywhere({">" + text_of(next)});
    *generation_ = next;
    everywhere({"resetpass", ">" + text_of(next)});
  }
  [[nodiscard]] PasswordProvider provider() const {
    return {.ask = [generation = generation_, asked = asked_]() -> Result<Password> {
              ++*asked;
              return Password{text_of(*generation), std::chrono::hours(1)};
            },
            .needs_tls = true};
  }
  [[nodiscard]] std::uint64_t asked() const { return *asked_; }

 private:
  static std::string text_of(int generation) { return "password " + std::to_string(generation); }
  const std::vector<const ValkeyServer*> servers_;
  const std::shared_ptr<std::atomic<int>> generation_ = std::make_shared<std::atomic<int>>(0);
  const std::shared_ptr<std::atomic<std::uint64_t>> asked_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

ValkeyCacheOptions as_app(const Rotation& rotation, const std::string& ca_file) {
  auto options = hurried();
  options.tls.ca_file = ca_file;
  options.username = "app";
  options.password_provider = rotation.provider();
  return options;
}

const std::string nobody_logs_in = "user app on >nobody-knows-this ~* &* +@all";

TEST(TlsFaults, APrimaryOfAClusterDiesAfterThePasswordHasChanged) {
  ValkeyCluster cluster({.replicas = 1,
                         .node_timeout_ms = sanitized ? 3000 : 1000,
                         .config = {nobody_logs_in},
                         .tls = true});
  std::vector<const ValkeyServer*> servers;
  for (std::size_t i = 0; i < cluster.size(); ++i) servers.push_back(&cluster.server(i));
  Rotation rotation(servers);
  ClusterLoad load(cluster.uri(0), as_app(rotation, cluster.server(0).ca_file()));
  load.go_on(50);
  EXPECT_GE(rotation.asked(), 3U);
  const auto before = load.cache().stats().connects;
  rotation.rotate();
  cluster.kill(0);
  load.expect_recovery_with(cluster);
  load.go_on(50);
  load.expect_nothing_wrong();
  const auto connects = load.cache().stats().connects;
  EXPECT_GT(connects, before);
  EXPECT_GE(rotation.asked(), connects) << "each asks for itself";
}

TEST(TlsFaults, AGivenPrimaryDiesAfterThePasswordHasChanged) {
  const ValkeyServerOptions options{.config = {"repl-diskless-sync-delay 0", nobody_logs_in},
                                    .tls = true,
                                    .authority = std::make_shared<const Authority>()};
  ValkeyServer primary(options);
  const ValkeyServer replica(options);
  replica.command({"REPLICAOF", "127.0.0.1", std::to_string(primary.port())});
  ASSERT_TRUE(wait_until([&] {
    return replica.command({"INFO", "replication"}).text.find("master_link_status:up") !=
           std::string::npos;
  }));
  Rotation rotation({&primary, &replica});
  CacheLoad load("valkeys+replicated://127.0.0.1:" + std::to_string(primary.tls_port()) +
                     ",127.0.0.1:" + std::to_string(replica.tls_port()),
                 as_app(rotation, replica.ca_file()));
  load.go_on(50);
  rotation.rotate();
  primary.kill();
  load.go_on(2);  // while there is none
  replica.command({"REPLICAOF", "NO", "ONE"});
  load.expect_recovery_after([&](const auto& key, const auto& value) {
    return !replica.connect().command({"SET", key, value}).is_error();
  });
  load.go_on(50);
  load.expect_nothing_wrong();
  EXPECT_GE(rotation.asked(), load.cache().stats().connects) << "each asks for itself";
}

}  // namespace
