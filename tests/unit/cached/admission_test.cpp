#include "cached/admission.hpp"

#include <stdexcept>
#include <string>

#include <gtest/gtest.h>

#include "unit/cached/fake_llm.hpp"

namespace valkeycache {
namespace {

using detail::AdmissionRules;
using detail::judge_answer;
using detail::predicate_allows;
using detail::Rejection;
using test::answer_of;

TEST(Admission, AcceptsWholeAnswers) {
  EXPECT_EQ(judge_answer(answer_of("yes", "end_turn"), {}), Rejection::none);
  EXPECT_EQ(judge_answer(answer_of("yes", "stop_sequence"), {}), Rejection::none);
}

TEST(Admission, RejectsByStopReason) {
  for (const auto* reason : {"max_tokens", "tool_use", "model_context_window_exceeded", "refusal",
                             "", "END_TURN", "end_turn ", "something_new"}) {
    EXPECT_EQ(judge_answer(answer_of("yes", reason), {}), Rejection::stop_reason) << reason;
  }
  EXPECT_EQ(judge_answer(answer_of("no", "guardrail_intervened"), {}), Rejection::filtered);
  EXPECT_EQ(judge_answer(answer_of("no", "content_filtered"), {}), Rejection::filtered);
  EXPECT_EQ(judge_answer(answer_of("{", "malformed_model_output"), {}), Rejection::malformed);
  EXPECT_EQ(judge_answer(answer_of("{", "malformed_tool_use"), {}), Rejection::malformed);
}

TEST(Admission, EachChoiceAdmitsItsOwnStopReasonOnly) {
  const AdmissionRules max_tokens{.max_tokens = true};
  EXPECT_EQ(judge_answer(answer_of("yes", "max_tokens"), max_tokens), Rejection::none);
  EXPECT_EQ(judge_answer(answer_of("yes", "tool_use"), max_tokens), Rejection::stop_reason);

  const AdmissionRules tool_use{.tool_use = true};
  auto calls_tool = answer_of("", "tool_use");
  calls_tool.content = R"([{"toolUse":{"toolUseId":"1","name":"f","input":{}}}])";
  EXPECT_EQ(judge_answer(calls_tool, tool_use), Rejection::none);
  EXPECT_EQ(judge_answer(calls_tool, {}), Rejection::stop_reason);
  EXPECT_EQ(judge_answer(answer_of("yes", "max_tokens"), tool_use), Rejection::stop_reason);

  const AdmissionRules all{.max_tokens = true, .tool_use = true};
  EXPECT_EQ(judge_answer(answer_of("no", "guardrail_intervened"), all), Rejection::filtered);
}

// InvokeModel hands on what each model's maker calls it.
TEST(Admission, AnswersOfInvokeModel) {
  const AdmissionRules rules{.invoke = true};
  for (const auto* whole : {"", "end_turn", "stop_sequence", "stop", "FINISH", "COMPLETE"}) {
    EXPECT_EQ(judge_answer(answer_of("{}", whole), rules), Rejection::none) << whole;
  }
  for (const auto* other : {"max_tokens", "length", "LENGTH", "tool_use", "tool_calls", "novelty",
                            "FINISH,LENGTH", "pause_turn"}) {
    EXPECT_EQ(judge_answer(answer_of("{}", other), rules), Rejection::stop_reason) << other;
  }
  for (const auto* filtered :
       {"content_filtered", "CONTENT_FILTERED", "content_filter", "refusal"}) {
    EXPECT_EQ(judge_answer(answer_of("{}", filtered), rules), Rejection::filtered) << filtered;
  }
  EXPECT_EQ(judge_answer(answer_of("{}", "length"), {.max_tokens = true, .invoke = true}),
            Rejection::none);
  EXPECT_EQ(judge_answer(answer_of("{}", "tool_use"), {.tool_use = true, .invoke = true}),
            Rejection::none)
      << "the call stands in the text";
  EXPECT_EQ(judge_answer(answer_of("", ""), rules), Rejection::empty);
  // Of Converse they mean nothing.
  for (const auto* reason : {"", "stop", "FINISH", "length", "tool_calls"}) {
    EXPECT_EQ(judge_answer(answer_of("{}", reason), {.max_tokens = true, .tool_use = true}),
              Rejection::stop_reason)
        << reason;
  }
}

TEST(Admission, RejectsAnswersThatSayNothing) {
  EXPECT_EQ(judge_answer(answer_of(""), {}), Rejection::empty);
  EXPECT_EQ(judge_answer(answer_of(" \n\t"), {}), Rejection::empty);
  auto only_reasoning = answer_of("");
  only_reasoning.content = R"([{"reasoningContent":{"reasoningText":{"text":"hm"}}}])";
  EXPECT_EQ(judge_answer(only_reasoning, {}), Rejection::empty);
  EXPECT_EQ(judge_answer(answer_of("", "tool_use"), {.tool_use = true}), Rejection::empty);
}

TEST(Admission, RejectsWhatCannotFit) {
  const AdmissionRules rules{.max_bytes = 10};
  EXPECT_EQ(judge_answer(answer_of(std::string(10, 'x')), rules), Rejection::none);
  EXPECT_EQ(judge_answer(answer_of(std::string(11, 'x')), rules), Rejection::too_large);
  auto long_content = answer_of("x");
  long_content.content = std::string(11, ' ');
  EXPECT_EQ(judge_answer(long_content, rules), Rejection::too_large);
}

TEST(Admission, AsksThePredicate) {
  const ChatRequest request("prompt");
  bool threw = true;
  EXPECT_TRUE(predicate_allows({}, request, answer_of("a"), threw));
  EXPECT_FALSE(threw);
  const AdmissionPredicate only_b = [](const ChatRequest&, const Completion& completion) {
    return completion.text == "b";
  };
  EXPECT_FALSE(predicate_allows(only_b, request, answer_of("a"), threw));
  EXPECT_TRUE(predicate_allows(only_b, request, answer_of("b"), threw));
  EXPECT_FALSE(threw);
}

TEST(Admission, TakesAnExceptionOfThePredicateForNo) {
  bool threw = false;
  const AdmissionPredicate throws = [](const ChatRequest&, const Completion&) -> bool {
    throw std::runtime_error("text that nobody may see");
  };
  EXPECT_FALSE(predicate_allows(throws, ChatRequest("p"), answer_of("a"), threw));
  EXPECT_TRUE(threw);
}

}  // namespace
}  // namespace valkeycache
