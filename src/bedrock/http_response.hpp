// An HTTP response as this client looks at it.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

struct HttpResponse {
  int status = 0;  // 0: nothing arrived
  std::string content_type;
  std::string error_type;  // x-amzn-ErrorType
  std::string request_id;  // x-amzn-RequestId
  std::string date;
  // What InvokeModel says in its head: x-amzn-bedrock-input-token-count and its like.
  struct Invocation {
    std::optional<std::int64_t> input_tokens;
    std::optional<std::int64_t> output_tokens;
    std::optional<std::int64_t> cache_read_tokens;
    std::optional<std::int64_t> cache_write_tokens;
    std::optional<std::int64_t> latency_ms;
  };
  Invocation invocation;
  std::optional<std::size_t> content_length;
  // x-amz-retry-after (ms), else Retry-After (seconds). A date there is not understood.
  std::optional<std::chrono::milliseconds> retry_after;
  std::string body;

  // One line of the head, with or without its end of line. A status line starts a new response
  // (after 100 Continue, or a proxy's answer to CONNECT). Values over 1 KiB are dropped.
  void take_head_line(std::string_view line);

 private:
  void take_invocation(std::string_view name, std::string_view value);

  bool aws_hint_ = false;  // retry_after is Amazon's own
};

}  // namespace detail
}  // namespace valkeycache::inline v0
