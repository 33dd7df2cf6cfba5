#include "valkey/cluster_slot.hpp"

#include <gtest/gtest.h>

#include "valkey/wire.hpp"

namespace valkeycache::testing {
namespace {

using detail::key_of_request;
using detail::key_slot;
using detail::make_request;

// As CLUSTER KEYSLOT says; the first is the specification's own check value 0x31C3.
TEST(ClusterSlot, IsCrc16OfTheKey) {
  EXPECT_EQ(key_slot("123456789"), 0x31C3);
  EXPECT_EQ(key_slot(""), 0);
  EXPECT_EQ(key_slot("foo"), 12182);
  EXPECT_EQ(key_slot("bar"), 5061);
}

TEST(ClusterSlot, OnlyTheTagCounts) {
  EXPECT_EQ(key_slot("{user1000}.following"), key_slot("user1000"));
  EXPECT_EQ(key_slot("a{b}c{d}"), key_slot("b"));
  EXPECT_EQ(key_slot("foo{{bar}}zap"), key_slot("{bar"));
  EXPECT_NE(key_slot("foo{}{bar}"), key_slot("bar"));
  EXPECT_NE(key_slot("foo{bar"), key_slot("bar"));
}

TEST(ClusterSlot, TheKeyIsFoundInEachOfOurRequests) {
  EXPECT_EQ(key_of_request(make_request({"GET", "k"})), "k");
  EXPECT_EQ(key_of_request(make_request({"SET", "k", "v", "NX", "EX", "1"})), "k");
  EXPECT_EQ(key_of_request(make_request({"DEL", "k"})), "k");
  EXPECT_EQ(key_of_request(make_request({"PTTL", "k"})), "k");
  EXPECT_EQ(key_of_request(make_request({"EXPIRE", "k", "1"})), "k");
  EXPECT_EQ(key_of_request(make_request({"PEXPIRE", "k", "1"})), "k");
  EXPECT_EQ(key_of_request(make_request({"EVAL", "return '\r\n$1'", "1", "k\r\n", "v"})), "k\r\n");
  EXPECT_EQ(key_of_request(make_request({"GET", "k"}) + make_request({"PTTL", "k"})), "k");
  EXPECT_EQ(key_of_request(make_request({"GET", ""})), "");
}

TEST(ClusterSlot, OthersHaveNone) {
  EXPECT_EQ(key_of_request(make_request({"PING"})), std::nullopt);
  EXPECT_EQ(key_of_request(make_request({"SCAN", "0", "MATCH", "k*"})), std::nullopt);
  EXPECT_EQ(key_of_request(""), std::nullopt);
  EXPECT_EQ(key_of_request("*2\r\n$3\r\nGET\r\n$9\r\nk\r\n"), std::nullopt);
}

}  // namespace
}  // namespace valkeycache::testing
