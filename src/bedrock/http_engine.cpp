#include "bedrock/http_engine.hpp"

#include <algorithm>
#include <climits>
#include <deque>
#include <new>
#include <optional>
#include <utility>

#include <curl/curl.h>

#include "aws/libcurl.hpp"
#include "bedrock/http_exchange.hpp"
#include "bedrock/socket_set.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Clock = std::chrono::steady_clock;
using Sharing = HttpTraffic::Sharing;

// Of one HTTP/2 connection; servers allow 100 at least, as RFC 9113 recommends.
constexpr std::size_t streams_per_connection = 100;
// How long other exchanges wait for a connection that is being opened before they open their own.
constexpr std::chrono::seconds patience_with_connections{1};
constexpr std::chrono::milliseconds longest_wait = std::chrono::hours(1);

std::chrono::milliseconds time_until(Clock::time_point then) noexcept {
  return std::chrono::ceil<std::chrono::milliseconds>(then - Clock::now());
}

}  // namespace

struct HttpEngine::Curl {
  Curl(HttpSettings given, const WakeEvent& wake)
      : settings(std::move(given)), sockets(wake), traffic(sockets), multi(curl_multi_init()) {
    if (!multi) throw std::bad_alloc();
    const auto kept = std::min<std::size_t>(settings.max_idle_connections, INT_MAX);
    curl_multi_setopt(multi, CURLMOPT_MAXCONNECTS, static_cast<long>(kept));
    curl_multi_setopt(multi, CURLMOPT_SOCKETFUNCTION, on_socket);
    curl_multi_setopt(multi, CURLMOPT_SOCKETDATA, this);
    curl_multi_setopt(multi, CURLMOPT_TIMERFUNCTION, on_timer);
    curl_multi_setopt(multi, CURLMOPT_TIMERDATA, this);
#if LIBCURL_VERSION_NUM >= 0x074300
    curl_multi_setopt(multi, CURLMOPT_MAX_CONCURRENT_STREAMS,
                      static_cast<long>(streams_per_connection));
#endif
#if LIBCURL_VERSION_NUM < 0x075000
    traffic.sharing = Sharing::alone;  // nobody tells what has been sent
#else
    if (!settings.https) traffic.sharing = Sharing::alone;
#endif
  }
  ~Curl() {
    for (const auto& exchange : all) exchange->remove_from(multi);
    all.clear();
    curl_multi_cleanup(multi);
  }
  Curl(const Curl&) = delete;
  Curl& operator=(const Curl&) = delete;

  static int on_socket(CURL*, curl_socket_t socket, int what, void* user, void*) {
    auto& sockets = static_cast<Curl*>(user)->sockets;
    if (what == CURL_POLL_REMOVE) {
      sockets.forget(socket);
    } else {
      sockets.watch(socket, (what & CURL_POLL_IN) != 0, (what & CURL_POLL_OUT) != 0);
    }
    return 0;
  }

  static int on_timer(CURLM*, long milliseconds, void* user) {
    auto& timer = static_cast<Curl*>(user)->timer;
    timer.reset();
    if (milliseconds >= 0) timer = Clock::now() + std::chrono::milliseconds(milliseconds);
    return 0;
  }

  void act(curl_socket_t socket, int what) {
    int running = 0;
    curl_multi_socket_action(multi, socket, what, &running);
  }

  HttpExchange* take() {
    if (!idle.empty()) {
      auto* exchange = idle.back();
      idle.pop_back();
      return exchange;
    }
    idle.reserve(all.size() + 1);
    broken.reserve(all.size() + 1);
    all.push_back(std::make_unique<HttpExchange>(settings, traffic));
    return all.back().get();
  }

  void put_back(HttpExchange* exchange) noexcept {
    exchange->clear();
    idle.push_back(exchange);  // take() made room
  }

  // How many connections may be on their way at a time. Where connections are shared, no more than
  // the waiting exchanges fill; nobody knows of sharing before the first one stands.
  [[nodiscard]] bool may_start() const noexcept {
    if (waiting.empty()) return false;
    if (traffic.sharing == Sharing::alone || traffic.connecting == 0 ||
        Clock::now() >= gate_until) {
      return true;
    }
    return traffic.sharing == Sharing::shared &&
           traffic.connecting < 1 + waiting.size() / streams_per_connection;
  }

  void start_waiting() {
    while (may_start()) {
      auto* exchange = waiting.front();
      waiting.pop_front();
      if (!exchange->add_to(multi)) {
        broken.push_back(exchange);  // take() made room
        continue;
      }
      act(CURL_SOCKET_TIMEOUT, 0);
      learn_from(*exchange);
    }
  }

  // An exchange that is sent at once, though no connection was idle, shares one; and one that has
  // to have its own, though there is one in use, cannot.
  void learn_from(const HttpExchange& started) noexcept {
    if (started.state.sent) {
      if (traffic.sent > traffic.sockets) traffic.sharing = Sharing::shared;
    } else {
      if (traffic.sharing == Sharing::unknown && traffic.sent > 0) traffic.sharing = Sharing::alone;
      gate_until = Clock::now() + patience_with_connections;
    }
  }

  // Takes an exchange that is over out of libcurl's hands and tells of it.
  void conclude(HttpExchange* exchange, CURLcode code, const Done& done) {
    std::erase(broken, exchange);
    auto& state = exchange->state;
    HttpResult result;
    result.sent = exchange->may_have_sent();
    result.repeated = state.repeated;
    result.outcome = exchange->outcome_of(code);
    result.detail =
        state.kept_back ? "the connection was closed by the other side" : curl_easy_strerror(code);
    result.response = std::move(state.response);
    void* owner = state.owner;
    if (!result.sent) gate_until = {};  // whoever waits had better try for himself
    exchange->remove_from(multi);
    put_back(exchange);
    done(owner, std::move(result));
  }

  void reap(const Done& done) {
    int left = 0;
    while (const CURLMsg* message = curl_multi_info_read(multi, &left)) {
      if (message->msg != CURLMSG_DONE) continue;
      const CURLcode code = message->data.result;
      char* user = nullptr;
      curl_easy_getinfo(message->easy_handle, CURLINFO_PRIVATE, &user);
      conclude(static_cast<HttpExchange*>(static_cast<void*>(user)), code, done);
    }
    while (!broken.empty()) {
      auto* exchange = broken.back();
      conclude(exchange, exchange->state.added ? CURLE_WRITE_ERROR : CURLE_OUT_OF_MEMORY, done);
    }
  }

  // Another exchange under way on the same connection.
  [[nodiscard]] HttpExchange* neighbour_of(const HttpExchange& exchange) const noexcept {
    if (traffic.sharing != Sharing::shared) return nullptr;
    const auto port_of = [](const HttpExchange& one) {
      long port = 0;
      curl_easy_getinfo(one.easy, CURLINFO_LOCAL_PORT, &port);
      return port;
    };
    const long port = port_of(exchange);
    for (const auto& other : all) {
      const auto& state = other->state;
      if (other.get() != &exchange && state.added && state.sent && !state.paused &&
          port_of(*other) == port) {
        return other.get();
      }
    }
    return nullptr;
  }

  // libcurl may leave the RST_STREAM of an exchange that is taken away in a buffer until the
  // connection is next used, while the server goes on generating. A neighbour that pauses and goes
  // on flushes it; a connection without one is closed.
  void cut_short(HttpExchange* exchange) noexcept {
    auto* neighbour = exchange->state.sent ? neighbour_of(*exchange) : nullptr;
    curl_easy_setopt(exchange->easy, CURLOPT_FORBID_REUSE, neighbour ? 0L : 1L);
    exchange->remove_from(multi);
    curl_easy_setopt(exchange->easy, CURLOPT_FORBID_REUSE, 0L);
    if (neighbour) {
      curl_easy_pause(neighbour->easy, CURLPAUSE_RECV);
      curl_easy_pause(neighbour->easy, CURLPAUSE_CONT);
    }
  }

  HttpSettings settings;
  SocketSet sockets;
  std::vector<SocketSet::Ready> ready;
  std::optional<Clock::time_point> timer;  // libcurl's own
  HttpTraffic traffic;
  CURLM* multi;
  std::vector<std::unique_ptr<HttpExchange>> all;
  std::vector<HttpExchange*> idle;
  std::deque<HttpExchange*> waiting;  // not yet in libcurl's hands
  Clock::time_point gate_until{};
  // Those that ended without a message of libcurl's.
  std::vector<HttpExchange*> broken;
};

bool HttpEngine::initialize() noexcept {
  return initialize_libcurl();
}

HttpEngine::HttpEngine(HttpSettings settings, const WakeEvent& wake)
    : curl_(std::make_unique<Curl>(std::move(settings), wake)) {}
HttpEngine::~HttpEngine() = default;

HttpExchange* HttpEngine::post(const std::string& url, const std::vector<std::string>& header_lines,
                               std::string_view body, void* owner, HttpSink* sink,
                               bool may_repeat) {
  auto* exchange = curl_->take();
  exchange->state.owner = owner;
  exchange->state.sink = sink;
  exchange->state.may_repeat = may_repeat;
  try {
    for (const auto& line : header_lines) {
      auto* longer = curl_slist_append(exchange->headers, line.c_str());
      if (!longer) throw std::bad_alloc();
      exchange->headers = longer;
    }
    curl_->waiting.push_back(exchange);
  } catch (...) {
    curl_->put_back(exchange);
    throw;
  }
  CURL* easy = exchange->easy;
  curl_easy_setopt(easy, CURLOPT_URL, url.c_str());
  curl_easy_setopt(easy, CURLOPT_HTTPHEADER, exchange->headers);
  curl_easy_setopt(easy, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body.size()));
  curl_easy_setopt(easy, CURLOPT_POSTFIELDS, body.data());
  return exchange;
}

void HttpEngine::resume(HttpExchange* exchange) noexcept {
  exchange->state.paused = false;
  exchange->state.last_sign_of_life = Clock::now();
  if (curl_easy_pause(exchange->easy, CURLPAUSE_CONT) == CURLE_OK) return;
  if (std::find(curl_->broken.begin(), curl_->broken.end(), exchange) == curl_->broken.end()) {
    curl_->broken.push_back(exchange);  // take() made room
  }
}

bool HttpEngine::cancel(HttpExchange* exchange) noexcept {
  const bool sent = exchange->may_have_sent();
  std::erase(curl_->broken, exchange);
  if (exchange->state.added) {
    curl_->cut_short(exchange);
  } else {
    std::erase(curl_->waiting, exchange);
  }
  curl_->put_back(exchange);
  return sent;
}

std::optional<Clock::time_point> HttpEngine::last_sign_of_life(HttpExchange* exchange) noexcept {
  auto& state = exchange->state;
  if (!exchange->may_have_sent()) return std::nullopt;
  curl_off_t uploaded = 0;
  curl_easy_getinfo(exchange->easy, CURLINFO_SIZE_UPLOAD_T, &uploaded);
  if (state.paused || std::exchange(state.uploaded, uploaded) != uploaded) {
    state.last_sign_of_life = Clock::now();
  }
  return state.last_sign_of_life;
}

void HttpEngine::run(const Done& done) {
  for (const auto& one : curl_->ready) {
    curl_->act(one.socket, (one.readable ? CURL_CSELECT_IN : 0) |
                               (one.writable ? CURL_CSELECT_OUT : 0) |
                               (one.failed ? CURL_CSELECT_ERR : 0));
  }
  curl_->ready.clear();
  if (curl_->timer && *curl_->timer <= Clock::now()) {
    curl_->timer.reset();
    curl_->act(CURL_SOCKET_TIMEOUT, 0);
  }
  curl_->start_waiting();
  curl_->reap(done);
}

Clock::time_point HttpEngine::next_time() const noexcept {
  const auto now = Clock::now();
  if (curl_->may_start()) return now;
  auto next = now + longest_wait;
  if (curl_->timer) next = std::min(next, *curl_->timer);
  if (!curl_->waiting.empty()) next = std::min(next, curl_->gate_until);
  return next;
}

void HttpEngine::wait(Clock::time_point until) {
  curl_->sockets.wait(time_until(until), curl_->ready);
}

void HttpEngine::sleep(Clock::time_point until) const noexcept {
  curl_->sockets.sleep(time_until(until));
}

std::string HttpEngine::library_version() {
  return curl_version();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
