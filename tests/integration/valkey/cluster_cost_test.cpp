// What an operation takes does not depend on how many nodes there are: allocations of the whole
// process, the simulated nodes apart. Instructions are counted by the benchmarks' nodes.*, which
// the long tests run (bench_nodes_long).
#include <valkeycache/valkey_cache.hpp>

#include <algorithm>
#include <atomic>
#include <cstdlib>
#include <limits>
#include <new>

#include "contract.hpp"
#include "support/valkey/simulated_cluster.hpp"

namespace {

std::atomic<std::uint64_t> allocations = 0;
thread_local bool apart = false;

}  // namespace

// Some of the standard library's algorithms take memory by this one, and give it back by the
// operators delete below: a sanitizer wants both from one hand.
void* operator new(std::size_t size, const std::nothrow_t& /*tag*/) noexcept {
  if (!apart) allocations.fetch_add(1, std::memory_order_relaxed);
  return std::malloc(size);
}
void* operator new(std::size_t size) {
  if (void* memory = operator new(size, std::nothrow)) return memory;
  throw std::bad_alloc();
}
void operator delete(void* memory) noexcept {
  std::free(memory);
}
void operator delete(void* memory, std::size_t /*size*/) noexcept {
  std::free(memory);
}

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

constexpr std::size_t keys = 2000;
constexpr std::size_t rounds = 3;

struct Cost {
  double alone;  // a get
  double many;   // a get among many in flight
  double stored;
};

Cost cost_with(std::size_t nodes) {
  const SimulatedCluster cluster(nodes, [] { apart = true; });
  const auto cache = ValkeyCache::open(cluster.uri(), patient_options()).value();
  const auto names = many_keys(keys);
  std::vector<Future<void>> sets(keys);
  std::vector<Future<std::optional<std::string>>> gets(keys);
  const auto store = [&] {
    for (std::size_t i = 0; i < keys; ++i) sets[i] = cache.set(names[i], "v");
    for (auto& set : sets) EXPECT_TRUE(ok(set.get()));
  };
  const auto get_many = [&] {
    for (std::size_t i = 0; i < keys; ++i) gets[i] = cache.get(names[i]);
    // What was stored on one node is found there only.
    for (auto& got : gets) EXPECT_EQ(got.get().value(), "v");
  };
  const auto get_alone = [&] {
    for (const auto& name : names) EXPECT_EQ(cache.get(name).get().value(), "v");
  };
  // The least of some rounds: a look at who serves what, which may fall into one, is no part of a
  // call.
  const auto counted = [&](const auto& work) {
    work();  // until all pools are full
    auto least = std::numeric_limits<std::uint64_t>::max();
    for (std::size_t i = 0; i < rounds; ++i) {
      const auto before = allocations.load();
      work();
      least = std::min(least, allocations.load() - before);
    }
    return static_cast<double>(least) / keys;
  };
  store();
  EXPECT_TRUE(wait_until([&] { return cluster.connections() == nodes; }));
  return {.alone = counted(get_alone), .many = counted(get_many), .stored = counted(store)};
}

TEST(ClusterCost, DoesNotGrowWithTheNumberOfNodes) {
  const auto few = cost_with(3);
  for (const std::size_t nodes : {std::size_t{100}, std::size_t{1000}}) {
    const auto more = cost_with(nodes);
    EXPECT_LE(more.alone, few.alone + 0.05) << nodes;
    EXPECT_LE(more.many, few.many + 0.05) << nodes;
    EXPECT_LE(more.stored, few.stored + 0.05) << nodes;
  }
}

}  // namespace
