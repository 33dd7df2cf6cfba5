#include "support/bedrock/simulated_bedrock.hpp"

#include <array>
#include <thread>
#include <utility>

#include <boost/asio/post.hpp>

#include "support/bedrock/http1_session.hpp"
#include "support/bedrock/http2_session.hpp"
#include "support/bedrock/simulated_service.hpp"

namespace valkeycache::test {

namespace asio = boost::asio;
using asio::ip::tcp;
using boost::system::error_code;

namespace {

constexpr unsigned char h2_protocol[] = {2, 'h', '2'};

// Of ALPN: takes HTTP/2 where the client offers it.
int select_protocol(SSL*, const unsigned char** out, unsigned char* out_size,
                    const unsigned char* offered, unsigned offered_size, void*) {
  const int found = SSL_select_next_proto(const_cast<unsigned char**>(out), out_size, h2_protocol,
                                          sizeof h2_protocol, offered, offered_size);
  return found == OPENSSL_NPN_NEGOTIATED ? SSL_TLSEXT_ERR_OK : SSL_TLSEXT_ERR_NOACK;
}

bool agreed_on_http2(TlsStream& stream) {
  const unsigned char* name = nullptr;
  unsigned size = 0;
  SSL_get0_alpn_selected(stream.native_handle(), &name, &size);
  return size == 2;
}

// Whether what has arrived begins as HTTP/2 does.
bool begins_in_http2(tcp::socket& socket) {
  std::array<char, 3> first{};
  error_code ignored;
  socket.receive(asio::buffer(first), tcp::socket::message_peek, ignored);
  return first == std::array<char, 3>{'P', 'R', 'I'};
}

}  // namespace

class SimulatedBedrock::Server {
 public:
  explicit Server(SimulatedBedrockOptions given)
      : service(std::move(given)),
        acceptor_(context_, tcp::endpoint(asio::ip::address_v4::loopback(), service.options.port)),
        shared_{context_, service} {
    const auto& options = service.options;
    if (is_https()) {
      tls_.emplace(asio::ssl::context::tls_server);
      tls_->use_certificate_chain_file(options.certificate_file);
      tls_->use_private_key_file(options.key_file, asio::ssl::context::pem);
      if (options.http2) {
        SSL_CTX_set_alpn_select_cb(tls_->native_handle(), select_protocol, nullptr);
      }
      if (options.old_tls) {
        // Which OpenSSL allows at its lowest security level alone.
        SSL_CTX_set_security_level(tls_->native_handle(), 0);
        SSL_CTX_set_min_proto_version(tls_->native_handle(), TLS1_VERSION);
        SSL_CTX_set_max_proto_version(tls_->native_handle(), TLS1_1_VERSION);
      }
    }
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

  [[nodiscard]] std::uint16_t port() const { return port_; }
  [[nodiscard]] bool is_https() const { return !service.options.certificate_file.empty(); }

  void release() {
    asio::post(context_, [this] {
      for (const auto& answer : std::exchange(shared_.held, {})) answer();
    });
  }

  SimulatedService service;

 private:
  void accept() {
    acceptor_.async_accept([this](error_code error, tcp::socket socket) {
      if (error) return;
      socket.set_option(tcp::no_delay(true));
      service.connected();
      const auto number = next_connection_++;
      if (tls_) {
        shake_hands(number, std::move(socket));
      } else {
        await_first_bytes(number, std::move(socket));
      }
      accept();
    });
  }

  void shake_hands(std::size_t number, tcp::socket socket) {
    auto stream = std::make_shared<TlsStream>(std::move(socket), *tls_);
    stream->async_handshake(asio::ssl::stream_base::server,
                            [this, number, stream](error_code error) {
                              if (!error)
                                serve(number, std::move(*stream), agreed_on_http2(*stream));
                            });
  }

  void await_first_bytes(std::size_t number, tcp::socket connected) {
    auto socket = std::make_shared<tcp::socket>(std::move(connected));
    socket->async_wait(tcp::socket::wait_read, [this, number, socket](error_code error) {
      if (!error) serve(number, std::move(*socket), begins_in_http2(*socket));
    });
  }

  template <class Stream>
  void serve(std::size_t number, Stream&& stream, bool http2) {
    if (http2) {
      std::make_shared<Http2Session<Stream>>(shared_, number, std::forward<Stream>(stream))->read();
    } else {
      std::make_shared<Http1Session<Stream>>(shared_, number, std::forward<Stream>(stream))->read();
    }
  }

  asio::io_context context_;
  std::optional<asio::ssl::context> tls_;
  tcp::acceptor acceptor_;
  std::uint16_t port_ = 0;
  // Of the context's thread.
  std::size_t next_connection_ = 1;
  ServerShared shared_;

  std::thread thread_;
};

SimulatedBedrock::SimulatedBedrock(SimulatedBedrockOptions options)
    : server_(std::make_unique<Server>(std::move(options))) {}
SimulatedBedrock::~SimulatedBedrock() = default;

std::uint16_t SimulatedBedrock::port() const {
  return server_->port();
}
std::string SimulatedBedrock::url() const {
  return std::string(server_->is_https() ? "https" : "http") +
         "://127.0.0.1:" + std::to_string(port());
}
void SimulatedBedrock::set_delay(std::chrono::milliseconds delay) {
  server_->service.with_state([&](auto& state) { state.delay = delay; });
}
void SimulatedBedrock::set_stream_pace(std::chrono::milliseconds pace) {
  server_->service.with_state([&](auto& state) { state.stream_pace = pace; });
}
void SimulatedBedrock::set_stop_reason(std::string reason) {
  server_->service.with_state([&](auto& state) { state.stop_reason = std::move(reason); });
}
void SimulatedBedrock::set_clock_offset(std::chrono::seconds offset) {
  server_->service.with_state([&](auto& state) { state.clock_offset = offset; });
}
void SimulatedBedrock::hold() {
  server_->service.with_state([](auto& state) { state.hold = true; });
}
void SimulatedBedrock::release() {
  server_->service.with_state([](auto& state) { state.hold = false; });
  server_->release();
}
void SimulatedBedrock::add_fault(Fault fault, int times) {
  server_->service.with_state([&](auto& state) {
    for (int i = 0; i < times; ++i) state.faults.push_back(fault);
  });
}
void SimulatedBedrock::set_rule(std::function<std::optional<Fault>(const RecordedRequest&)> rule) {
  server_->service.with_state([&](auto& state) { state.rule = std::move(rule); });
}
void SimulatedBedrock::add_caller(const std::string& access_key, KnownCaller caller) {
  server_->service.with_state(
      [&](auto& state) { state.callers.by_access_key[access_key] = std::move(caller); });
}
void SimulatedBedrock::expire_token(const std::string& session_token) {
  server_->service.with_state(
      [&](auto& state) { state.callers.expired_tokens.insert(session_token); });
}
SimulatedBedrockStats SimulatedBedrock::stats() const {
  return server_->service.with_state([](const auto& state) { return state.stats; });
}
std::vector<RecordedRequest> SimulatedBedrock::requests() const {
  return server_->service.with_state([](const auto& state) { return state.requests; });
}

}  // namespace valkeycache::test
