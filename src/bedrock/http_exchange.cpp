#include "bedrock/http_exchange.hpp"

#include <algorithm>
#include <climits>
#include <new>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include "aws/libcurl.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Clock = std::chrono::steady_clock;

constexpr std::size_t max_reserved_body = std::size_t{1} << 20;
constexpr long keepalive_seconds = 30;  // well below the idle limits of NAT gateways
// A kept connection that the server has just closed shows it within a few round trips; what is lost
// later may have been worked on.
constexpr std::chrono::seconds reuse_race{3};

std::size_t on_head(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  auto& state = exchange.state;
  state.last_sign_of_life = Clock::now();
  const std::string_view line(data, size * count);
  try {
    state.response.take_head_line(line);
    if (state.sent && line.starts_with("HTTP/")) {
      exchange.traffic.sharing =
          line.starts_with("HTTP/2") ? HttpTraffic::Sharing::shared : HttpTraffic::Sharing::alone;
    }
    const auto length = state.response.content_length;
    if (length && *length > exchange.max_response_bytes && state.response.status == 200) {
      state.too_large = true;
      return 0;
    }
  } catch (...) {
    return 0;
  }
  return line.size();
}

std::size_t to_sink(HttpExchange& exchange, std::string_view bytes) {
  auto& state = exchange.state;
  if (state.stopped || state.too_large) return 0;
  if (bytes.size() > exchange.max_response_bytes - state.sunk_bytes) {
    state.too_large = true;
    return 0;
  }
  auto verdict = HttpSink::Verdict::stop;
  try {
    verdict = state.sink->take(state.response, bytes);
  } catch (...) {  // there is no memory
  }
  state.paused = verdict == HttpSink::Verdict::wait;
  if (state.paused) return CURL_WRITEFUNC_PAUSE;
  state.sunk_bytes += bytes.size();
  state.stopped = verdict == HttpSink::Verdict::stop;
  return state.stopped ? 0 : bytes.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  auto& state = exchange.state;
  auto& body = state.response.body;
  const auto bytes = size * count;
  if (bytes == 0) return 0;
  state.last_sign_of_life = Clock::now();
  if (state.sink && state.response.status == 200) return to_sink(exchange, {data, bytes});
  if (bytes > exchange.max_response_bytes - body.size()) {
    // An error is told by its head: a long one is cut off, and still that error.
    state.too_large = state.response.status < 400;
    return 0;
  }
  try {
    if (body.empty() && state.response.content_length) {
      body.reserve(std::min(*state.response.content_length, max_reserved_body));
    }
    body.append(data, bytes);
  } catch (...) {
    return 0;
  }
  return bytes;
}

#if LIBCURL_VERSION_NUM >= 0x075000
// libcurl sends a request anew, by itself, when a kept connection breaks before the first byte of
// the answer, or when an HTTP/2 server says that it has not looked at it. The former is no matter
// where the connection was about to be closed anyway; later on the model may be at work on it, and
// the second one is paid for as well: the retry policy decides.
int on_send(void* user, char*, char*, int, int) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  auto& state = exchange.state;
  const auto now = Clock::now();
  if (state.sent) {
    const bool lawful =
        state.may_repeat && !state.repeated && now < state.last_sign_of_life + reuse_race;
    if (!lawful) {
      state.kept_back = true;
      return CURL_PREREQFUNC_ABORT;
    }
    state.repeated = true;
  } else {
    state.sent = true;
    --exchange.traffic.connecting;
    ++exchange.traffic.sent;
  }
  state.response = HttpResponse();  // what came is a proxy's
  state.last_sign_of_life = now;
  return CURL_PREREQFUNC_OK;
}
#endif

// A socket shall neither leak into programs that the process starts, nor, after a fork(), be kept
// open by the child once we close it.
curl_socket_t on_open_socket(void* user, curlsocktype, curl_sockaddr* address) {
#if defined(SOCK_CLOEXEC)
  const int type = address->socktype | SOCK_CLOEXEC;
#else
  const int type = address->socktype;
#endif
  const auto made = socket(address->family, type, address->protocol);
  if (made < 0) return made;
  auto& traffic = *static_cast<HttpTraffic*>(user);
  ++traffic.sockets;
  traffic.watched.opened(made);
  return made;
}
int on_close_socket(void* user, curl_socket_t socket_fd) {
  auto& traffic = *static_cast<HttpTraffic*>(user);
  --traffic.sockets;
  traffic.watched.closing(socket_fd);
  shutdown(socket_fd, SHUT_RDWR);
  return close(socket_fd);
}

void restrict_protocols(CURL* easy) {
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
}

// All that is the same for each request.
void configure(CURL* easy, HttpExchange* exchange, const HttpSettings& settings) {
  curl_easy_setopt(easy, CURLOPT_PRIVATE, exchange);
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
  restrict_protocols(easy);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
  curl_easy_setopt(easy, CURLOPT_POST, 1L);
  curl_easy_setopt(
      easy, CURLOPT_HTTP_VERSION,
      static_cast<long>(settings.https ? CURL_HTTP_VERSION_2TLS : CURL_HTTP_VERSION_1_1));
#if LIBCURL_VERSION_NUM < 0x075000
  // The engine cannot tell when it may open connections: libcurl shall rather wait for a handshake.
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, settings.https ? 1L : 0L);
#endif
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  set_trust(easy, settings.ca_file);
  curl_easy_setopt(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min<std::chrono::milliseconds::rep>(
                       settings.connect_timeout.count(), INT_MAX)));
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPALIVE, 1L);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPIDLE, keepalive_seconds);
  curl_easy_setopt(easy, CURLOPT_TCP_KEEPINTVL, keepalive_seconds);
  if (settings.bypass_proxy) curl_easy_setopt(easy, CURLOPT_NOPROXY, "*");
#if LIBCURL_VERSION_NUM >= 0x075700
  // Ending a call whose host name is being looked up must not wait for the resolver.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
#if LIBCURL_VERSION_NUM >= 0x075000
  curl_easy_setopt(easy, CURLOPT_PREREQFUNCTION, on_send);
  curl_easy_setopt(easy, CURLOPT_PREREQDATA, exchange);
#endif
  // A connection outlives its first exchange; the traffic outlives them all.
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETDATA, &exchange->traffic);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETDATA, &exchange->traffic);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

}  // namespace

HttpExchange::HttpExchange(const HttpSettings& settings, HttpTraffic& common)
    : easy(curl_easy_init()), max_response_bytes(settings.max_response_bytes), traffic(common) {
  if (!easy) throw std::bad_alloc();
  configure(easy, this, settings);
}

HttpExchange::~HttpExchange() {
  curl_slist_free_all(headers);
  curl_easy_cleanup(easy);
}

bool HttpExchange::add_to(CURLM* multi) noexcept {
  if (curl_multi_add_handle(multi, easy) != CURLM_OK) return false;
  state.added = true;
  ++traffic.connecting;
  return true;
}

void HttpExchange::remove_from(CURLM* multi) noexcept {
  if (!std::exchange(state.added, false)) return;
  --(state.sent ? traffic.sent : traffic.connecting);
  curl_multi_remove_handle(multi, easy);
}

bool HttpExchange::may_have_sent() const noexcept {
#if LIBCURL_VERSION_NUM >= 0x075000
  return state.sent;
#else
  long request_bytes = 0;
  curl_easy_getinfo(easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  return request_bytes > 0;
#endif
}

HttpOutcome HttpExchange::outcome_of(CURLcode code) const noexcept {
  if (state.too_large) return HttpOutcome::too_large;
  if (state.stopped) return HttpOutcome::stopped;
  const bool sent = may_have_sent();
  const bool began = sent && state.response.status >= 200;
  switch (code) {
    case CURLE_OK:
      return began ? HttpOutcome::response : HttpOutcome::malformed;
    case CURLE_PEER_FAILED_VERIFICATION:
    case CURLE_SSL_CACERT_BADFILE:
    case CURLE_SSL_CERTPROBLEM:
    case CURLE_SSL_CIPHER:
    case CURLE_SSL_INVALIDCERTSTATUS:
    case CURLE_SSL_ISSUER_ERROR:
    case CURLE_SSL_PINNEDPUBKEYNOTMATCH:
      return HttpOutcome::tls_failed;
    case CURLE_UNSUPPORTED_PROTOCOL:  // an answer without a status line, HTTP/0.9
    case CURLE_WEIRD_SERVER_REPLY:
    case CURLE_BAD_CONTENT_ENCODING:
      return HttpOutcome::malformed;
    default:
      if (began) return HttpOutcome::truncated;
      if (sent) return HttpOutcome::lost;
      return state.response.status >= 300 ? HttpOutcome::proxy_refused
                                          : HttpOutcome::connect_failed;
  }
}

void HttpExchange::clear() noexcept {
  curl_slist_free_all(std::exchange(headers, nullptr));
  state = State();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
