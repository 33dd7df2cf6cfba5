#include "support/bedrock/simulated_bedrock.hpp"

#include <algorithm>
#include <array>
#include <cstdio>
#include <ctime>
#include <deque>
#include <mutex>
#include <stdexcept>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/post.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>
#include <nlohmann/json.hpp>

#include "support/bedrock/simulated_model.hpp"

namespace valkeycache::test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

constexpr std::size_t max_recorded = 20000;
constexpr std::uint64_t max_body = std::uint64_t{64} << 20;

// A response and how it is to be sent.
struct Reply {
  std::string head;
  std::string body;
  std::chrono::milliseconds delay{0};
  std::optional<Fault> fault;
  bool is_call = false;
  bool hold = false;
  bool close = false;
};

std::string http_date(std::time_t now) {
  std::tm parts{};
  gmtime_r(&now, &parts);
  char buffer[64];
  std::strftime(buffer, sizeof buffer, "%a, %d %b %Y %H:%M:%S GMT", &parts);
  return buffer;
}

const char* reason(int status) {
  switch (status) {
    case 200:
      return "OK";
    case 403:
      return "Forbidden";
    case 429:
      return "Too Many Requests";
    default:
      return "Simulated";
  }
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

// The model of "/any/base/model/{id}/converse"; nothing for another target.
std::optional<std::string> converse_model(const std::string& target) {
  static const std::string before = "/model/";
  static const std::string after = "/converse";
  const auto from = target.find(before);
  if (from == std::string::npos || target.size() < from + before.size() + after.size() ||
      target.compare(target.size() - after.size(), after.size(), after) != 0) {
    return std::nullopt;
  }
  const auto id =
      target.substr(from + before.size(), target.size() - after.size() - from - before.size());
  if (id.empty() || id.find('/') != std::string::npos) return std::nullopt;
  return percent_decoded(id);
}

}  // namespace

// What all connections share. The mutex guards what the tests' threads set and read.
class SimulatedBedrock::Server {
 public:
  explicit Server(SimulatedBedrockOptions options)
      : options_(std::move(options)),
        acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), options_.port)),
        delay_(options_.delay) {
    if (!options_.certificate_file.empty()) {
      tls_.emplace(asio::ssl::context::tls_server);
      tls_->use_certificate_chain_file(options_.certificate_file);
      tls_->use_private_key_file(options_.key_file, asio::ssl::context::pem);
    }
    callers_.by_access_key[options_.access_key] = {options_.secret_key, options_.session_token};
    port_ = acceptor_.local_endpoint().port();
    accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Server() {
    context_.stop();
    thread_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  void accept();
  Reply reply_to(const RecordedRequest& request);

  // How a call ended that reply_to() began.
  void call_over(bool answered, bool aborted) {
    const std::lock_guard lock(mutex_);
    --stats_.in_flight;
    if (answered) ++stats_.answers;
    if (aborted) ++stats_.aborted;
  }

  const SimulatedBedrockOptions options_;
  asio::io_context context_;
  std::optional<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  // Of the context's thread.
  std::size_t next_connection_ = 1;
  std::vector<std::function<void()>> held_;

  mutable std::mutex mutex_;
  CallerRegistry callers_;
  std::chrono::milliseconds delay_;
  std::chrono::seconds clock_offset_{0};
  bool hold_ = false;
  std::string stop_reason_ = "end_turn";
  std::deque<Fault> faults_;
  std::function<std::optional<Fault>(const RecordedRequest&)> rule_;
  std::vector<RecordedRequest> requests_;
  SimulatedBedrockStats stats_;

  std::thread thread_;

 private:
  [[nodiscard]] std::time_t now() const { return std::time(nullptr) + clock_offset_.count(); }
  [[nodiscard]] std::string head(int status, const HeaderPairs& headers, std::size_t body_size);
  Reply error_reply(int status, const std::string& type, const std::string& message,
                    HeaderPairs headers = {});
  Reply stats_reply();
  std::optional<Reply> refuse(const RecordedRequest& request);
  std::optional<Fault> take_fault(const RecordedRequest& request);
  Reply answer(const RecordedRequest& request, const std::string& model,
               const std::optional<Fault>& fault);
};

namespace {

// One connection; keeps itself alive by its pending handlers.
template <class Stream, class Owner>
class Session : public std::enable_shared_from_this<Session<Stream, Owner>> {
 public:
  template <class... Args>
  Session(Owner& owner, std::size_t number, Args&&... args)
      : owner_(owner),
        number_(number),
        stream_(std::forward<Args>(args)...),
        timer_(owner.context_) {}

  void start() {
    if constexpr (is_tls) {
      stream_.async_handshake(asio::ssl::stream_base::server,
                              [self = this->shared_from_this()](error_code error) {
                                if (!error) self->read();
                              });
    } else {
      read();
    }
  }

 private:
  static constexpr bool is_tls = !std::is_same_v<Stream, tcp::socket>;

  tcp::socket& socket() {
    if constexpr (is_tls) {
      return stream_.next_layer();
    } else {
      return stream_;
    }
  }

  void read() {
    parser_.emplace();
    parser_->body_limit(max_body);
    parser_->header_limit(256 * 1024);
    http::async_read(stream_, buffer_, *parser_,
                     [self = this->shared_from_this()](error_code error, std::size_t) {
                       if (!error) self->on_request();
                     });
  }

  void on_request() {
    const auto& message = parser_->get();
    RecordedRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message) {
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    request.body = message.body();
    request.connection = number_;
    reply_ = owner_.reply_to(request);
    reply_.close = reply_.close || !message.keep_alive();
    answered_ = gone_ = false;
    watch_for_client_leaving();
    if (reply_.fault && reply_.fault->hang) return;  // until the client leaves
    if (reply_.hold) {
      owner_.held_.push_back([self = this->shared_from_this()] {
        if (!self->gone_) self->send();
      });
      return;
    }
    timer_.expires_after(reply_.delay);
    timer_.async_wait([self = this->shared_from_this()](error_code error) {
      if (!error && !self->gone_) self->send();
    });
  }

  // A client has nothing to say before it is answered: if the socket can be read, it is its end.
  void watch_for_client_leaving() {
    if (buffer_.size() > 0) return;
    socket().async_wait(tcp::socket::wait_read,
                        [self = this->shared_from_this()](error_code error) {
                          if (error || self->answered_) return;
                          self->gone_ = true;
                          self->timer_.cancel();
                          self->over(false, true);
                          error_code ignored;
                          self->socket().close(ignored);
                        });
  }

  void over(bool answered, bool aborted) {
    if (std::exchange(reply_.is_call, false)) owner_.call_over(answered, aborted);
  }

  void send() {
    answered_ = true;
    error_code ignored;
    socket().cancel(ignored);  // the watch
    out_ = reply_.head + reply_.body;
    const auto& fault = reply_.fault;
    if (fault && fault->raw) out_ = *fault->raw;
    if (fault && fault->cut_body_at) {
      out_.resize(std::min(out_.size(), reply_.head.size() + *fault->cut_body_at));
    } else if (fault && fault->reset) {
      out_.clear();
    }
    sent_ = 0;
    // Once the client reads the last byte, it may look at the statistics.
    over(!fault || fault->piece != 0, false);
    send_piece();
  }

  void send_piece() {
    if (sent_ == out_.size()) return sent();
    const auto& fault = reply_.fault;
    const auto piece = fault && fault->piece != 0 ? fault->piece : out_.size();
    const auto size = std::min(piece, out_.size() - sent_);
    asio::async_write(stream_, asio::buffer(out_.data() + sent_, size),
                      [self = this->shared_from_this(), size](error_code error, std::size_t) {
                        if (error) return;
                        self->sent_ += size;
                        self->pause();
                      });
  }

  void pause() {
    const auto& fault = reply_.fault;
    if (!fault || fault->pause.count() == 0) return send_piece();
    timer_.expires_after(fault->pause);
    timer_.async_wait([self = this->shared_from_this()](error_code error) {
      if (!error) self->send_piece();
    });
  }

  void sent() {
    const auto& fault = reply_.fault;
    error_code ignored;
    if (fault && fault->reset) {
      socket().set_option(tcp::socket::linger(true, 0), ignored);
      socket().close(ignored);
    } else if (reply_.close || (fault && (fault->close_after || fault->cut_body_at))) {
      socket().shutdown(tcp::socket::shutdown_send, ignored);
      drain();
    } else {
      read();
    }
  }

  // Reads what the client may still send, so that closing does not become a reset.
  void drain() {
    socket().async_read_some(asio::buffer(drained_),
                             [self = this->shared_from_this()](error_code error, std::size_t) {
                               if (!error) self->drain();
                             });
  }

  Owner& owner_;
  std::size_t number_;
  Stream stream_;
  asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<http::request_parser<http::string_body>> parser_;
  Reply reply_;
  std::string out_;
  std::size_t sent_ = 0;
  bool answered_ = false;
  bool gone_ = false;
  std::array<char, 512> drained_{};
};

}  // namespace

void SimulatedBedrock::Server::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    {
      const std::lock_guard lock(mutex_);
      ++stats_.connections;
    }
    const auto number = next_connection_++;
    if (tls_) {
      using Stream = asio::ssl::stream<tcp::socket>;
      std::make_shared<Session<Stream, Server>>(*this, number, std::move(socket), *tls_)->start();
    } else {
      std::make_shared<Session<tcp::socket, Server>>(*this, number, std::move(socket))->start();
    }
    accept();
  });
}

std::string SimulatedBedrock::Server::head(int status, const HeaderPairs& headers,
                                           std::size_t body_size) {
  char id[40];
  std::snprintf(id, sizeof id, "00000000-0000-4000-8000-%012zu", stats_.calls);
  std::string out = "HTTP/1.1 " + std::to_string(status) + " " + reason(status) +
                    "\r\nDate: " + http_date(now()) + "\r\nx-amzn-RequestId: " + id + "\r\n";
  for (const auto& [name, value] : headers) out.append(name).append(": ").append(value) += "\r\n";
  return out + "Content-Length: " + std::to_string(body_size) + "\r\n\r\n";
}

Reply SimulatedBedrock::Server::error_reply(int status, const std::string& type,
                                            const std::string& message, HeaderPairs headers) {
  Reply reply;
  reply.body = nlohmann::json{{"message", message}}.dump();
  headers.emplace_back("Content-Type", "application/json");
  if (!type.empty()) {
    headers.emplace_back("x-amzn-ErrorType",
                         type + ":http://internal.amazon.com/coral/com.amazon.bedrock/");
  }
  reply.head = head(status, headers, reply.body.size());
  return reply;
}

Reply SimulatedBedrock::Server::stats_reply() {
  Reply reply;
  reply.body = nlohmann::json{{"connections", stats_.connections}, {"calls", stats_.calls},
                              {"answers", stats_.answers},         {"refused", stats_.refused},
                              {"faults", stats_.faults},           {"aborted", stats_.aborted},
                              {"in_flight", stats_.in_flight}}
                   .dump() +
               "\n";
  reply.head = head(200, {{"Content-Type", "application/json"}}, reply.body.size());
  return reply;
}

std::optional<Reply> SimulatedBedrock::Server::refuse(const RecordedRequest& request) {
  const auto authorization = header_value(request.headers, "authorization");
  if (authorization.empty()) {
    if (options_.allow_anonymous) return std::nullopt;
    return error_reply(403, "MissingAuthenticationTokenException", "Missing Authentication Token");
  }
  if (authorization.rfind("Bearer ", 0) == 0) {
    if (!options_.bearer_token.empty() && authorization == "Bearer " + options_.bearer_token) {
      return std::nullopt;
    }
    // As the service does it: no type, and a capital M.
    Reply reply;
    reply.body = nlohmann::json{{"Message",
                                 "Authentication failed: Please make sure your API Key "
                                 "is valid. Got " +
                                     authorization}}
                     .dump();
    reply.head = head(403, {{"Content-Type", "application/json"}}, reply.body.size());
    return reply;
  }
  const auto refusal = check_signature(request, callers_, now(), options_.region);
  if (refusal.type.empty()) return std::nullopt;
  return error_reply(403, refusal.type, refusal.message);
}

std::optional<Fault> SimulatedBedrock::Server::take_fault(const RecordedRequest& request) {
  if (!faults_.empty()) {
    auto fault = std::move(faults_.front());
    faults_.pop_front();
    return fault;
  }
  return rule_ ? rule_(request) : std::nullopt;
}

Reply SimulatedBedrock::Server::answer(const RecordedRequest& request, const std::string& model,
                                       const std::optional<Fault>& fault) {
  const auto simulated = simulated_converse(model, request.body, stop_reason_, delay_);
  if (!simulated.validation_error.empty()) {
    return error_reply(400, "ValidationException", simulated.validation_error);
  }
  Reply reply;
  reply.body = fault && fault->body ? *fault->body : simulated.body;
  HeaderPairs headers{
      {"Content-Type", fault && fault->content_type ? *fault->content_type : "application/json"}};
  if (fault) headers.insert(headers.end(), fault->headers.begin(), fault->headers.end());
  reply.head = head(200, headers, reply.body.size());
  reply.delay = delay_;
  reply.hold = hold_;
  return reply;
}

Reply SimulatedBedrock::Server::reply_to(const RecordedRequest& request) {
  const std::lock_guard lock(mutex_);
  if (request.method == "GET" && request.target == "/__stats") return stats_reply();
  if (requests_.size() < max_recorded) requests_.push_back(request);
  ++stats_.calls;
  ++stats_.in_flight;
  stats_.max_in_flight = std::max(stats_.max_in_flight, stats_.in_flight);

  const auto make_reply = [&]() -> Reply {
    const bool fault_first = !faults_.empty() && faults_.front().before_authentication;
    if (!fault_first) {
      if (auto refusal = refuse(request)) {
        ++stats_.refused;
        return *std::move(refusal);
      }
    }
    const auto model = converse_model(request.target);
    if (request.method != "POST" || !model) {
      return error_reply(404, "UnknownOperationException", "no such operation");
    }
    const auto fault = take_fault(request);
    if (fault) ++stats_.faults;
    auto made = fault && fault->status != 0
                    ? error_reply(fault->status, fault->type, fault->message, fault->headers)
                    : answer(request, *model, fault);
    made.fault = fault;
    return made;
  };
  auto made = make_reply();
  made.is_call = true;
  return made;
}

SimulatedBedrock::SimulatedBedrock(SimulatedBedrockOptions options)
    : server_(std::make_unique<Server>(std::move(options))) {}
SimulatedBedrock::~SimulatedBedrock() = default;

std::uint16_t SimulatedBedrock::port() const {
  return server_->port_;
}
std::string SimulatedBedrock::url() const {
  return std::string(server_->tls_ ? "https" : "http") + "://127.0.0.1:" + std::to_string(port());
}
void SimulatedBedrock::set_delay(std::chrono::milliseconds delay) {
  const std::lock_guard lock(server_->mutex_);
  server_->delay_ = delay;
}
void SimulatedBedrock::set_stop_reason(std::string reason) {
  const std::lock_guard lock(server_->mutex_);
  server_->stop_reason_ = std::move(reason);
}
void SimulatedBedrock::set_clock_offset(std::chrono::seconds offset) {
  const std::lock_guard lock(server_->mutex_);
  server_->clock_offset_ = offset;
}
void SimulatedBedrock::hold() {
  const std::lock_guard lock(server_->mutex_);
  server_->hold_ = true;
}
void SimulatedBedrock::release() {
  {
    const std::lock_guard lock(server_->mutex_);
    server_->hold_ = false;
  }
  asio::post(server_->context_, [server = server_.get()] {
    for (const auto& answer : std::exchange(server->held_, {})) answer();
  });
}
void SimulatedBedrock::add_fault(Fault fault, int times) {
  const std::lock_guard lock(server_->mutex_);
  for (int i = 0; i < times; ++i) server_->faults_.push_back(fault);
}
void SimulatedBedrock::set_rule(std::function<std::optional<Fault>(const RecordedRequest&)> rule) {
  const std::lock_guard lock(server_->mutex_);
  server_->rule_ = std::move(rule);
}
void SimulatedBedrock::add_caller(const std::string& access_key, KnownCaller caller) {
  const std::lock_guard lock(server_->mutex_);
  server_->callers_.by_access_key[access_key] = std::move(caller);
}
void SimulatedBedrock::expire_token(const std::string& session_token) {
  const std::lock_guard lock(server_->mutex_);
  server_->callers_.expired_tokens.insert(session_token);
}
SimulatedBedrockStats SimulatedBedrock::stats() const {
  const std::lock_guard lock(server_->mutex_);
  return server_->stats_;
}
std::vector<RecordedRequest> SimulatedBedrock::requests() const {
  const std::lock_guard lock(server_->mutex_);
  return server_->requests_;
}

}  // namespace valkeycache::test
