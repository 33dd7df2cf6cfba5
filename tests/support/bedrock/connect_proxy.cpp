#include "support/bedrock/connect_proxy.hpp"

#include <array>
#include <mutex>
#include <thread>
#include <utility>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/read_until.hpp>
#include <boost/asio/write.hpp>

namespace valkeycache::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

// Copies what comes from one socket to the other, until either ends.
class Pump : public std::enable_shared_from_this<Pump> {
 public:
  Pump(std::shared_ptr<tcp::socket> from, std::shared_ptr<tcp::socket> to)
      : from_(std::move(from)), to_(std::move(to)) {}

  void run() {
    from_->async_read_some(asio::buffer(bytes_),
                           [self = shared_from_this()](error_code error, std::size_t size) {
                             if (error) return self->end();
                             self->pass_on(size);
                           });
  }

 private:
  void pass_on(std::size_t size) {
    asio::async_write(*to_, asio::buffer(bytes_.data(), size),
                      [self = shared_from_this()](error_code error, std::size_t) {
                        if (error) return self->end();
                        self->run();
                      });
  }
  void end() {
    error_code ignored;
    from_->close(ignored);
    to_->close(ignored);
  }

  std::shared_ptr<tcp::socket> from_;
  std::shared_ptr<tcp::socket> to_;
  std::array<char, 8192> bytes_{};
};

}  // namespace

class ConnectProxy::Server {
 public:
  Server(std::uint16_t target_port, int refusal)
      : target_(asio::ip::address_v4::loopback(), target_port),
        refusal_(refusal),
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

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] std::vector<std::string> requests() const {
    const std::lock_guard lock(mutex_);
    return requests_;
  }

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket accepted) {
      if (error) return;
      auto client = std::make_shared<tcp::socket>(std::move(accepted));
      auto head = std::make_shared<std::string>();
      asio::async_read_until(*client, asio::dynamic_buffer(*head, 16384), "\r\n\r\n",
                             [this, client, head](error_code failed, std::size_t) {
                               if (!failed) connect(client, *head);
                             });
      accept();
    });
  }

  void connect(const std::shared_ptr<tcp::socket>& client, const std::string& head) {
    {
      const std::lock_guard lock(mutex_);
      requests_.push_back(head);
    }
    if (refusal_ != 0) {
      return answer(client,
                    "HTTP/1.1 " + std::to_string(refusal_) +
                        " Refused\r\nContent-Length: 0\r\nConnection: close\r\n\r\n",
                    nullptr);
    }
    auto server = std::make_shared<tcp::socket>(context_);
    server->async_connect(target_, [client, server](error_code error) {
      if (!error) answer(client, "HTTP/1.1 200 Connection established\r\n\r\n", server);
    });
  }

  static void answer(const std::shared_ptr<tcp::socket>& client, std::string text,
                     const std::shared_ptr<tcp::socket>& server) {
    auto kept = std::make_shared<std::string>(std::move(text));
    asio::async_write(*client, asio::buffer(*kept),
                      [client, kept, server](error_code error, std::size_t) {
                        if (error || !server) return;
                        std::make_shared<Pump>(client, server)->run();
                        std::make_shared<Pump>(server, client)->run();
                      });
  }

  const tcp::endpoint target_;
  const int refusal_;
  asio::io_context context_;
  tcp::acceptor acceptor_;
  const std::uint16_t port_;
  mutable std::mutex mutex_;
  std::vector<std::string> requests_;
  std::thread thread_;
};

ConnectProxy::ConnectProxy(std::uint16_t target_port, int refusal)
    : server_(std::make_unique<Server>(target_port, refusal)) {}
ConnectProxy::~ConnectProxy() = default;

std::string ConnectProxy::url() const {
  return "http://127.0.0.1:" + std::to_string(server_->port());
}
std::vector<std::string> ConnectProxy::requests() const {
  return server_->requests();
}

}  // namespace valkeycache::test
