#include "bedrock/bedrock_loop.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include <curl/curl.h>

#include "base/io_thread.hpp"
#include "bedrock/converse.hpp"
#include "bedrock/invoke_model.hpp"
#include "bedrock/service_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Milliseconds = std::chrono::milliseconds;
using Stage = BedrockCall::Stage;

constexpr std::chrono::minutes clock_tolerance{4};  // the service takes five either way
// The year 2200. Who says it is later is not believed, nor could it be counted in nanoseconds.
constexpr std::time_t latest_date = 7'258'118'400;
constexpr Milliseconds slow_callback{10};
constexpr std::chrono::seconds patience_with_provider{1};

std::function<double()> own_random() {
  return [generator = std::mt19937_64(std::random_device()()),
          numbers = std::uniform_real_distribution<double>()]() mutable {
    return numbers(generator);
  };
}

HttpSettings http_settings(const BedrockConfig& config) {
  return {.user_agent = "valkeycache/" VALKEYCACHE_VERSION_STRING,
          .ca_file = config.ca_file,
          .connect_timeout = config.connect_timeout,
          .max_response_bytes = config.max_response_bytes,
          .max_idle_connections = config.max_concurrent,
          .https = config.endpoint.is_https(),
          // What is meant for this machine, a token over plain http perhaps, leaves it by no proxy.
          .bypass_proxy = config.endpoint.is_loopback()};
}

std::string header_line(std::string_view name, std::string_view value) {
  std::string line;
  line.reserve(name.size() + value.size() + 2);
  line.append(name);
  // libcurl takes a header without a value for the wish to leave it out.
  if (value.find_first_not_of(" \t") == std::string_view::npos) return line += ';';
  return line.append(": ").append(value);
}

Error closed_error(bool maybe_applied) {
  return {.code = ErrorCode::closed,
          .message = "the BedrockClient was destroyed before the answer came",
          .maybe_applied = maybe_applied};
}

Error cancelled_error(bool maybe_applied) {
  return {.code = ErrorCode::cancelled,
          .message = "the call was cancelled by its stop_token",
          .maybe_applied = maybe_applied};
}

const char* describe(Stage stage) noexcept {
  switch (stage) {
    case Stage::submitted:
    case Stage::queued:
      return "while the call waited for its turn (max_concurrent exchanges were under way)";
    case Stage::fetching_credentials:
      return "while AWS credentials were fetched";
    case Stage::starting:
    case Stage::running:
      return "while Bedrock's answer was awaited";
    case Stage::backing_off:
    case Stage::over:
      break;
  }
  return "between two attempts";
}

Error timeout_error(const BedrockCall& call) {
  return {.code = ErrorCode::timeout,
          .message = "the time of " + std::to_string(call.timeout.count()) + " ms ran out " +
                     describe(call.stage),
          .retryable = true,
          .maybe_applied = call.maybe_applied};
}

Milliseconds longest_silence(const BedrockConfig& config, const BedrockCall& call) {
  return call.stream ? config.stream_read_timeout : config.read_timeout;
}

Error transport_error(const BedrockConfig& config, const HttpResult& result,
                      std::string_view what) {
  Error error{.code = ErrorCode::transport, .message = {}};
  error.message.append(what).append(" ").append(config.endpoint.authority);
  if (*result.detail != '\0') error.message.append(": ").append(result.detail);
  error.http_status = result.response.status;
  error.request_id = clean_request_id(result.response.request_id);
  return error;
}

}  // namespace

BedrockLoop::BedrockLoop(std::shared_ptr<const BedrockConfig> config, BedrockSeams seams)
    : config_(std::move(config)),
      seams_(std::move(seams)),
      engine_(std::make_unique<HttpEngine>(http_settings(*config_), wake_)),
      done_([this](void* owner, HttpResult result) {
        auto& call = *static_cast<BedrockCall*>(owner);
        guarded(call, [&] { on_done(call, std::move(result)); });
      }),
      signer_(config_->region, "bedrock"),
      retry_policy_(config_->max_attempts, seams_.random ? seams_.random : own_random()) {
  helm_.take();  // run()'s, who begins
}

BedrockLoop::~BedrockLoop() = default;

void BedrockLoop::log(LogLevel level, const std::string& message) const noexcept {
  report(config_->context->log, level, "bedrock", message);
}

// Before its first turn.
void BedrockLoop::begin() {
  if (config_->static_credentials) {
    credentials_ = CredentialsCache(*config_->static_credentials);
    return;
  }
  credentials_ =
      CredentialsCache(config_->provider, [loop = weak_from_this()](Result<AwsCredentials> result) {
        if (const auto alive = loop.lock()) alive->deliver(std::move(result));
      });
}

void BedrockLoop::turn() noexcept {
  try {
    read_inbox();
    if (closing_) return;
    start_queued();
    engine_->run(done_);
    fire_timers();
    start_queued();
  } catch (...) {  // There is no memory; the calls that it hit end as abandoned.
  }
}

void BedrockLoop::read_inbox() {
  Inbox inbox;
  take_inbox(inbox);
  closing_ = closing_ || inbox.close;
  for (auto& continuation : inbox.continuations) run_or_keep(std::move(continuation));
  for (const auto& call : inbox.submitted) accept(call);
  for (const auto& call : inbox.cancelled) {
    if (call->stage == Stage::submitted) continue;  // accept() will see to it
    finish(*call, cancelled_error(call->maybe_applied));
  }
  for (const auto& call : inbox.resumed) {
    if (call->exchange) engine_->resume(call->exchange);
  }
  if (inbox.credentials) on_credentials(*std::move(inbox.credentials));
}

void BedrockLoop::take_inbox(Inbox& inbox) {
  const std::lock_guard lock(mutex_);
  asleep_ = false;
  std::swap(inbox, inbox_);
}

BedrockLoop::SteadyTime BedrockLoop::next_time() const noexcept {
  auto next = engine_->next_time();
  for (const auto* timers : {&deadlines_, &retry_timers_, &silence_timers_}) {
    if (!timers->empty()) next = std::min(next, timers->begin()->first);
  }
  return next;
}

template <class F>
void BedrockLoop::guarded(BedrockCall& call, F f) noexcept {
  const auto alive = call.shared_from_this();
  try {
    f();
  } catch (...) {
    finish(call, Error{.code = ErrorCode::overloaded,
                       .message = "there is not enough memory for the call",
                       .retryable = true,
                       .maybe_applied = call.maybe_applied});
  }
}

void BedrockLoop::accept(const CallPointer& pointer) {
  auto& call = *pointer;
  call.deadline_timer = deadlines_.emplace(call.deadline, pointer);
  if (call.stop.stop_requested()) {
    finish(call, cancelled_error(false));
  } else {
    enqueue(queue_.end(), pointer);
  }
}

void BedrockLoop::enqueue(BedrockCall::Line::iterator before, const CallPointer& pointer) {
  pointer->place = queue_.insert(before, pointer);
  pointer->stage = Stage::queued;
}

void BedrockLoop::on_credentials(Result<AwsCredentials> result) {
  const bool failed = !result;
  const auto error = credentials_.renewed(std::move(result), std::chrono::system_clock::now());
  if (failed && !error) {
    log(LogLevel::warning, "AWS credentials could not be renewed; the old ones serve on");
  }
  if (error) {
    while (!awaiting_credentials_.empty()) finish(*awaiting_credentials_.front(), *error);
  } else {
    for (const auto& call : awaiting_credentials_) call->stage = Stage::queued;
    queue_.splice(queue_.end(), awaiting_credentials_);
  }
}

void BedrockLoop::fire_timers() {
  const auto now = std::chrono::steady_clock::now();
  while (!deadlines_.empty() && deadlines_.begin()->first <= now) {
    const auto call = deadlines_.begin()->second;
    if (call->stream && call->stream->whole()) {
      finish(*call, call->stream->finish());  // all that is missing is the end of the exchange
    } else {
      finish(*call, timeout_error(*call));
    }
  }
  while (!retry_timers_.empty() && retry_timers_.begin()->first <= now) {
    enqueue(queue_.begin(), retry_timers_.begin()->second);  // it has waited before
    retry_timers_.erase(retry_timers_.begin());
  }
  while (!silence_timers_.empty() && silence_timers_.begin()->first <= now) {
    on_silence_timer(CallPointer(silence_timers_.begin()->second));
  }
}

void BedrockLoop::listen_from_now(BedrockCall& call) {
  const auto limit = longest_silence(*config_, call);
  if (limit <= Milliseconds::zero()) return;
  const auto now = std::chrono::steady_clock::now();
  call.silence_timer = silence_timers_.emplace(now + limit, call.shared_from_this());
}

void BedrockLoop::on_silence_timer(const CallPointer& pointer) {
  auto& call = *pointer;
  const auto limit = longest_silence(*config_, call);
  const auto now = std::chrono::steady_clock::now();
  // The wait for a connection has a limit of its own.
  const auto last = engine_->last_sign_of_life(call.exchange).value_or(now);
  auto timer = silence_timers_.extract(*call.silence_timer);
  timer.key() = last + limit;
  if (timer.key() > now) {
    call.silence_timer = silence_timers_.insert(std::move(timer));
    return;
  }
  call.silence_timer.reset();
  engine_->cancel(call.exchange);
  let_go_of_exchange(call);
  if (call.stream && call.stream->whole()) return finish(call, call.stream->finish());
  guarded(call, [&] {
    on_failure(call,
               {.code = ErrorCode::timeout,
                .message = "nothing came from " + config_->endpoint.authority + " for " +
                           std::to_string(limit.count()) + " ms",
                .retryable = true,
                .maybe_applied = true},
               config_->retry_read_timeouts ? RetryKind::transient : RetryKind::never, {});
  });
}

void BedrockLoop::let_go_of_exchange(BedrockCall& call) noexcept {
  call.exchange = nullptr;
  --running_;
  if (call.silence_timer) silence_timers_.erase(*std::exchange(call.silence_timer, std::nullopt));
}

void BedrockLoop::start_queued() {
  while (running_ < config_->max_concurrent && !queue_.empty()) {
    const auto call = std::move(queue_.front());
    queue_.pop_front();
    call->stage = Stage::starting;
    guarded(*call, [&] { start(call); });
  }
}

void BedrockLoop::start(const CallPointer& pointer) {
  auto& call = *pointer;
  if (config_->auth == AuthScheme::sigv4) {
    auto answer = credentials_.get(std::chrono::system_clock::now());
    if (answer.error) return finish(call, *std::move(answer.error));
    if (!answer.credentials) {
      call.place = awaiting_credentials_.insert(awaiting_credentials_.end(), pointer);
      call.stage = Stage::fetching_credentials;
      return;
    }
    const auto& used = call.credentials;
    if (call.renewed_credentials && used && call.last_error &&
        used->access_key_id == answer.credentials->access_key_id &&
        used->secret_access_key == answer.credentials->secret_access_key &&
        used->session_token == answer.credentials->session_token) {
      return finish(call, *std::move(call.last_error));  // "renewed" to what was refused
    }
    call.last_error.reset();
    call.credentials = std::move(answer.credentials);
  }
  attempt(call);
}

void BedrockLoop::attempt(BedrockCall& call) {
  HeaderList extra;
  if (config_->header_callback) {
    try {
      extra = config_->header_callback();
    } catch (...) {
      return finish(call, error_callback_failed());
    }
    if (auto error = check_headers(extra, config_->auth == AuthScheme::none)) {
      return finish(call, *std::move(error));
    }
  }
  const auto headers = make_headers(call, extra);
  const auto url = config_->endpoint.scheme + "://" + config_->endpoint.authority + call.target;
  call.exchange = engine_->post(url, headers, call.body, &call,
                                call.stream ? call.stream->begin_attempt() : nullptr,
                                retry_policy_.max_attempts() > 1);
  call.stage = Stage::running;
  ++running_;
  listen_from_now(call);
}

std::vector<std::string> BedrockLoop::make_headers(BedrockCall& call, const HeaderList& extra) {
  static constexpr std::string_view content_type = "application/json";
  const auto& host = config_->endpoint.authority;
  std::vector<std::string> lines;
  lines.reserve(config_->headers.size() + extra.size() + 7);
  lines.push_back(header_line("Host", host));
  lines.push_back(header_line("Content-Type", content_type));
  // Neither of libcurl's own.
  lines.push_back(call.invoke ? header_line("Accept", content_type) : "Accept:");
  lines.emplace_back("Expect:");
  if (config_->auth == AuthScheme::bearer) {
    lines.push_back(header_line("Authorization", config_->authorization));
  } else if (config_->auth == AuthScheme::sigv4) {
    std::vector<HeaderView> to_sign{{"host", host}, {"content-type", content_type}};
    for (const auto* list : {&config_->headers, &extra}) {
      for (const auto& [name, value] : *list) {
        if (is_amz_header(name)) to_sign.push_back({name, value});
      }
    }
    call.clock_offset = clock_offset_;
    const auto now = seams_.wall_clock ? seams_.wall_clock() : std::chrono::system_clock::now();
    const auto made = signer_.sign(
        {.method = "POST", .path = call.target, .query = {}, .headers = to_sign, .body = call.body},
        *call.credentials, now + clock_offset_);
    lines.push_back(header_line("X-Amz-Date", made.x_amz_date));
    if (!call.credentials->session_token.empty()) {
      lines.push_back(header_line("X-Amz-Security-Token", call.credentials->session_token));
    }
    lines.push_back(header_line("Authorization", made.authorization));
  }
  for (const auto* list : {&config_->headers, &extra}) {
    for (const auto& [name, value] : *list) lines.push_back(header_line(name, value));
  }
  return lines;
}

void BedrockLoop::on_done(BedrockCall& call, HttpResult result) {
  let_go_of_exchange(call);
  if (result.repeated) {
    call.maybe_applied = true;
    log(LogLevel::info, "a kept connection had been closed; the request was sent again");
  }
  switch (result.outcome) {
    case HttpOutcome::response:
      return on_response(call, std::move(result.response));
    case HttpOutcome::truncated: {
      // The status says enough where it tells of a failure.
      if (result.response.status >= 400) return on_response(call, std::move(result.response));
      if (call.stream && call.stream->whole()) {
        return on_response(call, std::move(result.response));
      }
      auto error = transport_error(*config_, result, "the answer broke off:");
      error.retryable = error.maybe_applied = true;
      return on_failure(call, std::move(error), RetryKind::never, {});
    }
    case HttpOutcome::connect_failed: {
      auto error = transport_error(*config_, result, "no connection to");
      error.retryable = true;
      return on_failure(call, std::move(error), RetryKind::transient, {});
    }
    case HttpOutcome::proxy_refused: {
      auto error = transport_error(*config_, result, "the proxy gave no connection to");
      error.message.append(" (").append(std::to_string(error.http_status)).append(")");
      error.retryable = error.http_status >= 500;
      const auto kind = error.retryable ? RetryKind::transient : RetryKind::never;
      return on_failure(call, std::move(error), kind, {});
    }
    case HttpOutcome::lost: {
      auto error = transport_error(*config_, result, "the connection was lost to");
      error.retryable = error.maybe_applied = true;
      return on_failure(call, std::move(error), RetryKind::transient, {});
    }
    case HttpOutcome::tls_failed:
      return on_failure(call, transport_error(*config_, result, "no trusted connection to"),
                        RetryKind::never, {});
    case HttpOutcome::too_large:
      return on_failure(call,
                        {.code = ErrorCode::too_large,
                         .message = "the answer is over max_response_bytes (" +
                                    std::to_string(config_->max_response_bytes) + ")",
                         .maybe_applied = true,
                         .http_status = result.response.status},
                        RetryKind::never, {});
    case HttpOutcome::malformed: {
      auto error = transport_error(*config_, result, "what came is no HTTP response:");
      error.code = ErrorCode::invalid_response;
      error.maybe_applied = result.sent;
      return on_failure(call, std::move(error), RetryKind::never, {});
    }
    case HttpOutcome::stopped:
      return on_stream_stopped(call);
  }
}

void BedrockLoop::on_stream_stopped(BedrockCall& call) {
  auto failure = call.stream->failure();
  on_failure(call, std::move(failure.error), failure.retry, {});
}

void BedrockLoop::on_response(BedrockCall& call, HttpResponse response) {
  if (response.status == 200) {
    retry_policy_.succeeded(call.retries);
    if (call.stream) return finish(call, call.stream->finish(response));
    return finish(call, call.invoke ? parse_invoke_response(std::move(response))
                                    : parse_converse_response(response));
  }
  if (config_->auth == AuthScheme::sigv4) observe_clock(response);
  auto failure = make_service_error(response);
  on_failure(call, std::move(failure.error), failure.retry, response.retry_after);
}

void BedrockLoop::observe_clock(const HttpResponse& response) {
  if (response.date.empty()) return;
  const auto seconds = curl_getdate(response.date.c_str(), nullptr);
  if (seconds < 0 || seconds > latest_date) return;
  const auto now = seams_.wall_clock ? seams_.wall_clock() : std::chrono::system_clock::now();
  const auto offset = std::chrono::duration_cast<std::chrono::seconds>(
      std::chrono::system_clock::from_time_t(seconds) - now);
  if (std::chrono::abs(offset - clock_offset_) < clock_tolerance) return;
  clock_offset_ = offset;
  log(LogLevel::warning, "this machine's clock and the service's differ by " +
                             std::to_string(offset.count()) +
                             " s; requests are signed with the "
                             "service's time");
}

void BedrockLoop::on_failure(BedrockCall& call, Error error, RetryKind kind,
                             std::optional<Milliseconds> hint) {
  if (call.stream && call.stream->begun()) {  // it cannot be taken back
    kind = RetryKind::never;
    error.maybe_applied = true;
  }
  call.maybe_applied |= error.maybe_applied;
  error.maybe_applied = call.maybe_applied;
  const auto attempts = call.retries.attempts;
  if (try_again_at_once(call, kind)) {
    if (kind == RetryKind::renew_credentials) call.last_error = std::move(error);
    return;
  }
  const auto now = std::chrono::steady_clock::now();
  const auto remaining = std::chrono::duration_cast<Milliseconds>(call.deadline - now);
  if (const auto delay = retry_policy_.next_delay(call.retries, kind, hint, remaining)) {
    call.stage = Stage::backing_off;
    call.retry_timer = retry_timers_.emplace(now + *delay, call.shared_from_this());
    log(LogLevel::info, error.message + "; attempt " + std::to_string(attempts) + " of " +
                            std::to_string(retry_policy_.max_attempts()) + ", again in " +
                            std::to_string(delay->count()) + " ms");
    return;
  }
  if (attempts > 1) error.message += " (after " + std::to_string(attempts) + " attempts)";
  finish(call, std::move(error));
}

bool BedrockLoop::try_again_at_once(BedrockCall& call, RetryKind kind) {
  if (config_->auth != AuthScheme::sigv4) return false;
  // Even where this call may not try again: the next one shall not meet the same refusal.
  const bool renewable = kind == RetryKind::renew_credentials &&
                         !std::exchange(call.renewed_credentials, true) &&
                         credentials_.reject(call.credentials);
  if (!retry_policy_.has_attempts_left(call.retries)) return false;
  if (kind == RetryKind::renew_credentials) {
    if (!renewable) return false;
  } else if (kind == RetryKind::correct_clock) {
    // Another call's response may have corrected it since this attempt was signed.
    if (clock_offset_ == call.clock_offset) return false;
    if (std::exchange(call.corrected_clock, true)) return false;
  } else {
    return false;
  }
  ++call.retries.attempts;
  enqueue(queue_.begin(), call.shared_from_this());
  return true;
}

void BedrockLoop::finish(BedrockCall& call, Result<Completion> result) {
  if (call.stage == Stage::over) return;
  const auto alive = call.shared_from_this();
  if (call.exchange) {
    const bool sent = engine_->cancel(call.exchange);
    let_go_of_exchange(call);
    if (sent && !result) {
      auto error = std::move(result).error();
      error.maybe_applied = true;
      result = Result<Completion>(std::move(error));
    }
  }
  if (call.stage == Stage::queued) queue_.erase(call.place);
  if (call.stage == Stage::fetching_credentials) awaiting_credentials_.erase(call.place);
  if (call.stage == Stage::backing_off) retry_timers_.erase(call.retry_timer);
  deadlines_.erase(call.deadline_timer);
  call.stage = Stage::over;
  call.on_stop.reset();
  if (call.stream) return call.stream->end(std::move(result));

  const auto began = std::chrono::steady_clock::now();
  call.promise.set(std::move(result));
  const auto took = std::chrono::steady_clock::now() - began;
  if (took > slow_callback) {
    log(LogLevel::warning,
        "a continuation held the Bedrock thread for " +
            std::to_string(std::chrono::duration_cast<Milliseconds>(took).count()) +
            " ms; all answers wait meanwhile: name an executor in the options");
  }
}

void BedrockLoop::finish_all() {
  while (!deadlines_.empty()) {
    const auto call = deadlines_.begin()->second;
    finish(*call, closed_error(call->maybe_applied));
  }
}

void BedrockLoop::shut_down() noexcept {
  // Nothing is submitted any more; what was, until just now, ends too.
  Inbox inbox;
  take_inbox(inbox);
  for (auto& continuation : inbox.continuations) continuation();
  for (const auto& call : inbox.submitted) accept(call);
  finish_all();
  std::stop_source(config_->credentials_stop).request_stop();

  std::unique_ptr<HttpEngine> engine;
  {
    std::unique_lock lock(mutex_);
    // A provider of the program's own should not outlive its client, if that can be had soon.
    if (credentials_.renewing() && !inbox.credentials) {
      changed_.wait_for(lock, patience_with_provider,
                        [this] { return inbox_.credentials.has_value(); });
    }
    engine = std::move(engine_);
  }
  engine.reset();
  const std::lock_guard lock(mutex_);
  over_ = true;
  changed_.notify_all();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
