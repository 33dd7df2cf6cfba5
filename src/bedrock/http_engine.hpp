// HTTP exchanges over libcurl's multi interface. Knows nothing of Bedrock.
#pragma once

#include <valkeycache/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "base/wake_event.hpp"
#include "bedrock/http_response.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What the exchanges of one engine have in common.
struct HttpSettings {
  std::string user_agent;
  std::string ca_file;  // "": the system's
  std::chrono::milliseconds connect_timeout{0};
  std::size_t max_response_bytes = 0;
  std::size_t max_idle_connections = 0;
  bool https = true;  // all URLs are; HTTP/2 is offered there
  bool bypass_proxy = false;
};

// One exchange at a time each; made and pooled by an engine. Address-stable.
class HttpExchange;

enum class HttpOutcome : std::uint8_t {
  response,        // a whole one, whatever its status
  connect_failed,  // nothing was sent
  tls_failed,      // the peer could not be trusted; to try again is of no use
  lost,            // the connection broke before a response began
  truncated,       // it broke, or ended, inside the response
  too_large,       // the response is over max_response_bytes
  malformed,       // what came is not HTTP
  stopped,         // the exchange's sink wanted no more
  proxy_refused,   // the proxy did not connect us; its status is the response's
};

struct HttpResult {
  HttpOutcome outcome = HttpOutcome::lost;
  HttpResponse response;    // what arrived of it
  bool sent = false;        // some of the request may have left
  bool repeated = false;    // more than once
  const char* detail = "";  // libcurl's own words; static storage
};

// Takes the body of a 200 response as it arrives, in place of HttpResponse::body.
class HttpSink {
 public:
  enum class Verdict : std::uint8_t {
    taken,
    wait,  // none of it was; the same bytes come again after HttpEngine::resume()
    stop,  // end the exchange, with HttpOutcome::stopped
  };
  // On the engine's thread, from within run() or resume(); must use neither.
  virtual Verdict take(const HttpResponse& head, std::string_view bytes) = 0;

 protected:
  ~HttpSink() = default;
};

// Of one thread at a time.
class HttpEngine {
 public:
  // Once per process, before the first engine; thread-safe. False where libcurl cannot be used.
  static bool initialize() noexcept;

  // `wake` ends a wait(), the current one or the next; it has to outlive the engine.
  HttpEngine(HttpSettings settings, const WakeEvent& wake);
  ~HttpEngine();
  HttpEngine(const HttpEngine&) = delete;
  HttpEngine& operator=(const HttpEngine&) = delete;

  // Starts a POST of `body`, which has to stay where it is until the exchange is over. Header lines
  // are "Name: value"; the caller has checked them. `owner` comes back with the result. A sink has
  // to live as long as the exchange. Nothing is sent before the next run(). `may_repeat` allows it
  // to be sent once more, on another connection, when a kept one turns out to have been closed by
  // the server just then, or when an HTTP/2 server says that it has not looked at it.
  HttpExchange* post(const std::string& url, const std::vector<std::string>& header_lines,
                     std::string_view body, void* owner, HttpSink* sink = nullptr,
                     bool may_repeat = false);

  // Goes on with a response whose sink said `wait`. Until then nothing more of it is read, and the
  // server has to wait as well.
  void resume(HttpExchange* exchange) noexcept;

  // Ends an exchange at once and closes its connection, or its HTTP/2 stream. Tells whether some of
  // the request may have been sent.
  bool cancel(HttpExchange* exchange) noexcept;

  // When something came, or left, for the last time; nothing while the request is not sent. To be
  // paused by a sink is to be alive.
  std::optional<std::chrono::steady_clock::time_point> last_sign_of_life(
      HttpExchange* exchange) noexcept;

  // Does what can be done now and calls done(owner, result) for each exchange that is over; done()
  // may post() and cancel().
  using Done = std::function<void(void* owner, HttpResult result)>;
  void run(const Done& done);

  // When run() is to be called at the latest, whatever happens.
  [[nodiscard]] std::chrono::steady_clock::time_point next_time() const noexcept;
  // Blocks until a socket wants attention, the event is set, or the time has come; run() goes on
  // from there.
  void wait(std::chrono::steady_clock::time_point until);
  // The same for any thread, while others work with the engine; run() knows nothing of it.
  void sleep(std::chrono::steady_clock::time_point until) const noexcept;

  // "libcurl/7.88.1 OpenSSL/3.0.11 ...".
  static std::string library_version();

 private:
  struct Curl;
  std::unique_ptr<Curl> curl_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
