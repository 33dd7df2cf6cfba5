// A primary of a cluster over TLS dies under load, after its user's password has been changed: each
// new connection asks for the one of its time.
#include <memory>

#include "cluster_load.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

// The password of the user "app", which somebody changes, and who asks for it.
class Rotation {
 public:
  explicit Rotation(const ValkeyCluster& cluster) : cluster_(cluster) { rotate(); }
  // At any time what is told is right; then the one before is none any more. Connections that stand
  // go on.
  void rotate() {
    const int next = *generation_ + 1;
    const auto everywhere = [&](const std::vector<std::string>& change) {
      for (std::size_t i = 0; i < cluster_.size(); ++i) {
        auto command = std::vector<std::string>{"ACL", "SETUSER", "app"};
        command.insert(command.end(), change.begin(), change.end());
        cluster_.server(i).command(command);
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
  const ValkeyCluster& cluster_;
  const std::shared_ptr<std::atomic<int>> generation_ = std::make_shared<std::atomic<int>>(0);
  const std::shared_ptr<std::atomic<std::uint64_t>> asked_ =
      std::make_shared<std::atomic<std::uint64_t>>(0);
};

TEST(ClusterTlsFaults, APrimaryDiesAfterThePasswordHasChanged) {
  ValkeyCluster cluster({.replicas = 1,
                         .node_timeout_ms = sanitized ? 3000 : 1000,
                         .config = {"user app on >nobody-knows-this ~* &* +@all"},
                         .tls = true});
  Rotation rotation(cluster);
  auto options = hurried();
  options.tls.ca_file = cluster.server(0).ca_file();
  options.username = "app";
  options.password_provider = rotation.provider();
  ClusterLoad load(cluster.uri(0), options);
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

}  // namespace
