#include <valkeycache/llm.hpp>

#include <memory>
#include <semaphore>
#include <string>

#include <sys/wait.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "support/fork_at_rest.hpp"

#if defined(__SANITIZE_THREAD__)
#define NO_THREADS_AFTER_FORK 1
#elif defined(__has_feature)
#if __has_feature(thread_sanitizer)
#define NO_THREADS_AFTER_FORK 1
#endif
#endif

namespace {

using namespace valkeycache;

enum Outcome { fine = 0, no_forked_error = 1, no_answer_in_child = 2 };

Outcome in_child(std::shared_ptr<Llm> model) {
  const auto answer = model->complete(ChatRequest("a"), {}).get();
  if (answer || answer.error().code != ErrorCode::forked) return no_forked_error;
  model.reset();  // must not wait for the parent's threads
#ifndef NO_THREADS_AFTER_FORK
  const auto own = make_text_llm({}, [](const ChatRequest&) { return std::string("x"); });
  if (!own->complete(ChatRequest("a"), {}).get()) return no_answer_in_child;
#endif
  return fine;
}

TEST(BlockingLlmFork, TheChildGetsAnErrorAndMayMakeItsOwn) {
  std::binary_semaphore entered(0);
  std::binary_semaphore gate(0);
  auto llm = make_text_llm({}, [&](const ChatRequest&) {
    entered.release();
    gate.acquire();
    return std::string("x");
  });
  auto future = llm->complete(ChatRequest("a"), {});  // under way in the parent
  entered.acquire();
  const pid_t child = test::fork_at_rest();
  ASSERT_GE(child, 0);
  if (child == 0) _exit(in_child(std::move(llm)));
  int status = 0;
  ASSERT_EQ(waitpid(child, &status, 0), child);
  ASSERT_TRUE(WIFEXITED(status));
  EXPECT_EQ(WEXITSTATUS(status), fine);
  gate.release();
  EXPECT_TRUE(future.get());
}

}  // namespace
