// What servers say about who serves what.
#include "valkey/cluster_topology.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::parse_cluster_slots;
using detail::parse_endpoint;
using detail::parse_role;
using detail::parse_sentinel_answer;
using detail::Reply;
using detail::ServerAddress;

Reply text(std::string value) {
  return {.type = Reply::Type::string, .text = std::move(value)};
}
Reply number(std::int64_t value) {
  return {.type = Reply::Type::integer, .integer = value};
}
Reply list(std::vector<Reply> elements) {
  return {.type = Reply::Type::array, .elements = std::move(elements)};
}
Reply node(Reply host, std::int64_t port, std::vector<Reply> metadata = {}) {
  return list({std::move(host), number(port), text("id"), list(std::move(metadata))});
}

const ServerAddress asked{.host = "seed.example", .port = 6379};

TEST(ClusterTopology, RangesWithPrimaryAndReplicas) {
  const auto topology = parse_cluster_slots(
      list({list({number(0), number(99), node(text("10.0.0.1"), 1), node(text("10.0.0.2"), 2)}),
            list({number(100), number(16383), node(text("::1"), 3)})}),
      asked, false);
  ASSERT_TRUE(topology);
  ASSERT_EQ(topology->ranges.size(), 2U);
  EXPECT_EQ(topology->ranges[0].last, 99);
  EXPECT_EQ(topology->ranges[0].primary, (ServerAddress{"10.0.0.1", 1}));
  EXPECT_EQ(topology->ranges[0].replicas, (std::vector<ServerAddress>{{"10.0.0.2", 2}}));
  EXPECT_EQ(topology->ranges[1].primary, (ServerAddress{"::1", 3}));
}

// As one endpoint in front of a cluster presents itself.
TEST(ClusterTopology, NoHostIsTheOneThatWasAsked) {
  for (const auto& host : {Reply{}, text("")}) {
    const auto topology =
        parse_cluster_slots(list({list({number(0), number(16383), node(host, 7)})}), asked, false);
    ASSERT_TRUE(topology);
    EXPECT_EQ(topology->ranges[0].primary, (ServerAddress{"seed.example", 7}));
  }
}

TEST(ClusterTopology, AnUnknownHostLeavesItsSlotsToNobody) {
  const auto topology = parse_cluster_slots(
      list({list({number(0), number(1), node(text("?"), 7)}),
            list({number(2), number(3), node(text("a"), 7), node(text("?"), 8)})}),
      asked, false);
  ASSERT_TRUE(topology);
  ASSERT_EQ(topology->ranges.size(), 1U);
  EXPECT_TRUE(topology->ranges[0].replicas.empty());
}

TEST(ClusterTopology, WhatACertificateNamesIsTheHostName) {
  const auto reply = list({list({number(0), number(16383),
                                 node(text("10.0.0.1"), 7, {text("hostname"), text("n.example")}),
                                 node(text("10.0.0.2"), 7, {text("hostname"), text("")})})});
  const auto by_name = parse_cluster_slots(reply, asked, true).value();
  EXPECT_EQ(by_name.ranges[0].primary, (ServerAddress{"n.example", 7}));
  EXPECT_EQ(by_name.ranges[0].replicas[0], (ServerAddress{"10.0.0.2", 7}));
  EXPECT_EQ(by_name.names.at({"10.0.0.1", 7}), (ServerAddress{"n.example", 7}));
  const auto by_address = parse_cluster_slots(reply, asked, false).value();
  EXPECT_EQ(by_address.ranges[0].primary, (ServerAddress{"10.0.0.1", 7}));
}

TEST(ClusterTopology, NonsenseIsAnError) {
  const auto good = node(text("a"), 7);
  for (const auto& range :
       {list({number(0), number(16384), good}), list({number(-1), number(1), good}),
        list({number(2), number(1), good}), list({number(0), number(1)}),
        list({number(0), number(1), node(text("a"), 0)}),
        list({number(0), number(1), node(text("a"), 70000)}),
        list({number(0), number(1), text("a")}), list({text("0"), number(1), good}), number(1)}) {
    EXPECT_EQ(parse_cluster_slots(list({range}), asked, false).error().code,
              ErrorCode::protocol_error);
  }
  EXPECT_FALSE(parse_cluster_slots(text("x"), asked, false));
  const Reply refused{.type = Reply::Type::error,
                      .text = "ERR This instance has cluster support disabled"};
  EXPECT_EQ(parse_cluster_slots(refused, asked, false).error().code, ErrorCode::server_error);
}

TEST(ClusterTopology, Roles) {
  const auto primary = parse_role(
      list({text("master"), number(9), list({list({text("10.0.0.2"), text("7"), text("9")})})}));
  ASSERT_TRUE(primary);
  EXPECT_TRUE(primary->primary);
  EXPECT_EQ(primary->replicas, (std::vector<ServerAddress>{{"10.0.0.2", 7}}));
  const auto replica =
      parse_role(list({text("slave"), text("10.0.0.1"), number(7), text("connected"), number(9)}));
  ASSERT_TRUE(replica);
  EXPECT_FALSE(replica->primary);
  EXPECT_EQ(replica->follows, (ServerAddress{"10.0.0.1", 7}));
  EXPECT_FALSE(parse_role(list({text("sentinel"), list({})})));
  EXPECT_FALSE(parse_role(list({text("slave"), text("a"), number(0)})));
  EXPECT_FALSE(parse_role(text("master")));
}

TEST(ClusterTopology, SentinelsAnswers) {
  EXPECT_EQ(parse_sentinel_answer(list({text("10.0.0.1"), text("7")})).value(),
            (ServerAddress{"10.0.0.1", 7}));
  EXPECT_EQ(parse_sentinel_answer(Reply{}).error().code, ErrorCode::server_unavailable);
  EXPECT_FALSE(parse_sentinel_answer(list({text(""), text("7")})));
  EXPECT_FALSE(parse_sentinel_answer(list({text("a"), text("x")})));
}

TEST(ClusterTopology, Addresses) {
  EXPECT_EQ(parse_endpoint("a", 1), (ServerAddress{"a", 1}));
  EXPECT_EQ(parse_endpoint("a:2", 1), (ServerAddress{"a", 2}));
  EXPECT_EQ(parse_endpoint("[::1]:2", 1), (ServerAddress{"::1", 2}));
  EXPECT_EQ(parse_endpoint("[::1]", 1), (ServerAddress{"::1", 1}));
  for (const auto* bad :
       {"", ":1", "a:", "a:0", "a:65536", "a:b", "[]:1", "[::1", "[::1]x", "::1"}) {
    EXPECT_FALSE(parse_endpoint(bad, 1)) << bad;
  }
  EXPECT_EQ(to_text(ServerAddress{"::1", 2}), "[::1]:2");
}

}  // namespace
}  // namespace valkeycache::testing
