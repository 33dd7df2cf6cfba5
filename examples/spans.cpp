// A span for each call, as OpenTelemetry's collectors read it (OTLP in JSON), without its SDK: the
// observer makes spans, and the program prints them once the calls are over.
#include <valkeycache/cached_llm.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iomanip>
#include <iostream>
#include <mutex>
#include <random>
#include <sstream>
#include <string>
#include <vector>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

std::string random_hex(int digits) {
  static std::random_device source;
  std::string hex;
  while (digits-- > 0) hex += "0123456789abcdef"[source() % 16];
  return hex;
}

std::string json_string(std::string_view text) {
  std::ostringstream out;
  out << std::quoted(std::string(text));
  return out.str();
}

std::string nanoseconds(std::chrono::system_clock::time_point time) {
  using std::chrono::nanoseconds;
  return json_string(
      std::to_string(std::chrono::duration_cast<nanoseconds>(time.time_since_epoch()).count()));
}

std::string attribute(std::string_view name, std::string_view text) {
  return R"({"key":)" + json_string(name) + R"(,"value":{"stringValue":)" + json_string(text) +
         "}}";
}
std::string attribute(std::string_view name, std::int64_t number) {
  return R"({"key":)" + json_string(name) + R"(,"value":{"intValue":")" + std::to_string(number) +
         R"("}})";
}

template <std::size_t size>
std::string hex(const std::array<std::uint8_t, size>& bytes) {
  std::string text;
  for (const auto byte : bytes) {
    text += "0123456789abcdef"[byte >> 4];
    text += "0123456789abcdef"[byte & 15];
  }
  return text;
}

std::string span_of(const CallRecord& call) {
  const auto& parent = call.trace_parent;
  const bool has_parent = parent != TraceParent{};
  auto attributes = attribute("gen_ai.request.model", call.model);
  attributes += ',' + attribute("gen_ai.usage.input_tokens", call.usage.input_tokens);
  attributes += ',' + attribute("gen_ai.usage.output_tokens", call.usage.output_tokens);
  attributes += ',' + attribute("valkeycache.avoided_tokens", call.avoided_usage.total_tokens);
  attributes += ',' + attribute("valkeycache.key", call.key_id);
  if (call.source) attributes += ',' + attribute("valkeycache.source", to_string(*call.source));
  if (call.error) attributes += ',' + attribute("error.type", to_string(*call.error));
  return R"({"traceId":")" + (has_parent ? hex(parent.trace_id) : random_hex(32)) +
         R"(","parentSpanId":")" + (has_parent ? hex(parent.span_id) : "") + R"(","spanId":")" +
         random_hex(16) + R"(","name":")" + (call.refresh ? "refresh" : "ask") +
         R"(","kind":3,"startTimeUnixNano":)" + nanoseconds(call.start) + R"(,"endTimeUnixNano":)" +
         nanoseconds(call.end) + R"(,"status":{"code":)" + (call.error ? "2" : "1") +
         R"(},"attributes":[)" + attributes + "]}";
}

}  // namespace

int main() {
  std::mutex mutex;
  std::vector<std::string> spans;
  CachedLlmOptions options;
  options.advanced.observer = [&](const CallRecord& call) {
    auto span = span_of(call);
    const std::lock_guard lock(mutex);
    spans.push_back(std::move(span));
  };

  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 1h}).value();
  const auto model = make_text_llm({.model = "echo-1", .scope = "local"},
                                   [](const ChatRequest&) { return std::string("Hello!"); });
  const CachedLlm llm{cache, model, options};
  // The span of the request that is being served, in which the program asks.
  const TraceParent parent{.trace_id = {0x4b, 0xf9, 0x2f, 0x35}, .span_id = {0x00, 0xf0, 0x67}};
  for (int i = 0; i < 2; ++i) {
    llm.ask("Say hello.", {.trace_parent = parent}).get().value();
    cache.flush(5s).get().value();
  }
  // There is nothing to ask.
  if (const auto refused = llm.ask(" ").get()) return 1;

  const std::lock_guard lock(mutex);
  std::cout << R"({"resourceSpans":[{"resource":{"attributes":[)"
            << attribute("service.name", "example")
            << R"(]},"scopeSpans":[{"scope":{"name":"valkeycache"},"spans":[)";
  for (std::size_t i = 0; i < spans.size(); ++i) std::cout << (i ? "," : "") << spans[i];
  std::cout << "]}]}]}\n";
}
