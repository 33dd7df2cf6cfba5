// The simulated Bedrock behind its transports: what it knows, and what it answers to a request.
#pragma once

#include <ctime>
#include <deque>
#include <functional>
#include <mutex>
#include <optional>
#include <string>
#include <vector>

#include "support/bedrock/simulated_bedrock.hpp"
#include "support/bedrock/simulated_reply.hpp"

namespace valkeycache::test {

// All members are thread-safe.
class SimulatedService {
 public:
  explicit SimulatedService(SimulatedBedrockOptions options);

  // Begins a call, where it is one: whoever sends the reply tells of its end by call_over(), once.
  Reply reply_to(const RecordedRequest& request);
  void call_over(bool answered, bool aborted);
  void connected();
  // So many bytes of a response are about to leave.
  void sending(std::size_t bytes);

  const SimulatedBedrockOptions options;

  // Set and read by tests.
  struct State {
    CallerRegistry callers;
    std::chrono::milliseconds delay{0};
    std::chrono::milliseconds stream_pace{0};
    std::chrono::seconds clock_offset{0};
    bool hold = false;
    std::string stop_reason = "end_turn";
    std::deque<Fault> faults;
    std::function<std::optional<Fault>(const RecordedRequest&)> rule;
    std::vector<RecordedRequest> requests;
    SimulatedBedrockStats stats;
  };
  // Runs f(state) under the mutex.
  template <class F>
  auto with_state(F f) {
    const std::lock_guard lock(mutex_);
    return f(state_);
  }

 private:
  // Under the mutex.
  [[nodiscard]] std::time_t now() const;
  Reply json_reply(int status, std::string body, HeaderPairs headers = {});
  Reply error_reply(int status, const std::string& type, const std::string& message,
                    HeaderPairs headers = {});
  Reply stats_reply();
  std::optional<Reply> refuse(const RecordedRequest& request);
  std::optional<Fault> take_fault(const RecordedRequest& request);
  Reply answer(const RecordedRequest& request, const std::string& model,
               const std::string& operation, const std::optional<Fault>& fault);
  Reply stream_answer(Reply converse, const std::optional<Fault>& fault);
  Reply call_reply(const RecordedRequest& request);

  std::mutex mutex_;
  State state_;
};

}  // namespace valkeycache::test
