// Every state that a pipeline can be in with a few commands, visited: not by chance but one by one.
#include <iostream>
#include <unordered_map>

#include <gtest/gtest.h>

#include "pipeline_world.hpp"
#include "support/sanitized.hpp"

namespace valkeycache::testing {
namespace {

using test::sanitized;
using What = Move::What;

// How a state was first reached: from another one, by a move.
struct Node {
  std::size_t from;
  Move move;
};

std::vector<Move> path_to(const std::vector<Node>& nodes, std::size_t at) {
  std::vector<Move> path;
  for (; at != 0; at = nodes[at].from) path.push_back(nodes[at].move);
  return {path.rbegin(), path.rend()};
}

// Breadth first, so that the path to a fault is a shortest one. A pipeline cannot be copied: each
// move starts from a new one that is led to the state again.
void visit_all(const Plan& plan) {
  std::vector<Node> nodes{{0, {What::publish}}};
  std::unordered_map<std::string, std::size_t> known;
  known.emplace(World(plan, {}).name(), 0);
  std::size_t transitions = 0;
  for (std::size_t at = 0; at < nodes.size(); ++at) {
    auto path = path_to(nodes, at);
    std::vector<Move> moves;
    {
      World world(plan, path);
      world.retrace(path);
      moves = world.moves();
      world.drain();
      ASSERT_EQ(world.wrong(), "") << "draining after " << to_string(path);
    }
    {
      World world(plan, path);
      world.retrace(path);
      world.destroy();
      ASSERT_EQ(world.wrong(), "") << "destroying after " << to_string(path);
    }
    for (const auto move : moves) {
      path.push_back(move);
      World world(plan, path);
      world.retrace(std::span(path).first(path.size() - 1));
      world.make(move);
      ASSERT_EQ(world.wrong(), "") << to_string(path);
      ++transitions;
      if (known.emplace(world.name(), nodes.size()).second) nodes.push_back({at, move});
      path.pop_back();
    }
  }
  std::cout << nodes.size() << " states, " << transitions << " transitions\n";
  ::testing::Test::RecordProperty("states", static_cast<int>(nodes.size()));
  EXPECT_GT(nodes.size(), 500U) << "or nothing was enumerated";
}

TEST(PipelineStates, UpToFourCommands) {
  if (sanitized) {  // every step costs many times as much there
    visit_all({.commands = 3, .kinds = {What::submit_read}});
  } else {
    visit_all({.commands = 4, .kinds = {What::submit_read, What::submit_store}});
  }
}

TEST(PipelineStates, OutcomesThatPileUp) {
  visit_all({.commands = sanitized ? 2U : 3U,
             .kinds = {What::submit_read, What::submit_change, What::submit_store},
             .late_publish = true});
}

TEST(PipelineStates, CommandsWithTwoReplies) {
  visit_all({.commands = sanitized ? 2U : 3U,
             .kinds = {What::submit_read, What::submit_store, What::submit_pair}});
}

TEST(PipelineStates, RepliesCutAtEveryByte) {
  visit_all({.commands = 2,
             .kinds = {What::submit_read, What::submit_store, What::submit_pair},
             .every_byte = true});
}

}  // namespace
}  // namespace valkeycache::testing
