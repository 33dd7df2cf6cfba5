#include "support/bedrock/http_server.hpp"

#include <array>
#include <memory>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

namespace valkeycache::test {
namespace {

namespace asio = boost::asio;
namespace http = boost::beast::http;
using asio::ip::tcp;
using boost::system::error_code;

std::string bytes_of(const HttpAnswer& answer) {
  if (answer.raw) return *answer.raw;
  std::string out = "HTTP/1.1 " + std::to_string(answer.status) + " Simulated\r\n";
  for (const auto& [name, value] : answer.headers) {
    out.append(name).append(": ").append(value).append("\r\n");
  }
  return out + "Content-Length: " + std::to_string(answer.body.size()) + "\r\n\r\n" + answer.body;
}

}  // namespace

class HttpServer::Server {
 public:
  explicit Server(Handler handler)
      : handler_(std::move(handler)),
        acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), 0)),
        port_(acceptor_.local_endpoint().port()) {
    accept();
    thread_ = std::thread([this] { context_.run(); });
  }
  ~Server() {
    context_.stop();
    thread_.join();
  }
  Server(const Server&) = delete;
  Server& operator=(const Server&) = delete;

  HttpAnswer answer(const ReceivedRequest& request) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(request);
    }
    return handler_(request);
  }

  void accept();

  const Handler handler_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  const std::uint16_t port_;
  mutable std::mutex mutex_;
  std::vector<ReceivedRequest> requests_;
  std::thread thread_;
};

namespace {

// One connection; keeps itself alive by its pending handlers.
template <class Owner>
class Conversation : public std::enable_shared_from_this<Conversation<Owner>> {
 public:
  Conversation(Owner& owner, tcp::socket socket) : owner_(owner), socket_(std::move(socket)) {}

  void read() {
    request_ = {};
    http::async_read(socket_, buffer_, request_,
                     [self = this->shared_from_this()](error_code error, std::size_t) {
                       if (!error) self->on_request();
                     });
  }

 private:
  void on_request() {
    ReceivedRequest received{.method = std::string(request_.method_string()),
                             .target = std::string(request_.target()),
                             .headers = {},
                             .body = request_.body()};
    for (const auto& field : request_) {
      received.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    const auto answer = owner_.answer(received);
    if (answer.hang) return drain();
    out_ = bytes_of(answer);
    asio::async_write(socket_, asio::buffer(out_),
                      [self = this->shared_from_this(), last = answer.raw.has_value()](
                          error_code error, std::size_t) {
                        if (error) return;
                        if (!last) return self->read();
                        error_code ignored;
                        self->socket_.shutdown(tcp::socket::shutdown_send, ignored);
                        self->drain();
                      });
  }

  // Until the client goes away.
  void drain() {
    socket_.async_read_some(asio::buffer(drained_),
                            [self = this->shared_from_this()](error_code error, std::size_t) {
                              if (!error) self->drain();
                            });
  }

  Owner& owner_;
  tcp::socket socket_;
  boost::beast::flat_buffer buffer_;
  http::request<http::string_body> request_;
  std::string out_;
  std::array<char, 512> drained_{};
};

}  // namespace

void HttpServer::Server::accept() {
  acceptor_.async_accept([this](error_code error, tcp::socket socket) {
    if (error) return;
    socket.set_option(tcp::no_delay(true));
    std::make_shared<Conversation<Server>>(*this, std::move(socket))->read();
    accept();
  });
}

HttpServer::HttpServer(Handler handler) : server_(std::make_unique<Server>(std::move(handler))) {}
HttpServer::~HttpServer() = default;

std::string HttpServer::url() const {
  return "http://127.0.0.1:" + std::to_string(server_->port_);
}
std::vector<ReceivedRequest> HttpServer::requests() const {
  const std::lock_guard lock(server_->mutex_);
  return server_->requests_;
}

}  // namespace valkeycache::test
