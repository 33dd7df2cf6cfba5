// Which nodes of a cluster are scanned, and when that is enough.
#include <gtest/gtest.h>

#include "valkey/scan.hpp"

using namespace valkeycache;
using detail::Roster;
using detail::ScanPlan;
using Step = ScanPlan::Step;
using Nodes = std::vector<std::uint32_t>;

namespace {

const detail::SteadyTime begin{};

TEST(ScanPlan, ARestIsTheEnd) {
  const Roster roster{.version = 1, .nodes = {{1, 1}, {2, 1}}};
  ScanPlan plan;
  EXPECT_EQ(plan.heard(roster, begin), Step::scan);
  EXPECT_EQ(plan.nodes(), Nodes({1, 2}));
  EXPECT_EQ(plan.heard(roster, begin), Step::done);
}

TEST(ScanPlan, OnlyWhoGainedIsScannedAgain) {
  ScanPlan plan;
  EXPECT_EQ(plan.heard({.version = 1, .nodes = {{1, 1}, {2, 1}}}, begin), Step::scan);
  const Roster later{.version = 2, .nodes = {{1, 1}, {2, 2}, {3, 2}}};
  EXPECT_EQ(plan.heard(later, begin), Step::scan);
  EXPECT_EQ(plan.nodes(), Nodes({2, 3}));
  EXPECT_EQ(plan.heard(later, begin), Step::done);
}

TEST(ScanPlan, WhoOnlyLostSlotsIsNot) {
  ScanPlan plan;
  EXPECT_EQ(plan.heard({.version = 1, .nodes = {{1, 1}, {2, 1}}}, begin), Step::scan);
  EXPECT_EQ(plan.heard({.version = 2, .nodes = {{1, 1}}}, begin), Step::done);
}

TEST(ScanPlan, AllOfThemWhenAsked) {
  const Roster roster{.version = 1, .nodes = {{1, 1}, {2, 1}}};
  ScanPlan plan;
  EXPECT_EQ(plan.heard(roster, begin), Step::scan);
  plan.scan_all_again();
  EXPECT_EQ(plan.heard(roster, begin), Step::scan);
  EXPECT_EQ(plan.nodes(), Nodes({1, 2}));
}

// Ten questions a second, so much is certain.
int passes_until_given_up(std::chrono::milliseconds within, detail::SteadyTime limit) {
  ScanPlan plan;
  auto now = begin;
  for (std::int64_t version = 1;; ++version) {
    if (plan.heard({.version = version, .nodes = {{1, version}}}, now, limit) == Step::give_up) {
      EXPECT_GE(now - begin, within);
      EXPECT_LT(now - begin, within + std::chrono::seconds(1));
      return plan.passes();
    }
    now += std::chrono::milliseconds(100);
  }
}

TEST(ScanPlan, SlotsThatNeverRestAreGivenUpInTime) {
  const int passes = passes_until_given_up(detail::longest_unrest, detail::SteadyTime::max());
  EXPECT_GT(passes, 200);
  EXPECT_LT(passes, 400) << "with pauses";
  EXPECT_GT(passes_until_given_up(std::chrono::seconds(2), begin + std::chrono::seconds(2)), 4);
}

TEST(ScanPlan, WithoutAnybodyItAsksOn) {
  ScanPlan plan;
  EXPECT_FALSE(plan.begun());
  EXPECT_EQ(plan.heard({.version = 1, .nodes = {}}, begin), Step::ask_again);
  EXPECT_TRUE(plan.begun()) << "the next question is a fresh one";
  EXPECT_EQ(plan.heard({.version = 2, .nodes = {{1, 2}}}, begin), Step::scan);
  EXPECT_EQ(plan.heard({.version = 2, .nodes = {{1, 2}}}, begin), Step::done);
}

}  // namespace
