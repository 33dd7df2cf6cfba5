#include "valkey/command.hpp"

#include <cstddef>
#include <string>

#include <gtest/gtest.h>

#include "valkey/decode.hpp"

namespace {

using namespace valkeycache::detail;
using Stored = PooledCommandFuture<void>;

TEST(Command, UsedAgainItKeepsTheMemoryOfShortRequestsOnly) {
  constexpr std::size_t longest_kept = 1024;
  for (const std::size_t size : {std::size_t{10}, longest_kept, std::size_t{100'000}}) {
    for (int i = 0; i < 3; ++i) {
      const auto command = Stored::make(&decode_stored);
      EXPECT_EQ(command->request, "") << size;
      EXPECT_LE(command->request.capacity(), longest_kept) << size;
      command->request.reserve(size);
      command->request.assign(size, 'x');
    }
  }
  EXPECT_LE(Stored::make(&decode_stored)->request.capacity(), longest_kept);
}

TEST(Command, UsedAgainItIsAsNew) {
  const Stored* const fresh = Stored::make(&decode_stored).get();
  int marker = 0;
  for (int i = 0; i < 3; ++i) {
    const auto command = Stored::make(&decode_stored);
    // With AddressSanitizer there is no pool.
    EXPECT_TRUE(nodes_kept == 0 || command.get() == fresh) << "the same one";
    EXPECT_EQ(command->home, nullptr);
    EXPECT_FALSE(command->anew || command->pinned || command->internal);
    command->home = reinterpret_cast<Pipeline*>(&marker);
    command->anew = command->pinned = command->internal = true;
  }
}

}  // namespace
