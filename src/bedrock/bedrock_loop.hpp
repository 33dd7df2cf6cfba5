// What is behind a BedrockClient: queue, attempts, retries and deadlines of all calls.
//
// Many threads: each leaves its calls in the inbox, and the client's thread carries them on. One
// thread alone that waits for what it asked takes the helm and carries its call itself, which saves
// two changes of thread, while the client's own thread only looks in now and then and takes over as
// soon as another thread, a continuation or an idle moment asks for it.
#pragma once

#include <valkeycache/detail/future_state.hpp>

#include <atomic>
#include <condition_variable>
#include <cstdint>
#include <memory>
#include <mutex>
#include <vector>

#include "aws/sigv4.hpp"
#include "base/helm.hpp"
#include "base/lone_caller.hpp"
#include "bedrock/bedrock_call.hpp"
#include "bedrock/bedrock_config.hpp"
#include "bedrock/credentials_cache.hpp"
#include "bedrock/http_engine.hpp"
#include "bedrock/retry_policy.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What tests put in the place of chance and of the machine's clock.
struct BedrockSeams {
  std::function<double()> random = {};
  std::function<std::chrono::system_clock::time_point()> wall_clock = {};
};

// run() is the thread's life; submit(), cancel(), resume(), deliver() and close() are for all
// threads and never block (submit() may send the request), help() is for those that wait.
// Everything else belongs to whoever holds the helm.
class BedrockLoop final : public WaitHelper, public std::enable_shared_from_this<BedrockLoop> {
 public:
  BedrockLoop(std::shared_ptr<const BedrockConfig> config, BedrockSeams seams);
  ~BedrockLoop();
  BedrockLoop(const BedrockLoop&) = delete;
  BedrockLoop& operator=(const BedrockLoop&) = delete;

  void run() noexcept;

  void help(FutureCore& future, const TimePoint* deadline) noexcept override;
  void helped() noexcept override;
  void go_on_alone() noexcept override;
  // Of the futures of calls. Keeps the loop's memory, so that they can ask it for help.
  [[nodiscard]] std::shared_ptr<const CallbackContext> context() const {
    return {shared_from_this(), config_->context.get()};
  }

  // False once it is closed; the call is then left alone.
  bool submit(std::shared_ptr<BedrockCall> call);
  void cancel(std::shared_ptr<BedrockCall> call);
  // There is room again for what a stream's exchange brings.
  void resume(std::shared_ptr<BedrockCall> call);
  // The result of a renewal of credentials.
  void deliver(Result<AwsCredentials> result);
  // All calls end with ErrorCode::closed, and run() returns.
  void close() noexcept;
  // Blocks until run() has done so, or for `timeout`; tells whether it has.
  bool wait_until_over(std::chrono::milliseconds timeout);

 private:
  using SteadyTime = std::chrono::steady_clock::time_point;
  using CallPointer = std::shared_ptr<BedrockCall>;

  // What other threads have left for this one.
  struct Inbox {
    std::vector<CallPointer> submitted;
    std::vector<CallPointer> cancelled;
    std::vector<CallPointer> resumed;
    std::optional<Result<AwsCredentials>> credentials;
    KeepContinuations::Kept continuations;
    bool close = false;

    [[nodiscard]] bool empty() const noexcept {
      return submitted.empty() && cancelled.empty() && resumed.empty() && !credentials &&
             continuations.empty() && !close;
    }
  };

  // Leaves something for the loop, and ends its sleep.
  template <class F>
  void tell(F leave);
  // The same, unless it takes no more: false.
  template <class F>
  bool tell_if_open(F leave);
  // By the calling thread itself, if it is alone and may. True: taken.
  bool submit_at_helm(const CallPointer& call) noexcept;
  bool nothing_left_for_us();
  // Ends the sleep of the client's thread, wherever it sleeps.
  void rouse() noexcept;
  // Of the client's thread. False: others have it, and may keep it.
  bool take_helm() noexcept;
  void turn_of_a_caller() noexcept;
  void wait(SteadyTime until) noexcept;
  void leave_helm(KeepContinuations::Kept kept, bool hand_over) noexcept;
  // True: one may sleep, for what is told from now on wakes.
  bool declare_asleep();

  void begin();
  // Does what can be done now.
  void turn() noexcept;
  void read_inbox();
  void take_inbox(Inbox& inbox);
  [[nodiscard]] SteadyTime next_time() const noexcept;

  void accept(const CallPointer& pointer);
  void enqueue(BedrockCall::Line::iterator before, const CallPointer& pointer);
  void on_credentials(Result<AwsCredentials> result);
  void fire_timers();
  void listen_from_now(BedrockCall& call);
  void on_silence_timer(const CallPointer& pointer);
  // The exchange is over; nothing of it may be waited for any more.
  void let_go_of_exchange(BedrockCall& call) noexcept;
  void start_queued();
  void start(const CallPointer& pointer);
  void attempt(BedrockCall& call);
  void on_done(BedrockCall& call, HttpResult result);
  void on_response(BedrockCall& call, HttpResponse response);
  void on_stream_stopped(BedrockCall& call);
  void on_failure(BedrockCall& call, Error error, RetryKind kind,
                  std::optional<std::chrono::milliseconds> hint);
  bool try_again_at_once(BedrockCall& call, RetryKind kind);
  void observe_clock(const HttpResponse& response);
  std::vector<std::string> make_headers(BedrockCall& call, const HeaderList& extra);
  void finish(BedrockCall& call, Result<Completion> result);
  void finish_all();
  void shut_down() noexcept;
  void log(LogLevel level, const std::string& message) const noexcept;

  // Runs f for a call; whatever it throws (there is no memory) ends that call alone.
  template <class F>
  void guarded(BedrockCall& call, F f) noexcept;

  const std::shared_ptr<const BedrockConfig> config_;
  const BedrockSeams seams_;

  std::mutex mutex_;
  std::condition_variable changed_;
  Inbox inbox_;
  bool asleep_ = false;
  bool closed_ = false;  // takes no more
  bool over_ = false;    // run() has returned

  // What the client's thread does between its turns.
  enum class Watch : std::uint8_t {
    sockets,  // as long as it needs to
    often,    // looks in at what the callers do
    seldom,   // the same; one of them has been at it for long
  };
  LoneCaller callers_{4};  // calls in a row; they are long
  Helm helm_;
  // Callers who wait carry the work on, and the client's thread stays out of their way. Changed
  // under the helm.
  std::atomic<bool> callers_steer_{false};
  // The client's thread is to take over.
  std::atomic<bool> take_over_{false};
  std::atomic<Watch> watch_{Watch::sockets};
  std::atomic<std::uint32_t> roused_{0};            // counts; where the client's thread parks
  std::atomic<std::uint32_t> helms_of_callers_{0};  // counts

  WakeEvent wake_;
  // Under the helm, all that follows (but HttpEngine::sleep()).
  std::unique_ptr<HttpEngine> engine_;
  const HttpEngine::Done done_;
  SigV4Signer signer_;
  RetryPolicy retry_policy_;
  CredentialsCache credentials_;
  std::chrono::seconds clock_offset_{0};
  bool closing_ = false;
  std::size_t running_ = 0;
  // A call that ends leaves its line at once: there may be any number, and they hold their bodies.
  BedrockCall::Line queue_;
  BedrockCall::Line awaiting_credentials_;
  BedrockCall::Timers deadlines_;  // holds every call that was accepted and is not over
  BedrockCall::Timers retry_timers_;
  BedrockCall::Timers silence_timers_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
