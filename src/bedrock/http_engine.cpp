#include "bedrock/http_engine.hpp"

#include <algorithm>
#include <cerrno>
#include <climits>
#include <new>
#include <utility>

#include <sys/socket.h>
#include <unistd.h>

#include <curl/curl.h>

#include "aws/libcurl.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class HttpExchange {
 public:
  explicit HttpExchange(std::size_t max_bytes)
      : easy(curl_easy_init()), max_response_bytes(max_bytes) {
    if (!easy) throw std::bad_alloc();
  }
  ~HttpExchange() {
    curl_slist_free_all(headers);
    curl_easy_cleanup(easy);
  }
  HttpExchange(const HttpExchange&) = delete;
  HttpExchange& operator=(const HttpExchange&) = delete;

  CURL* easy;
  curl_slist* headers = nullptr;
  HttpResponse response;
  std::size_t max_response_bytes;
  void* owner = nullptr;
  HttpSink* sink = nullptr;
  std::size_t sunk_bytes = 0;
  bool sent = false;
  bool sent_again = false;
  bool too_large = false;
  bool stopped = false;  // by the sink
};

namespace {

constexpr std::size_t max_reserved_body = std::size_t{1} << 20;
constexpr long keepalive_seconds = 30;  // well below the idle limits of NAT gateways

std::size_t on_head(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  try {
    exchange.response.take_head_line({data, size * count});
    const auto length = exchange.response.content_length;
    if (length && *length > exchange.max_response_bytes && exchange.response.status == 200) {
      exchange.too_large = true;
      return 0;
    }
  } catch (...) {
    return 0;
  }
  return size * count;
}

std::size_t to_sink(HttpExchange& exchange, std::string_view bytes) {
  if (exchange.stopped || exchange.too_large) return 0;
  if (bytes.size() > exchange.max_response_bytes - exchange.sunk_bytes) {
    exchange.too_large = true;
    return 0;
  }
  auto verdict = HttpSink::Verdict::stop;
  try {
    verdict = exchange.sink->take(exchange.response, bytes);
  } catch (...) {  // there is no memory
  }
  if (verdict == HttpSink::Verdict::wait) return CURL_WRITEFUNC_PAUSE;
  exchange.sunk_bytes += bytes.size();
  exchange.stopped = verdict == HttpSink::Verdict::stop;
  return exchange.stopped ? 0 : bytes.size();
}

std::size_t on_body(char* data, std::size_t size, std::size_t count, void* user) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  auto& body = exchange.response.body;
  const auto bytes = size * count;
  if (bytes == 0) return 0;
  if (exchange.sink && exchange.response.status == 200) return to_sink(exchange, {data, bytes});
  if (bytes > exchange.max_response_bytes - body.size()) {
    exchange.too_large = true;
    return 0;
  }
  try {
    if (body.empty() && exchange.response.content_length) {
      body.reserve(std::min(*exchange.response.content_length, max_reserved_body));
    }
    body.append(data, bytes);
  } catch (...) {
    return 0;
  }
  return bytes;
}

#if LIBCURL_VERSION_NUM >= 0x075000
// libcurl sends a request anew, by itself, when a connection that it had kept breaks before the
// first byte of the answer. The model may be at work on it by then, and the second one is paid for
// as well; whether it is sent again is the retry policy's to decide.
int on_send(void* user, char*, char*, int, int) {
  auto& exchange = *static_cast<HttpExchange*>(user);
  if (std::exchange(exchange.sent, true)) {
    exchange.sent_again = true;
    return CURL_PREREQFUNC_ABORT;
  }
  return CURL_PREREQFUNC_OK;
}
#endif

// A socket shall neither leak into programs that the process starts, nor, after a fork(), be kept
// open by the child once we close it.
curl_socket_t on_open_socket(void*, curlsocktype, curl_sockaddr* address) {
#if defined(SOCK_CLOEXEC)
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  return socket(address->family, address->socktype, address->protocol);
#endif
}
int on_close_socket(void*, curl_socket_t socket_fd) {
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
  // Rather wait for a handshake that may agree on HTTP/2 than open a connection for each call.
  // (Over plain http there is none, and all would wait for the first answer.)
  curl_easy_setopt(easy, CURLOPT_PIPEWAIT, settings.https ? 1L : 0L);
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
  if (!settings.ca_file.empty()) {
    curl_easy_setopt(easy, CURLOPT_CAINFO, settings.ca_file.c_str());
  }
  curl_easy_setopt(easy, CURLOPT_USERAGENT, settings.user_agent.c_str());
  curl_easy_setopt(easy, CURLOPT_CONNECTTIMEOUT_MS,
                   static_cast<long>(std::min<std::chrono::milliseconds::rep>(
                       settings.connect_timeout.count(), LONG_MAX)));
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
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
  curl_easy_setopt(easy, CURLOPT_CLOSESOCKETFUNCTION, on_close_socket);
  curl_easy_setopt(easy, CURLOPT_HEADERFUNCTION, on_head);
  curl_easy_setopt(easy, CURLOPT_HEADERDATA, exchange);
  curl_easy_setopt(easy, CURLOPT_WRITEFUNCTION, on_body);
  curl_easy_setopt(easy, CURLOPT_WRITEDATA, exchange);
}

bool may_have_sent(const HttpExchange& exchange) noexcept {
#if LIBCURL_VERSION_NUM >= 0x075000
  return exchange.sent;
#else
  long request_bytes = 0;
  curl_easy_getinfo(exchange.easy, CURLINFO_REQUEST_SIZE, &request_bytes);
  return request_bytes > 0;
#endif
}

HttpOutcome outcome_of(CURLcode code, const HttpExchange& exchange, bool sent) noexcept {
  if (exchange.too_large) return HttpOutcome::too_large;
  if (exchange.stopped) return HttpOutcome::stopped;
  const bool began = exchange.response.status >= 200;
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
      return sent ? HttpOutcome::lost : HttpOutcome::connect_failed;
  }
}

}  // namespace

struct HttpEngine::Curl {
  explicit Curl(HttpSettings given) : settings(std::move(given)), multi(curl_multi_init()) {
    if (!multi) throw std::bad_alloc();
    const auto kept = std::min<std::size_t>(settings.max_idle_connections, INT_MAX);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(kept));
  }
  ~Curl() {
    for (const auto& exchange : all) {
      curl_multi_remove_handle(multi, exchange->easy);
    }
    all.clear();
    curl_multi_cleanup(multi);
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  HttpExchange* take() {
    if (!idle.empty()) {
      auto* exchange = idle.back();
      idle.pop_back();
      return exchange;
    }
    auto exchange = std::make_unique<HttpExchange>(settings.max_response_bytes);
    configure(exchange->easy, exchange.get(), settings);
    idle.reserve(all.size() + 1);
    broken.reserve(all.size() + 1);
    all.push_back(std::move(exchange));
    return all.back().get();
  }

  void put_back(HttpExchange* exchange) noexcept {
    curl_slist_free_all(std::exchange(exchange->headers, nullptr));
    exchange->response = HttpResponse();
    exchange->owner = nullptr;
    exchange->sink = nullptr;
    exchange->sunk_bytes = 0;
    exchange->sent = exchange->sent_again = exchange->too_large = exchange->stopped = false;
    idle.push_back(exchange);  // take() made room
  }

  // Takes an exchange that is over out of libcurl's hands and tells of it.
  void conclude(HttpExchange* exchange, CURLcode code, const Done& done) {
    std::erase(broken, exchange);
    HttpResult result;
    result.sent = may_have_sent(*exchange);
    result.outcome = outcome_of(code, *exchange, result.sent);
    result.detail = exchange->sent_again ? "the connection was closed by the other side"
                                         : curl_easy_strerror(code);
    result.response = std::move(exchange->response);
    void* owner = exchange->owner;
    curl_multi_remove_handle(multi, exchange->easy);
    put_back(exchange);
    done(owner, std::move(result));
  }

  HttpSettings settings;
  CURLM* multi;
  std::vector<std::unique_ptr<HttpExchange>> all;
  std::vector<HttpExchange*> idle;
  // Those that ended inside resume(), of which libcurl gives no message.
  std::vector<HttpExchange*> broken;
};

bool HttpEngine::initialize() noexcept {
  return initialize_libcurl();
}

HttpEngine::HttpEngine(HttpSettings settings)
    : curl_(std::make_unique<Curl>(std::move(settings))) {}
HttpEngine::~HttpEngine() = default;

HttpExchange* HttpEngine::post(const std::string& url, const std::vector<std::string>& header_lines,
                               std::string_view body, void* owner, HttpSink* sink) {
  auto* exchange = curl_->take();
  exchange->owner = owner;
  exchange->sink = sink;
  for (const auto& line : header_lines) {
    auto* longer = curl_slist_append(exchange->headers, line.c_str());
    if (!longer) {
      curl_->put_back(exchange);
      throw std::bad_alloc();
    }
    exchange->headers = longer;
  }
  CURL* easy = exchange->easy;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  if (curl_multi_add_handle(curl_->multi, easy) != CURLM_OK) {
    curl_->put_back(exchange);
    throw std::bad_alloc();
  }
  return exchange;
}

void HttpEngine::resume(HttpExchange* exchange) noexcept {
  if (curl_easy_pause(exchange->easy, CURLPAUSE_CONT) == CURLE_OK) return;
  if (std::find(curl_->broken.begin(), curl_->broken.end(), exchange) == curl_->broken.end()) {
    curl_->broken.push_back(exchange);  // take() made room
  }
}

bool HttpEngine::cancel(HttpExchange* exchange) noexcept {
  const bool sent = may_have_sent(*exchange);
  std::erase(curl_->broken, exchange);
  curl_multi_remove_handle(curl_->multi, exchange->easy);
  curl_->put_back(exchange);
  return sent;
}

void HttpEngine::run(const Done& done) {
  int running = 0;
  curl_multi_perform(curl_->multi, &running);
  int left = 0;
  while (const CURLMsg* message = curl_multi_info_read(curl_->multi, &left)) {
    if (message->msg != CURLMSG_DONE) continue;
    CURL* easy = message->easy_handle;
    const CURLcode code = message->data.result;
    char* user = nullptr;
    curl_easy_getinfo(easy, CURLINFO_PRIVATE, &user);
    auto* exchange = static_cast<HttpExchange*>(static_cast<void*>(user));

    curl_->conclude(exchange, code, done);
  }
  while (!curl_->broken.empty()) {
    curl_->conclude(curl_->broken.back(), CURLE_WRITE_ERROR, done);
  }
}

void HttpEngine::wait(std::chrono::milliseconds timeout) {
  const auto longest = std::chrono::milliseconds(INT_MAX);
  const auto time = std::clamp(timeout, std::chrono::milliseconds(0), longest);
  curl_multi_poll(curl_->multi, nullptr, 0, static_cast<int>(time.count()), nullptr);
}

void HttpEngine::wake() noexcept {
  curl_multi_wakeup(curl_->multi);
}

std::string HttpEngine::library_version() {
  return curl_version();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
