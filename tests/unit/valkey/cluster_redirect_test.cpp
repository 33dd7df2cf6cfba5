#include "valkey/cluster_redirect.hpp"

#include <gtest/gtest.h>

namespace valkeycache::testing {
namespace {

using detail::parse_redirect;
using detail::ServerAddress;
using Kind = detail::Redirect::Kind;

const ServerAddress asked{.host = "seed.example", .port = 6379};

TEST(ClusterRedirect, Places) {
  const auto moved = parse_redirect("MOVED 3999 10.0.0.1:6381", asked);
  ASSERT_TRUE(moved);
  EXPECT_EQ(moved->kind, Kind::moved);
  EXPECT_EQ(moved->slot, 3999);
  EXPECT_EQ(moved->endpoint, (ServerAddress{"10.0.0.1", 6381}));
  EXPECT_EQ(parse_redirect("ASK 1 ::1:2", asked)->endpoint, (ServerAddress{"::1", 2}));
  EXPECT_EQ(parse_redirect("ASK 1 a:2", asked)->kind, Kind::ask);
}

TEST(ClusterRedirect, NoHostIsTheOneThatWasAsked) {
  EXPECT_EQ(parse_redirect("MOVED 1 :7", asked)->endpoint, (ServerAddress{"seed.example", 7}));
}

TEST(ClusterRedirect, AnUnknownHostIsNoPlace) {
  const auto moved = parse_redirect("MOVED 1 ?:0", asked);
  EXPECT_FALSE(moved) << "port 0";
  EXPECT_FALSE(parse_redirect("MOVED 1 ?:7", asked)->endpoint);
}

TEST(ClusterRedirect, PausesAndChanges) {
  EXPECT_EQ(parse_redirect("TRYAGAIN Multiple keys", asked)->kind, Kind::later);
  EXPECT_EQ(parse_redirect("LOADING", asked)->kind, Kind::later);
  EXPECT_EQ(parse_redirect("CLUSTERDOWN The cluster is down", asked)->kind, Kind::elsewhere);
  EXPECT_EQ(parse_redirect("READONLY You can't write", asked)->kind, Kind::elsewhere);
  EXPECT_EQ(parse_redirect("MASTERDOWN Link", asked)->kind, Kind::elsewhere);
}

TEST(ClusterRedirect, AnythingElseIsNone) {
  for (const auto* text :
       {"", "ERR", "MOVED", "MOVED 1", "MOVED 1 a", "MOVED x a:1", "MOVED 16384 a:1", "MOVED 1 a:0",
        "MOVED 1 a:99999", "MOVEDX 1 a:1", "OOM", "moved 1 a:1"}) {
    EXPECT_FALSE(parse_redirect(text, asked)) << text;
  }
}

}  // namespace
}  // namespace valkeycache::testing
