// Everything that may go wrong on the other side: typed errors, and what is tried again.
#include <atomic>
#include <string>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"

namespace valkeycache::test {
namespace {

class BedrockFaults : public BedrockTest {
 protected:
  // With the fault once: how many requests there were until the answer or the error.
  std::size_t requests_with(const Fault& fault, Result<Completion>& answer) {
    auto bedrock = client();
    const auto before = server_.calls();
    server_.add_fault(fault);
    answer = ask(bedrock);
    return server_.calls() - before;
  }
  Result<Completion> answer_{Error{}};
};

TEST_F(BedrockFaults, PassingFaultsAreTriedAgain) {
  for (const auto& fault : {faults::throttled(), faults::internal_error(), faults::unavailable(),
                            faults::error(429, "ModelNotReadyException"), faults::error(502, ""),
                            faults::error(504, ""), faults::reset(), faults::raw("")}) {
    SCOPED_TRACE(std::to_string(fault.status) + " " + fault.type);
    EXPECT_EQ(requests_with(fault, answer_), 2u);
    EXPECT_TRUE(ok(answer_));
  }
}

TEST_F(BedrockFaults, LastingFaultsAreNot) {
  struct Case {
    Fault fault;
    ErrorCode code;
    const char* server_code;
  };
  const Case cases[] = {
      {faults::model_timeout(), ErrorCode::model_timeout, "ModelTimeoutException"},
      {faults::model_error(), ErrorCode::model_error, "ModelErrorException"},
      {faults::error(400, "ValidationException"), ErrorCode::invalid_request,
       "ValidationException"},
      {faults::error(403, "AccessDeniedException"), ErrorCode::access_denied,
       "AccessDeniedException"},
      {faults::error(404, "ResourceNotFoundException"), ErrorCode::not_found,
       "ResourceNotFoundException"},
      {faults::error(403, "UnrecognizedClientException"), ErrorCode::credentials,
       "UnrecognizedClientException"},
      {faults::error(403, "InvalidSignatureException"), ErrorCode::credentials,
       "InvalidSignatureException"},
      {faults::expired_token(), ErrorCode::credentials, "ExpiredTokenException"},
      {faults::error(302, ""), ErrorCode::invalid_response, ""},
  };
  for (const auto& one : cases) {
    SCOPED_TRACE(one.server_code);
    EXPECT_EQ(requests_with(one.fault, answer_), 1u);
    EXPECT_TRUE(fails_with(answer_, one.code));
    EXPECT_EQ(answer_.error().server_code, one.server_code);
    EXPECT_EQ(answer_.error().http_status, one.fault.status);
    EXPECT_FALSE(answer_.error().request_id.empty());
  }
}

TEST_F(BedrockFaults, BrokenAnswersAreNeitherTriedAgainNorTaken) {
  const Fault cases[] = {
      faults::with_body(""),
      faults::with_body("[1,2,3]"),
      faults::with_body("{}"),
      faults::with_body(R"({"output":{},"stopReason":"end_turn"})"),
      faults::with_body("{\"output\":"),
      faults::with_body("{\"output\":{\"message\":{\"role\":\"assistant\",\"content\":[{\"text\":"
                        "\"\xff\"}]}},\"stopReason\":\"end_turn\"}"),
      faults::with_body("<html>", "text/html"),
      faults::with_body(std::string(300000, '[')),
      {.content_type = "text/plain"},
      {.headers = {{"x-amzn-ErrorType", "ThrottlingException"}}},
      faults::raw("this is no HTTP\r\n\r\n"),
  };
  for (const auto& fault : cases) {
    EXPECT_EQ(requests_with(fault, answer_), 1u);
    EXPECT_TRUE(fails_with(answer_, ErrorCode::invalid_response));
    EXPECT_TRUE(answer_.error().maybe_applied);
    EXPECT_FALSE(answer_.error().retryable);
  }
}

TEST_F(BedrockFaults, AnAnswerThatBreaksOffMayHaveBeenPaidFor) {
  for (const auto& fault : {faults::truncated(), faults::reset_in_body(),
                            faults::raw("HTTP/1.1 200 OK\r\nContent-Length: 100\r\n\r\n{")}) {
    EXPECT_EQ(requests_with(fault, answer_), 1u);
    EXPECT_TRUE(fails_with(answer_, ErrorCode::transport));
    EXPECT_TRUE(answer_.error().retryable);
    EXPECT_TRUE(answer_.error().maybe_applied);
  }
}

TEST_F(BedrockFaults, AnErrorThatBreaksOffIsStillThatError) {
  auto fault = faults::throttled();
  fault.cut_body_at = 3;
  EXPECT_EQ(requests_with(fault, answer_), 2u);
  EXPECT_TRUE(ok(answer_));
}

TEST_F(BedrockFaults, SlowBytesAddUpToAnAnswer) {
  EXPECT_EQ(requests_with(faults::slow(40, 1ms), answer_), 1u);
  EXPECT_TRUE(ok(answer_));
}

TEST_F(BedrockFaults, AttemptsEnd) {
  auto bedrock = client();
  server_.add_fault(faults::unavailable(), 10);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::model_unavailable));
  EXPECT_EQ(answer.error().message,
            "Bedrock answered 503 ServiceUnavailableException (after 3 attempts)");
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_EQ(server_.calls(), 3u);
  EXPECT_EQ(log_.count("attempt 1 of 3"), 1u);
  EXPECT_EQ(log_.count("attempt 2 of 3"), 1u);
}

TEST_F(BedrockFaults, MaxAttempts) {
  auto once = options();
  once.max_attempts = 1;
  auto bedrock = client(once);
  server_.add_fault(faults::unavailable());
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::model_unavailable));
  EXPECT_EQ(server_.calls(), 1u);
  variables_["AWS_MAX_ATTEMPTS"] = "5";
  auto patient = client();
  server_.add_fault(faults::unavailable(), 4);
  EXPECT_TRUE(ok(ask(patient)));
  EXPECT_EQ(server_.calls(), 6u);
}

TEST_F(BedrockFaults, LostConnectionsAreNotSentAgainBehindOurBack) {
  auto once = options();
  once.max_attempts = 1;
  auto bedrock = client(once);
  ASSERT_TRUE(ok(ask(bedrock)));  // so that there is a connection to reuse
  server_.add_fault(faults::reset());
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_EQ(server_.calls(), 2u);
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockFaults, TheServicesHintIsWaitedFor) {
  auto bedrock = client();
  server_.add_fault(faults::throttled(300ms));
  const auto began = std::chrono::steady_clock::now();
  ASSERT_TRUE(ok(ask(bedrock)));
  EXPECT_GE(std::chrono::steady_clock::now() - began, 300ms);
}

TEST_F(BedrockFaults, NoWaitPassesTheDeadline) {
  auto bedrock = client();
  server_.add_fault(faults::throttled(60s));
  const auto answer = ask(bedrock, {.timeout = 4s});
  EXPECT_TRUE(fails_with(answer, ErrorCode::throttled)) << "the last error, at once";
  EXPECT_EQ(server_.calls(), 1u);
}

TEST_F(BedrockFaults, AModelThatTakesTooLongIsNotAskedAgain) {
  auto bedrock = client();
  ASSERT_TRUE(ok(ask(bedrock)));  // there is a connection
  server_.add_fault(faults::hang());
  const auto answer = ask(bedrock, {.timeout = 200ms});
  EXPECT_TRUE(fails_with(answer, ErrorCode::timeout));
  EXPECT_TRUE(answer.error().maybe_applied);
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_TRUE(wait_until([this] { return server_.stats().aborted == 1; }))
      << "the exchange is closed";
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockFaults, TheClientsTimeoutIsTheDefault) {
  auto impatient = options();
  impatient.timeout = 200ms;
  auto bedrock = client(impatient);
  server_.add_fault(faults::hang());
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::timeout));
}

TEST_F(BedrockFaults, NobodyListens) {
  auto nowhere = options();
  {
    const SimulatedBedrock gone;
    nowhere.endpoint = gone.url();
  }
  auto bedrock = client(nowhere);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::transport));
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_FALSE(answer.error().maybe_applied) << "nothing was sent";
  EXPECT_NE(answer.error().message.find("after 3 attempts"), std::string::npos);
}

TEST_F(BedrockFaults, AnswersOverTheLimitAreCutOff) {
  auto limited = options();
  limited.max_response_bytes = 1000;
  auto bedrock = client(limited);
  server_.add_fault(faults::with_body(std::string(5 << 20, 'x')));
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::too_large));
  server_.add_fault(faults::raw(  // chunked: nobody says how long it will be
      "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nTransfer-Encoding: chunked\r\n\r\n"
      "3e9\r\n" +
      std::string(1001, 'x') + "\r\n0\r\n\r\n"));
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::too_large));
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockFaults, AnErrorOverTheLimitIsStillThatError) {
  auto limited = options();
  limited.max_response_bytes = 1000;
  auto bedrock = client(limited);
  const std::string page(5000, 'x');
  server_.add_fault(faults::error(503, "ServiceUnavailableException", page));
  server_.add_fault(faults::error(400, "ValidationException", page));
  const auto answer = ask(bedrock);
  EXPECT_TRUE(refused(answer, ErrorCode::invalid_request, "ValidationException"));
  EXPECT_EQ(answer.error().http_status, 400);
  EXPECT_EQ(server_.calls(), 2u) << "the first one was tried again";
}

TEST_F(BedrockFaults, RedirectsAreNotFollowed) {
  auto bedrock = client();
  for (const int status : {301, 302, 303, 307, 308}) {
    const SimulatedBedrock elsewhere;
    auto fault = faults::error(status, "");
    fault.headers.emplace_back("Location", elsewhere.url() + "/model/m/converse");
    const auto before = server_.calls();
    server_.add_fault(fault);
    const auto answer = ask(bedrock);
    EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_response));
    EXPECT_EQ(answer.error().http_status, status);
    EXPECT_EQ(server_.calls() - before, 1u);
    EXPECT_EQ(elsewhere.calls(), 0u) << "a signature is of no use there, a token all too much";
  }
}

// --- clock --------------------------------------------------------------------------------------

TEST_F(BedrockFaults, ASkewedClockIsCorrectedOnce) {
  for (const auto offset : {-3600s, 3600s}) {
    SimulatedBedrock server;
    server.set_clock_offset(offset);
    auto skewed = options();
    skewed.endpoint = server.url();
    auto bedrock = client(skewed);
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(server.calls(), 2u);
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(server.calls(), 3u) << "the correction lasts";
    server.set_clock_offset(0s);
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(server.calls(), 5u) << "and can be taken back";
  }
}

TEST_F(BedrockFaults, ASkewedClockIsCorrectedForStreams) {
  auto bedrock = client();
  server_.set_clock_offset(3600s);
  EXPECT_TRUE(ok(bedrock.stream(ChatRequest("x"), [](const StreamEvent&) {}).get()));
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockFaults, ASmallSkewNeedsNoCorrection) {
  auto bedrock = client();
  server_.set_clock_offset(200s);
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockFaults, AClockThatIsCenturiesAheadIsNotBelieved) {
  auto once = options();
  once.max_attempts = 1;
  auto bedrock = client(once);
  server_.set_clock_offset(std::chrono::seconds(7'000'000'000));  // the year 2248 by now
  auto unavailable = faults::unavailable();
  unavailable.before_authentication = true;
  server_.add_fault(unavailable);
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::model_unavailable));
  server_.set_clock_offset(0s);
  EXPECT_TRUE(ok(ask(bedrock)));
}

TEST_F(BedrockFaults, ASkewedClockWithoutAttemptsLeftIsToldOf) {
  auto once = options();
  once.max_attempts = 1;
  auto bedrock = client(once);
  server_.set_clock_offset(3600s);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_NE(answer.error().message.find("the clock of this machine is behind"), std::string::npos);
  EXPECT_TRUE(ok(ask(bedrock))) << "the next call knows better";
}

// --- renewal of credentials ---------------------------------------------------------------------

// Gives session tokens "token-1", "token-2", ... (or the same one again and again).
class CountingProvider : public AwsCredentialsProvider {
 public:
  explicit CountingProvider(bool changes = true) : changes_(changes) {}
  Result<AwsCredentials> credentials() override {
    const int number = ++asked;
    return AwsCredentials{.access_key_id = "AKID" + std::to_string(changes_ ? number : 1),
                          .secret_access_key = "secret",
                          .session_token = "token-" + std::to_string(changes_ ? number : 1)};
  }
  std::atomic<int> asked{0};

 private:
  const bool changes_;
};

class BedrockRenewal : public BedrockFaults {
 protected:
  BedrockRenewal() {
    for (const auto* number : {"1", "2", "3"}) {
      server_.add_caller(std::string("AKID") + number, {"secret", std::string("token-") + number});
    }
  }
  BedrockClient client_with(std::shared_ptr<AwsCredentialsProvider> provider) {
    auto with_provider = options();
    with_provider.credentials.reset();
    with_provider.credentials_provider = std::move(provider);
    return client(with_provider);
  }
};

TEST_F(BedrockRenewal, ExpiredTokensAreRenewedOnce) {
  const auto provider = std::make_shared<CountingProvider>();
  auto bedrock = client_with(provider);
  EXPECT_TRUE(ok(ask(bedrock)));
  server_.expire_token("token-1");
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(provider->asked, 2);
  EXPECT_EQ(server_.calls(), 3u);
  EXPECT_EQ(header_value(server_.requests().at(2).headers, "x-amz-security-token"), "token-2");
}

TEST_F(BedrockRenewal, StreamsRenewThemToo) {
  const auto provider = std::make_shared<CountingProvider>();
  auto bedrock = client_with(provider);
  server_.expire_token("token-1");
  int starts = 0;
  const auto answer = bedrock
                          .stream(ChatRequest("x"),
                                  [&starts](const StreamEvent& event) {
                                    starts += event.type == StreamEvent::Type::message_start;
                                  })
                          .get();
  EXPECT_TRUE(ok(answer));
  EXPECT_EQ(starts, 1);
  EXPECT_EQ(provider->asked, 2);
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockRenewal, RenewalIsNotRepeatedForOneCall) {
  const auto provider = std::make_shared<CountingProvider>();
  auto bedrock = client_with(provider);
  for (const auto* token : {"token-1", "token-2", "token-3"}) server_.expire_token(token);
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_EQ(answer.error().server_code, "ExpiredTokenException");
  EXPECT_EQ(server_.calls(), 2u);
}

TEST_F(BedrockRenewal, WhatFailsAfterARenewalIsTriedAgain) {
  class Telling : public CountingProvider {
   public:
    explicit Telling(std::function<void()> renewed) : renewed_(std::move(renewed)) {}
    Result<AwsCredentials> credentials() override {
      auto made = CountingProvider::credentials();
      if (asked == 2) renewed_();
      return made;
    }

   private:
    const std::function<void()> renewed_;
  };
  const std::function<void()> troubles[] = {[this] { server_.add_fault(faults::unavailable()); },
                                            [this] {
                                              server_.set_clock_offset(3600s);
                                            }};
  server_.expire_token("token-1");
  for (const auto& trouble : troubles) {
    const auto before = server_.calls();
    auto bedrock = client_with(std::make_shared<Telling>(trouble));
    EXPECT_TRUE(ok(ask(bedrock)));
    EXPECT_EQ(server_.calls(), before + 3);
  }
}

TEST_F(BedrockRenewal, TheSameCredentialsAreNotTriedAgain) {
  const auto provider = std::make_shared<CountingProvider>(false);
  auto bedrock = client_with(provider);
  server_.expire_token("token-1");
  const auto answer = ask(bedrock);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_EQ(answer.error().server_code, "ExpiredTokenException");
  EXPECT_EQ(server_.calls(), 1u);
  EXPECT_EQ(provider->asked, 2);
}

TEST_F(BedrockRenewal, ACallThatMayNotTryAgainRenewsForTheNext) {
  const auto provider = std::make_shared<CountingProvider>();
  auto once = options();
  once.credentials.reset();
  once.credentials_provider = provider;
  once.max_attempts = 1;
  auto bedrock = client(once);
  EXPECT_TRUE(ok(ask(bedrock)));
  server_.expire_token("token-1");
  EXPECT_TRUE(fails_with(ask(bedrock), ErrorCode::credentials));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_EQ(provider->asked, 2);
  EXPECT_EQ(server_.calls(), 3u);
}

// Gives keys that are soon to be renewed, and after that none.
class FailingProvider : public AwsCredentialsProvider {
 public:
  Result<AwsCredentials> credentials() override {
    if (asked++ > 0) return Error{.code = ErrorCode::credentials, .message = "hunter2"};
    return AwsCredentials{.access_key_id = simulated_access_key,
                          .secret_access_key = simulated_secret_key,
                          .expires = std::chrono::system_clock::now() + 4min};
  }
  std::atomic<int> asked{0};
};

TEST_F(BedrockRenewal, ThatFailsEarlyIsToldOfWhileTheOldOnesServe) {
  const auto provider = std::make_shared<FailingProvider>();
  auto bedrock = client_with(provider);
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_TRUE(wait_until([this] { return log_.count("the old ones serve on") > 0; }));
  EXPECT_TRUE(ok(ask(bedrock)));
  EXPECT_GE(provider->asked, 2);
  EXPECT_EQ(log_.count("hunter2"), 0u);
}

TEST_F(BedrockRenewal, ManyCallsAskTheProviderOnce) {
  const auto provider = std::make_shared<CountingProvider>();
  auto bedrock = client_with(provider);
  std::vector<Future<Completion>> futures;
  for (int i = 0; i < 50; ++i) futures.push_back(bedrock.complete(ChatRequest("x")));
  for (auto& future : futures) EXPECT_TRUE(ok(future.get()));
  EXPECT_EQ(provider->asked, 1);
}

// --- secrets ------------------------------------------------------------------------------------

class BedrockSecrets : public BedrockTest {
 protected:
  BedrockSecrets() : BedrockTest({.session_token = "session-hunter2", .bearer_token = "right"}) {}

  void expect_no_secret(const Error& error) const {
    for (const auto* secret : {"hunter2", "PROMPT", guide_question}) {
      for (const auto& text : {error.message, error.server_code, error.request_id}) {
        EXPECT_EQ(text.find(secret), std::string::npos) << text;
      }
      EXPECT_EQ(log_.count(secret), 0u) << secret;
    }
  }
};

TEST_F(BedrockSecrets, AppearInNoErrorAndNoLog) {
  auto wrong_key = options();
  wrong_key.credentials = AwsCredentials{.access_key_id = simulated_access_key,
                                         .secret_access_key = "secret-hunter2",
                                         .session_token = "session-hunter2"};
  auto bedrock = client(wrong_key);
  auto answer = ask(bedrock);  // the service answers with the token in clear
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  EXPECT_NE(answer.error().message.find("secret access key does not belong"), std::string::npos);
  expect_no_secret(answer.error());

  auto wrong_bearer = options();
  wrong_bearer.bearer_token = "bearer-hunter2";
  auto with_bearer = client(wrong_bearer);
  answer = ask(with_bearer);
  EXPECT_TRUE(fails_with(answer, ErrorCode::credentials));
  expect_no_secret(answer.error());

  auto right_key = wrong_key;
  right_key.credentials->secret_access_key = simulated_secret_key;
  right_key.headers = {{"X-Secret", "hunter2"}};
  auto good = client(right_key);
  answer = good.complete(ChatRequest("PROMPT").temperature(2.0)).get();  // it quotes the request
  EXPECT_TRUE(fails_with(answer, ErrorCode::invalid_request));
  expect_no_secret(answer.error());

  for (const auto& fault : {faults::error(429, "PROMPT hunter2", "PROMPT"),
                            faults::error(503, "", "PROMPT"), faults::with_body("\"PROMPT\""),
                            faults::raw("PROMPT hunter2"), faults::reset(), faults::truncated()}) {
    server_.add_fault(fault, 4);  // three attempts, and one for a connection that was kept
    answer = good.complete(ChatRequest("PROMPT")).get();
    EXPECT_FALSE(answer.has_value());
    expect_no_secret(answer.error());
    while (good.complete(ChatRequest("PROMPT")).get().has_value() == false) {
    }
  }
}

}  // namespace
}  // namespace valkeycache::test
