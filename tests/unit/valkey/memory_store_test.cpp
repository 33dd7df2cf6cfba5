#include "valkey/memory_store.hpp"

#include <set>
#include <string>

#include <gtest/gtest.h>

#include "valkey/scripts.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::testing {
namespace {

using namespace std::chrono_literals;
using detail::make_request;
using detail::Reply;

class MemoryStoreTest : public ::testing::Test {
 protected:
  Reply run(std::initializer_list<std::string_view> arguments) {
    return store_.execute(make_request(arguments));
  }
  detail::SteadyTime now_{};
  detail::MemoryStore store_{[this] {
    return now_;
  }};
};

TEST_F(MemoryStoreTest, EntriesEndWhenTheirTimeIsOver) {
  run({"SET", "k", "v", "EX", "10"});
  run({"SET", "p", "v", "PX", "1500"});
  run({"SET", "f", "v"});
  EXPECT_EQ(run({"PTTL", "k"}).integer, 10'000);
  EXPECT_EQ(run({"PTTL", "f"}).integer, -1);
  EXPECT_EQ(run({"PTTL", "none"}).integer, -2);
  now_ += 1500ms;
  EXPECT_EQ(run({"GET", "p"}).type, Reply::Type::nil);
  EXPECT_EQ(run({"GET", "k"}).text, "v");
  now_ += 8500ms;
  EXPECT_EQ(run({"GET", "k"}).type, Reply::Type::nil);
  EXPECT_EQ(run({"GET", "f"}).text, "v");
}

TEST_F(MemoryStoreTest, ATtlOfAgesDoesNotOverflow) {
  run({"SET", "k", "v", "PX", "9000000000000000000"});
  now_ += 24h * 365 * 100;
  EXPECT_EQ(run({"GET", "k"}).text, "v");
  EXPECT_EQ(run({"EXPIRE", "k", "9000000000000000"}).integer, 1);
  EXPECT_EQ(run({"GET", "k"}).text, "v");
}

TEST_F(MemoryStoreTest, SetNxSeesExpiredEntriesAsGone) {
  EXPECT_EQ(run({"SET", "k", "1", "NX", "EX", "1"}).type, Reply::Type::status);
  EXPECT_EQ(run({"SET", "k", "2", "NX", "EX", "1"}).type, Reply::Type::nil);
  now_ += 1s;
  EXPECT_EQ(run({"SET", "k", "3", "NX"}).type, Reply::Type::status);
}

TEST_F(MemoryStoreTest, ReplaceIf) {
  EXPECT_EQ(run({"EVAL", detail::replace_if_script, "1", "k", "", "b", "0"}).integer, 0);
  run({"SET", "k", "a"});
  EXPECT_EQ(run({"EVAL", detail::replace_if_script, "1", "k", "x", "b", "0"}).integer, 0);
  EXPECT_EQ(run({"EVAL", detail::replace_if_script, "1", "k", "a", "b", "5000"}).integer, 1);
  EXPECT_EQ(run({"PTTL", "k"}).integer, 5000);
  EXPECT_EQ(run({"EVAL", detail::replace_if_script, "1", "k", "b", "c", "0"}).integer, 1);
  EXPECT_EQ(run({"PTTL", "k"}).integer, -1);
  EXPECT_EQ(run({"GET", "k"}).text, "c");
}

TEST_F(MemoryStoreTest, TheTwoScripts) {
  run({"SET", "k", "mine"});
  EXPECT_EQ(run({"EVAL", detail::expire_if_script, "1", "k", "other", "5"}).integer, 0);
  EXPECT_EQ(run({"EVAL", detail::expire_if_script, "1", "k", "mine", "5000"}).integer, 1);
  EXPECT_EQ(run({"PTTL", "k"}).integer, 5000);
  EXPECT_EQ(run({"EVAL", detail::erase_if_script, "1", "k", "other"}).integer, 0);
  EXPECT_EQ(run({"EVAL", detail::erase_if_script, "1", "k", "mine"}).integer, 1);
  EXPECT_EQ(run({"GET", "k"}).type, Reply::Type::nil);
}

TEST_F(MemoryStoreTest, AScanSeesEveryKeyWhileOthersAreErased) {
  for (int i = 0; i < 1000; ++i) run({"SET", "p:" + std::to_string(i), "v"});
  run({"SET", "q:1", "v"});
  std::set<std::string> seen;
  std::string cursor = "0";
  do {
    const auto page = run({"SCAN", cursor, "MATCH", "p:*", "COUNT", "100"});
    ASSERT_EQ(page.elements.size(), 2U);
    for (const auto& key : page.elements[1].elements) {
      seen.insert(key.text);
      run({"DEL", key.text});
    }
    cursor = page.elements[0].text;
  } while (cursor != "0");
  EXPECT_EQ(seen.size(), 1000U);
  EXPECT_EQ(run({"GET", "q:1"}).text, "v");
}

TEST_F(MemoryStoreTest, WhatItDoesNotKnowIsAnErrorAsOnAServer) {
  EXPECT_EQ(run({"KEYS", "*"}).type, Reply::Type::error);
  EXPECT_EQ(run({"GET"}).type, Reply::Type::error);
  EXPECT_EQ(store_.execute("*1\r\n$9\r\nshort").type, Reply::Type::error);
  EXPECT_EQ(store_.execute("").type, Reply::Type::error);
}

TEST(MemoryStoreNames, OneStoreANameWhileAnybodyHoldsIt) {
  auto a = detail::MemoryStore::named("names-a", {});
  EXPECT_EQ(a, detail::MemoryStore::named("names-a", {}));
  EXPECT_NE(a, detail::MemoryStore::named("names-b", {}));
  a->execute(make_request({"SET", "k", "v"}));
  a.reset();
  EXPECT_EQ(detail::MemoryStore::named("names-a", {})->execute(make_request({"GET", "k"})).type,
            Reply::Type::nil);
}

}  // namespace
}  // namespace valkeycache::testing
