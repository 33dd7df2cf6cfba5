// A span for each call, as OpenTelemetry's collectors read it (OTLP in JSON), without its SDK: the
// observer makes spans, and the program prints them once the calls are over.
#include <valkeycache/cached_llm.hpp>

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

std::string span_of(const CallRecord& call) {
  auto attributes = attribute("gen_ai.request.model", call.model);
  attributes += ',' + attribute("gen_ai.usage.input_tokens", call.usage.input_tokens);
  attributes += ',' + attribute("gen_ai.usage.output_tokens", call.usage.output_tokens);
  attributes += ',' + attribute("valkeycache.avoided_tokens", call.avoided_usage.total_tokens);
  attributes += ',' + attribute("valkeycache.key", call.key_id);
  if (call.source) attributes += ',' + attribute("valkeycache.source", to_string(*call.source));
  if (call.error) attributes += ',' + attribute("error.type", to_string(*call.error));
  return R"({"traceId":")" + random_hex(32) + R"(","spanId":")" + random_hex(16) + R"(","name":")" +
         (call.refresh ? "refresh" : "ask") + R"(","kind":3,"startTimeUnixNano":)" +
         nanoseconds(call.start) + R"(,"endTimeUnixNano":)" + nanoseconds(call.end) +
         R"(,"status":{"code":)" + (call.error ? "2" : "1") + R"(},"attributes":[)" + attributes +
         "]}";
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
  for (int i = 0; i < 2; ++i) {
    llm.ask("Say hello.").get().value();
    cache.flush(5s).get().value();
  }

  const std::lock_guard lock(mutex);
  std::cout << R"({"resourceSpans":[{"resource":{"attributes":[)"
            << attribute("service.name", "example")
            << R"(]},"scopeSpans":[{"scope":{"name":"valkeycache"},"spans":[)";
  for (std::size_t i = 0; i < spans.size(); ++i) std::cout << (i ? "," : "") << spans[i];
  std::cout << "]}]}]}\n";
}
