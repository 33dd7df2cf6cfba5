// A few thousand damaged answers and streams, the same in every run: what must hold for any bytes
// holds.

#include <gtest/gtest.h>

#include "fuzz/response_properties.hpp"
#include "fuzz/stream_properties.hpp"
#include "support/corpus.hpp"
#include "support/mutator.hpp"

namespace {

using valkeycache::test::corpus_of;
using valkeycache::test::expect_holds;

TEST(Mutations, EventStreams) {
  const auto samples = corpus_of("event_stream");
  ASSERT_FALSE(samples.empty());
  expect_holds(valkeycache_fuzz::check_event_stream, samples, 3000);
}

TEST(Mutations, Responses) {
  const auto samples = corpus_of("response");
  ASSERT_FALSE(samples.empty());
  expect_holds(valkeycache_fuzz::check_response, samples, 10000);
}

}  // namespace
