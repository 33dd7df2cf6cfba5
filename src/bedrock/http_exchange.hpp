// One exchange as libcurl drives it: the easy handle, its settings, and what its callbacks see.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>

#include <curl/curl.h>

#include "bedrock/http_engine.hpp"
#include "bedrock/socket_set.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What an engine's exchanges know of each other.
struct HttpTraffic {
  explicit HttpTraffic(SocketSet& set) : watched(set) {}

  SocketSet& watched;
  std::size_t connecting = 0;  // in libcurl's hands, and not sent
  std::size_t sent = 0;        // and not over
  std::size_t sockets = 0;     // open ones
  // Whether a connection carries many exchanges at a time, as HTTP/2 does.
  enum class Sharing : std::uint8_t { unknown, shared, alone };
  Sharing sharing = Sharing::unknown;
};

class HttpExchange {
 public:
  HttpExchange(const HttpSettings& settings, HttpTraffic& common);
  ~HttpExchange();
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  // Of the exchange under way.
  struct State {
    HttpResponse response;
    void* owner = nullptr;
    HttpSink* sink = nullptr;
    std::size_t sunk_bytes = 0;
    std::chrono::steady_clock::time_point last_sign_of_life{};
    curl_off_t uploaded = 0;  // when that was looked at
    bool may_repeat = false;
    bool added = false;  // to libcurl's multi handle
    bool sent = false;
    bool repeated = false;   // by libcurl, on another connection
    bool kept_back = false;  // libcurl would have repeated it
    bool too_large = false;
    bool paused = false;   // by the sink
    bool stopped = false;  // by the sink
  };

  // Hands the exchange to libcurl, and takes it back.
  bool add_to(CURLM* multi) noexcept;
  void remove_from(CURLM* multi) noexcept;

  // Some of the request may have left.
  [[nodiscard]] bool may_have_sent() const noexcept;
  [[nodiscard]] HttpOutcome outcome_of(CURLcode code) const noexcept;
  // Forgets the exchange; the handle is for the next one.
  void clear() noexcept;

  CURL* easy;
  curl_slist* headers = nullptr;
  const std::size_t max_response_bytes;
  HttpTraffic& traffic;
  State state;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
