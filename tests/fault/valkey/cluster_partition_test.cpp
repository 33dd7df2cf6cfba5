// A node that is cut off from everybody: from the other nodes, and from clients, who hear nothing
// from it, not even that a connection has ended. New connections are made and silent, or not made.
#include "cluster_load.hpp"

using namespace valkeycache;
using namespace valkeycache::test;

namespace {

using Newcomers = TcpProxy::Newcomers;
class ClusterPartition : public testing::TestWithParam<Newcomers> {};

TEST_P(ClusterPartition, APrimaryIsCutOffFromTheOthersAndFromItsClients) {
  ValkeyCluster cluster({.replicas = 1,
                         .node_timeout_ms = sanitized ? 3000 : 1000,
                         // The others serve on, and tell nobody that something is amiss.
                         .config = {"cluster-require-full-coverage no"},
                         .relayed_bus = true,
                         .fronted = true});
  auto options = hurried();
  options.near_cache.max_bytes = 1 << 20;
  constexpr std::size_t outcast = 0;
  ClusterLoad load(cluster.uri(outcast), options);  // it is the seed, too
  load.go_on(50);
  cluster.front(outcast).fall_silent(GetParam());
  cluster.isolate(outcast);
  load.expect_recovery_with(cluster, outcast);
  load.go_on(50);
  // It still takes itself for a primary, and finds in its sockets what it has been asked meanwhile.
  ASSERT_EQ(cluster.server(outcast).command({"ROLE"}).items.at(0).text, "master");
  cluster.front(outcast).speak_again();
  cluster.rejoin();
  cluster.await_order();
  EXPECT_TRUE(wait_until([&] { return load.all_well(); }));
  load.go_on(50);
  load.expect_nothing_wrong();
  load.expect_coherence(cluster.uri());
}

INSTANTIATE_TEST_SUITE_P(Newcomers, ClusterPartition,
                         testing::Values(Newcomers::let_in, Newcomers::lost), [](const auto& each) {
                           return each.param == Newcomers::lost ? "Lost" : "LetIn";
                         });

}  // namespace
