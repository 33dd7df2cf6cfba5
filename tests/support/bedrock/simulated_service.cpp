#include "support/bedrock/simulated_service.hpp"

#include <algorithm>
#include <cstdio>
#include <utility>

#include <nlohmann/json.hpp>

#include "support/bedrock/event_frames.hpp"
#include "support/bedrock/simulated_model.hpp"
#include "support/bedrock/simulated_stream.hpp"

namespace valkeycache::test {
namespace {

constexpr std::size_t max_recorded = 20000;

std::string http_date(std::time_t now) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  char buffer[64];
  std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return buffer;
}

std::string percent_decoded(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

// "/any/base/model/{id}/{operation}"; nothing for another target.
struct Target {
  std::string model;
  std::string operation;
};
std::optional<Target> parse_target(const std::string& target) {
  static const std::string before = "/model/";
  const auto from = target.find(before);
  const auto slash = target.rfind('/');
  if (from == std::string::npos || slash <= from + before.size()) return std::nullopt;
  const auto id = target.substr(from + before.size(), slash - from - before.size());
  if (id.find('/') != std::string::npos) return std::nullopt;
  return Target{percent_decoded(id), target.substr(slash + 1)};
}

}  // namespace

SimulatedService::SimulatedService(SimulatedBedrockOptions given) : options(std::move(given)) {
  state_.delay = options.delay;
  state_.stream_pace = options.stream_pace;
  state_.callers.by_access_key[options.access_key] = {options.secret_key, options.session_token};
}

void SimulatedService::connected() {
  with_state([](State& state) { ++state.stats.connections; });
}

void SimulatedService::sending(std::size_t bytes) {
  with_state([&](State& state) { state.stats.bytes_sent += bytes; });
}

void SimulatedService::call_over(bool answered, bool aborted) {
  with_state([&](State& state) {
    --state.stats.in_flight;
    if (answered) ++state.stats.answers;
    if (aborted) ++state.stats.aborted;
  });
}

Reply SimulatedService::reply_to(const RecordedRequest& request) {
  return with_state([&](State& state) {
    if (request.method == "GET" && request.target == "/__stats") return stats_reply();
    if (state.requests.size() < max_recorded) state.requests.push_back(request);
    auto& stats = state.stats;
    ++stats.calls;
    ++stats.in_flight;
    stats.max_in_flight = std::max(stats.max_in_flight, stats.in_flight);
    auto reply = call_reply(request);
    reply.is_call = true;
    return reply;
  });
}

std::time_t SimulatedService::now() const {
  return std::time(nullptr) + state_.clock_offset.count();
}

Reply SimulatedService::json_reply(int status, std::string body, HeaderPairs headers) {
  char id[40];
  std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012zu", state_.stats.calls);
  headers.insert(
      headers.begin(),
      {{"Date", http_date(now())}, {"x-amzn-RequestId", id}, {"Content-Type", "application/json"}});
  Reply reply;
  reply.status = status;
  reply.headers = std::move(headers);
  reply.body = std::move(body);
  return reply;
}

Reply SimulatedService::error_reply(int status, const std::string& type, const std::string& message,
                                    HeaderPairs headers) {
  if (!type.empty()) {
    headers.emplace_back("x-amzn-ErrorType",
                         type + ":http://internal.amazon.com/coral/com.amazon.bedrock/");
  }
  return json_reply(status, nlohmann::json{{"message", message}}.dump(), std::move(headers));
}

Reply SimulatedService::stats_reply() {
  const auto& stats = state_.stats;
  return json_reply(200, nlohmann::json{{"connections", stats.connections},
                                        {"calls", stats.calls},
                                        {"answers", stats.answers},
                                        {"refused", stats.refused},
                                        {"faults", stats.faults},
                                        {"aborted", stats.aborted},
                                        {"in_flight", stats.in_flight}}
                                 .dump() +
                             "\n");
}

std::optional<Reply> SimulatedService::refuse(const RecordedRequest& request) {
  const auto authorization = header_value(request.headers, "authorization");
  if (authorization.empty()) {
    if (options.allow_anonymous) return std::nullopt;
    return error_reply(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  if (authorization.rfind("Bearer ", 0) == 0) {
    if (!options.bearer_token.empty() && authorization == "Bearer " + options.bearer_token) {
      return std::nullopt;
    }
    // As the service does it: no type, and a capital M.
    return json_reply(
        403, nlohmann::json{{"Message",
                             "Authentication failed: Please make sure your API Key is valid. Got " +
                                 authorization}}
                 .dump());
  }
  const auto refusal = check_signature(request, state_.callers, now(), options.region);
  if (refusal.type.empty()) return std::nullopt;
  return error_reply(403, refusal.type, refusal.message);
}

std::optional<Fault> SimulatedService::take_fault(const RecordedRequest& request) {
  auto& faults = state_.faults;
  if (!faults.empty()) {
    auto fault = std::move(faults.front());
    faults.pop_front();
    return fault;
  }
  return state_.rule ? state_.rule(request) : std::nullopt;
}

Reply SimulatedService::answer(const RecordedRequest& request, const std::string& model,
                               const std::string& operation, const std::optional<Fault>& fault) {
  auto simulated = operation == "invoke"
                       ? simulated_invoke(model, request.body)
                       : simulated_converse(model, request.body, state_.stop_reason, state_.delay);
  if (!simulated.validation_error.empty()) {
    return error_reply(400, "ValidationException", simulated.validation_error);
  }
  auto reply = json_reply(200, fault && fault->body ? *fault->body : std::move(simulated.body));
  if (fault) {
    if (fault->content_type) reply.headers.back().second = *fault->content_type;
    reply.headers.insert(reply.headers.end(), fault->headers.begin(), fault->headers.end());
  }
  reply.headers.insert(reply.headers.end(), simulated.headers.begin(), simulated.headers.end());
  reply.delay = state_.delay;
  reply.hold = state_.hold;
  return reply;
}

// Cut at random, into pieces that know nothing of frames; paced, frame by frame.
Reply SimulatedService::stream_answer(Reply converse, const std::optional<Fault>& fault) {
  const auto seed = static_cast<unsigned>(state_.stats.calls);
  auto frames = simulated_stream(converse.body, seed);
  if (!frames) return converse;
  auto reply = std::move(converse);
  reply.body.clear();
  reply.sized = false;
  reply.pace = state_.stream_pace;
  if (fault && fault->stream) {
    frames = spoiled(*std::move(frames), *fault->stream);
    reply.stall = fault->stream->stall;
  }
  for (const auto& frame : *frames) {
    reply.body += frame;
    if (reply.pace.count() != 0) reply.pieces.push_back(frame.size());
  }
  if (reply.pieces.empty()) {
    const std::size_t largest = reply.body.size() > 100000 ? 16384 : 60;
    reply.pieces = random_sizes(seed, largest, reply.body.size() / (largest / 2) * 2 + 2);
  }
  if (!fault || !fault->content_type) {
    for (auto& [name, value] : reply.headers) {
      if (name == "Content-Type") value = "application/vnd.amazon.eventstream";
    }
  }
  return reply;
}

Reply SimulatedService::call_reply(const RecordedRequest& request) {
  auto& stats = state_.stats;
  const bool fault_first = !state_.faults.empty() && state_.faults.front().before_authentication;
  if (!fault_first) {
    if (auto refusal = refuse(request)) {
      ++stats.refused;
      return *std::move(refusal);
    }
  }
  auto target = parse_target(request.target);
  const bool streamed = target && target->operation == "converse-stream";
  if (streamed) target->operation = "converse";
  if (request.method != "POST" || !target ||
      (target->operation != "converse" && target->operation != "invoke")) {
    return error_reply(404, "UnknownOperationException", "no such operation");
  }
  const auto fault = take_fault(request);
  if (fault) ++stats.faults;
  auto made = fault && fault->status != 0
                  ? error_reply(fault->status, fault->type, fault->message, fault->headers)
                  : answer(request, target->model, target->operation, fault);
  if (streamed && made.status == 200) made = stream_answer(std::move(made), fault);
  made.fault = fault;
  return made;
}

}  // namespace valkeycache::test
