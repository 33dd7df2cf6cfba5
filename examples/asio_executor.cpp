// Continuations on a Boost.Asio io_context, so that they share a thread with the program's own
// handlers and need no locks. (With the stand-alone Asio it is the same.)
#include <valkeycache/cached_llm.hpp>

#include <cstdlib>
#include <iostream>
#include <string>
#include <thread>

#include <boost/asio/executor_work_guard.hpp>
#include <boost/asio/io_context.hpp>
#include <boost/asio/post.hpp>

using namespace valkeycache;
using namespace std::chrono_literals;

int main() {
  boost::asio::io_context io;

  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto model = make_text_llm({.model = "echo"}, [](const ChatRequest& request) {
    return "you said: " + request.as_triple().value_or(ChatRequest::Triple{}).prompt;
  });
  CachedLlmOptions options;
  options.advanced.executor = [&io](Task task) {
    boost::asio::post(io, std::move(task));
  };
  const CachedLlm llm{cache, model, options};

  // While answers are awaited run() must not return for want of work.
  auto work = boost::asio::make_work_guard(io);
  int open = 3;  // no lock: all of it happens on this thread
  const auto here = std::this_thread::get_id();
  for (int i = 1; i <= 3; ++i) {
    (void)llm.ask("question " + std::to_string(i)).then([&](Result<CachedAnswer> answer) {
      std::cout << answer.value().response
                << (std::this_thread::get_id() == here ? ", on the loop" : ", elsewhere") << '\n';
      if (--open == 0) work.reset();
    });
  }
  io.run();
}
