#include "bedrock/bedrock_core.hpp"

#include <algorithm>
#include <atomic>
#include <system_error>
#include <utility>

#include "base/errors.hpp"
#include "base/fork.hpp"
#include "base/io_thread.hpp"
#include "bedrock/converse.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::chrono::seconds patience_with_callbacks{5};

// What a child process may neither use nor destroy: its parent's thread and sockets. Kept where it
// can be reached, so that no leak checker takes it for lost.
struct Abandoned {
  std::shared_ptr<BedrockLoop> loop;
  std::shared_ptr<StreamDelivery> delivery;
  std::thread* thread;
  Abandoned* next;
};
std::atomic<Abandoned*> abandoned{nullptr};

void abandon(std::shared_ptr<BedrockLoop> loop, std::shared_ptr<StreamDelivery> delivery,
             std::unique_ptr<std::thread> thread) {
  auto* entry =
      new Abandoned{std::move(loop), std::move(delivery), thread.release(), abandoned.load()};
  while (!abandoned.compare_exchange_weak(entry->next, entry)) {
  }
}

}  // namespace

BedrockCore::BedrockCore(std::shared_ptr<const BedrockConfig> config,
                         std::shared_ptr<BedrockLoop> loop)
    : config_(std::move(config)),
      loop_(std::move(loop)),
      delivery_(std::make_shared<StreamDelivery>(config_->context)),
      thread_(std::make_unique<std::thread>([running = loop_] { running->run(); })),
      generation_(fork_generation()) {}

Result<std::shared_ptr<BedrockCore>> BedrockCore::create(BedrockOptions options,
                                                         const Environment& environment,
                                                         BedrockSeams seams) {
  auto resolved = resolve_options(std::move(options), environment);
  if (!resolved) return std::move(resolved).error();
  if (!HttpEngine::initialize()) {
    return Error{.code = ErrorCode::unsupported, .message = "libcurl could not be initialised"};
  }
  auto config = std::make_shared<const BedrockConfig>(*std::move(resolved));
  try {
    auto loop = std::make_shared<BedrockLoop>(config, std::move(seams));
    // SIGPIPE above all: OpenSSL writes with write(), and libcurl told not to touch signals leaves
    // that to us.
    const AllSignalsBlocked blocked;
    return std::shared_ptr<BedrockCore>(new BedrockCore(std::move(config), std::move(loop)));
  } catch (const std::system_error&) {
    return Error{.code = ErrorCode::overloaded,
                 .message = "there are no descriptors, or no thread, left for the client",
                 .retryable = true};
  }
}

BedrockCore::~BedrockCore() {
  if (fork_generation() != generation_) {
    abandon(std::move(loop_), std::move(delivery_), std::move(thread_));
    return;
  }
  const auto deadline = std::chrono::steady_clock::now() + patience_with_callbacks;
  const bool wait = !on_io_thread();
  loop_->close();
  if (wait && loop_->wait_until_over(patience_with_callbacks)) {
    thread_->join();
  } else {
    thread_->detach();  // it keeps what it needs
  }
  delivery_->close(wait, deadline);
}

Result<std::shared_ptr<BedrockCall>> BedrockCore::make_call(const ChatRequest& request,
                                                            std::string_view operation,
                                                            const CallOptions& options) const {
  if (fork_generation() != generation_) {
    return Error{.code = ErrorCode::forked,
                 .message = "the BedrockClient belongs to the parent process; create one here"};
  }
  if (const auto* error = request.error()) return *error;
  const auto& model = request.model().empty() ? config_->model : request.model();
  if (model.empty()) {
    return error_invalid("model: neither the request nor the client's options name one");
  }
  const auto timeout = std::min(options.timeout.value_or(config_->timeout), longest_time);
  if (timeout <= std::chrono::milliseconds::zero()) {
    return Error{
        .code = ErrorCode::timeout, .message = "the call was given no time", .retryable = true};
  }
  auto call = std::make_shared<BedrockCall>(loop_->context());
  call->invoke = request.is_invoke();
  call->target = model_target(config_->endpoint.base_path, model, operation);
  call->body = request.to_json();
  call->timeout = timeout;
  call->deadline = std::chrono::steady_clock::now() + timeout;
  call->stop = options.stop_token;
  return call;
}

void BedrockCore::submit(const std::shared_ptr<BedrockCall>& call) {
  if (call->stop.stop_possible()) {
    call->on_stop.emplace(call->stop, [loop = std::weak_ptr(loop_), weak = std::weak_ptr(call),
                                       generation = generation_] {
      if (fork_generation() != generation) return;
      auto under_way = weak.lock();
      const auto alive = loop.lock();
      if (under_way && alive) alive->cancel(std::move(under_way));
    });
  }
  if (!loop_->submit(call)) {
    Error error{.code = ErrorCode::closed, .message = "the BedrockClient is being destroyed"};
    if (call->stream) {
      call->stream->end(std::move(error));
    } else {
      call->promise.set(std::move(error));
    }
  }
}

Future<Completion> BedrockCore::complete(const ChatRequest& request, CallOptions options) {
  const auto made =
      make_call(request, request.is_invoke() ? invoke_operation : converse_operation, options);
  if (!made) return make_ready_future<Completion>(made.error());
  auto future = (*made)->promise.future();
  FutureAccess::set_helper(future, loop_.get());
  submit(*made);
  return future;
}

Future<Completion> BedrockCore::stream(const ChatRequest& request, StreamHandler on_event,
                                       CallOptions options) {
  if (!on_event)
    return make_ready_future<Completion>(error_invalid("on_event: there is no handler"));
  if (request.is_invoke()) {
    return make_ready_future<Completion>(
        Error{.code = ErrorCode::unsupported,
              .message = "a request for InvokeModel cannot be streamed; use complete()"});
  }
  const auto made = make_call(request, converse_stream_operation, options);
  if (!made) return make_ready_future<Completion>(made.error());
  const auto& call = *made;
  auto future = call->promise.future();
  // The call leads to the channel, so the channel may only look for the call.
  const auto with_call = [loop = std::weak_ptr(loop_), weak = std::weak_ptr(call)](auto tell) {
    return [loop, weak, tell] {
      auto under_way = weak.lock();
      const auto alive = loop.lock();
      if (under_way && alive) ((*alive).*tell)(std::move(under_way));
    };
  };
  call->stream = std::make_shared<BedrockStream>(std::make_shared<StreamChannel>(
      StreamChannel::Setup{.promise = std::move(call->promise),
                           .handler = std::move(on_event),
                           .stop = call->stop,
                           .delivery = delivery_,
                           .on_room = with_call(&BedrockLoop::resume),
                           .on_give_up = with_call(&BedrockLoop::cancel)}));
  submit(call);
  return future;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
