// HTTP/2: many calls on one connection, and what may befall one stream or all of them.
#include <stop_token>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/certificate_files.hpp"

namespace valkeycache::test {
namespace {

struct HasFiles {
  CertificateFiles files;
};

class BedrockHttp2 : private HasFiles, public BedrockTest {
 protected:
  BedrockHttp2()
      : BedrockTest({.certificate_file = files.certificate(), .key_file = files.key()}) {}

  [[nodiscard]] BedrockOptions trusting() {
    auto made = options();
    made.ca_file = files.certificate();
    return made;
  }
  std::vector<Future<Completion>> ask_many(BedrockClient& bedrock, std::size_t count) {
    std::vector<Future<Completion>> futures;
    for (std::size_t i = 0; i < count; ++i) {
      futures.push_back(bedrock.complete(ChatRequest("prompt " + std::to_string(i))));
    }
    return futures;
  }
  bool wait_in_flight(std::size_t count) {
    return wait_until([this, count] { return server_.stats().in_flight == count; });
  }
};

TEST_F(BedrockHttp2, ManyCallsShareAConnection) {
  auto bedrock = client(trusting());
  server_.hold();
  auto futures = ask_many(bedrock, 60);
  EXPECT_TRUE(wait_in_flight(60));
  server_.release();
  for (std::size_t i = 0; i < futures.size(); ++i) {
    const auto answer = futures[i].get();
    ASSERT_TRUE(ok(answer));
    EXPECT_NE(answer->text.find("prompt " + std::to_string(i)), std::string::npos);
    EXPECT_FALSE(answer->request_id.empty());
  }
  EXPECT_EQ(server_.stats().connections, 1u);
}

TEST_F(BedrockHttp2, MoreCallsThanStreamsTakeMoreConnections) {
  auto bedrock = client(trusting());
  ASSERT_TRUE(ok(ask(bedrock)));
  server_.hold();
  auto futures = ask_many(bedrock, 256);
  EXPECT_TRUE(wait_in_flight(256)) << server_.stats().in_flight;
  server_.release();
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_LE(server_.stats().connections, 4u);
}

TEST_F(BedrockHttp2, CancellingEndsOneStreamAlone) {
  auto bedrock = client(trusting());
  server_.hold();
  std::stop_source stop;
  auto cancelled = bedrock.complete(ChatRequest("x"), {.stop_token = stop.get_token()});
  auto others = ask_many(bedrock, 5);
  EXPECT_TRUE(wait_in_flight(6));
  stop.request_stop();
  EXPECT_TRUE(fails_with(cancelled.get(), ErrorCode::cancelled));
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }));
  EXPECT_EQ(server_.stats().in_flight, 5u);
  server_.release();
  for (auto& future : others) EXPECT_TRUE(ok(future.get()));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.stats().connections, 1u);
}

TEST_F(BedrockHttp2, LargeRequestsArriveWhole) {
  auto bedrock = client(trusting());
  const std::string prompt(3 << 20, 'p');
  ASSERT_TRUE(ok(bedrock.complete(ChatRequest(prompt)).get()));
  EXPECT_NE(server_.requests().at(0).body.find(prompt), std::string::npos);
}

TEST_F(BedrockHttp2, ATimeOutEndsOneStreamAlone) {
  auto bedrock = client(trusting());
  server_.hold();
  auto others = ask_many(bedrock, 3);
  EXPECT_TRUE(wait_in_flight(3));
  EXPECT_TRUE(fails_with(ask(bedrock, {.timeout = 100ms}), ErrorCode::timeout));
  server_.release();
  for (auto& future : others) EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(server_.stats().connections, 1u);
}

TEST_F(BedrockHttp2, AStreamThatIsResetIsTriedAgain) {
  auto bedrock = client(trusting());
  ASSERT_TRUE(ok(ask(bedrock)));
  server_.add_fault(faults::stream_error(faults::h2_internal_error));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.calls(), 3u);
}

TEST_F(BedrockHttp2, WhatWasRefusedUnreadIsSentAgain) {
  for (const auto& fault :
       {faults::stream_error(faults::h2_refused_stream), faults::refused_by_goaway()}) {
    auto bedrock = client(trusting());
    ASSERT_TRUE(ok(ask(bedrock)));
    const auto before = server_.calls();
    server_.add_fault(fault);
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(server_.calls() - before, 2u);
  }
}

TEST_F(BedrockHttp2, AConnectionThatTakesNoMoreIsLeft) {
  auto bedrock = client(trusting());
  server_.add_fault({.close_after = true});  // GOAWAY after the answer
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.calls(), 2u);
  EXPECT_EQ(server_.stats().connections, 2u);
}

TEST_F(BedrockHttp2, AnswersThatBreakOff) {
  auto bedrock = client(trusting());
  for (const auto& fault :
       {faults::stream_error(faults::h2_internal_error, 20), faults::truncated()}) {
    const auto before = server_.calls();
    server_.add_fault(fault);
    const auto answer = ask(bedrock);
    EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
    EXPECT_TRUE(answer.error().retryable);
    EXPECT_TRUE(answer.error().maybe_applied);
    EXPECT_EQ(server_.calls() - before, 1u);
  }
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockHttp2, ABrokenConnectionTakesAllItsCallsWithIt) {
  auto bedrock = client(trusting());
  server_.hold();
  auto futures = ask_many(bedrock, 4);
  EXPECT_TRUE(wait_in_flight(4));
  auto fault = faults::unavailable();  // errors are not held back
  fault.reset = true;
  server_.add_fault(fault);
  auto last = bedrock.complete(ChatRequest("breaks it"));
  EXPECT_TRUE(wait_until([this] { return server_.calls() >= 10; })) << "each is sent again";
  server_.release();
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_TRUE(ok(last.get()));
  EXPECT_EQ(server_.calls(), 10u);
}

TEST_F(BedrockHttp2, SlowBytesAddUpToAnAnswer) {
  auto bedrock = client(trusting());
  server_.add_fault(faults::slow(40, 1ms));
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockHttp2, AnswersOverTheLimitAreCutOff) {
  auto limited = trusting();
  limited.max_response_bytes = 1000;
  auto bedrock = client(limited);
  server_.add_fault(faults::with_body(std::string(5 << 20, 'x')));
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::too_large));
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockHttp2, ServiceErrorsAreTheSame) {
  auto bedrock = client(trusting());
  server_.add_fault(faults::throttled());
  EXPECT_TRUE(ok(ask(bedrock)));
  server_.add_fault(faults::model_error());
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::model_error));
  EXPECT_EQ(answer.error().server_code, "ModelErrorException");
  auto stranger_options = trusting();
  stranger_options.credentials->secret_access_key = "wrong";
  auto stranger = client(stranger_options);
  EXPECT_TRUE(fails_with(ask(stranger), ErrorCode::credentials));
}

TEST_F(BedrockHttp2, GarbageIsNoAnswer) {
  auto bedrock = client(trusting());
  server_.add_fault(faults::raw("this is no HTTP/2 frame, not by any means"), 3);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::transport));
}

TEST_F(BedrockHttp2, TheEndOfTheClientEndsItsStreams) {
  std::vector<Future<Completion>> futures;
  server_.hold();
  {
    auto bedrock = client(trusting());
    futures = ask_many(bedrock, 5);
    EXPECT_TRUE(wait_in_flight(5));
  }
  for (auto& future : futures) EXPECT_TRUE(fails_with(future.get(), ErrorCode::closed));
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 5; }));
}

}  // namespace
}  // namespace valkeycache::test
