// Connections: how long one may take to stand, what the system is told of it, and how much of a
// stream may arrive ahead of its handler.
#include <chrono>
#include <cstdint>
#include <stdexcept>
#include <string>
#include <utility>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include <gtest/gtest.h>

#include "integration/bedrock/bedrock_fixture.hpp"
#include "integration/bedrock/certificate_files.hpp"
#include "integration/bedrock/client_sockets.hpp"
#include "support/bedrock/event_frames.hpp"
#include "support/sanitized.hpp"
#include "support/valkey/gate.hpp"

namespace valkeycache::test {
namespace {

// Takes connections and never says a word.
class MuteServer {
 public:
  MuteServer() : socket_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const name = reinterpret_cast<sockaddr*>(&address);
    if (bind(socket_, name, size) != 0 || listen(socket_, 16) != 0 ||
        getsockname(socket_, name, &size) != 0) {
      throw std::runtime_error("no socket to listen on");
    }
    port_ = ntohs(address.sin_port);
  }
  ~MuteServer() { close(socket_); }
  MuteServer(const MuteServer&) = delete;
  MuteServer& operator=(const MuteServer&) = delete;

  [[nodiscard]] std::string https_url() const {
    return "https://127.0.0.1:" + std::to_string(port_);
  }

 private:
  int socket_;
  std::uint16_t port_ = 0;
};

class BedrockTransport : public BedrockTest {};

TEST_F(BedrockTransport, AConnectionThatTakesTooLongIsGivenUp) {
  const MuteServer mute;
  auto hasty = options();
  hasty.endpoint = mute.https_url();
  hasty.connect_timeout = 100ms;
  hasty.max_attempts = 2;
  auto bedrock = client(hasty);
  const auto answer = ask(bedrock, {.timeout = 60s});
  ASSERT_TRUE(fails_with(answer, ErrorCode::transport));
  EXPECT_TRUE(answer.error().retryable);
  EXPECT_FALSE(answer.error().maybe_applied) << "nothing was sent";
  EXPECT_NE(answer.error().message.find("after 2 attempts"), std::string::npos);
}

TEST_F(BedrockTransport, NoProgramThatIsStartedMeanwhileHasItsConnections) {
  auto bedrock = client();
  ASSERT_TRUE(ok(ask(bedrock)));
  const auto sockets = sockets_connected_to(server_.port());
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_EQ(fcntl(sockets[0], F_GETFD) & FD_CLOEXEC, FD_CLOEXEC);
}

TEST_F(BedrockTransport, IdleConnectionsAreKeptAlive) {
  auto bedrock = client();
  ASSERT_TRUE(ok(ask(bedrock)));
  const auto sockets = sockets_connected_to(server_.port());
  ASSERT_EQ(sockets.size(), 1u);
  EXPECT_EQ(socket_option(sockets[0], SOL_SOCKET, SO_KEEPALIVE), 1);
  EXPECT_EQ(socket_option(sockets[0], IPPROTO_TCP, TCP_KEEPIDLE), 30);
  EXPECT_EQ(socket_option(sockets[0], IPPROTO_TCP, TCP_KEEPINTVL), 30);
  EXPECT_EQ(socket_option(sockets[0], IPPROTO_TCP, TCP_NODELAY), 1);
}

struct HasFiles {
  CertificateFiles files;
};

class BedrockTransportHttp2 : private HasFiles, public BedrockTest {
 protected:
  BedrockTransportHttp2()
      : BedrockTest({.certificate_file = files.certificate(), .key_file = files.key()}) {}

  [[nodiscard]] BedrockOptions trusting() {
    auto made = options();
    made.ca_file = files.certificate();
    return made;
  }
};

// A stream that waits alone is not read. Where others share its connection, that goes on being
// read, and libcurl keeps what it has allowed the service to send: a window of 32 MiB, and no more
// than that, however long the stream.
TEST_F(BedrockTransportHttp2, AStreamThatWaitsIsHeldBackAtTheWindow) {
  if (sanitized) GTEST_SKIP() << "a matter of tens of megabytes";
  constexpr std::size_t mib = std::size_t{1} << 20;
  constexpr std::size_t window = 32 * mib;
  constexpr std::size_t pieces = 36;
  auto roomy = trusting();
  roomy.max_response_bytes = 64 * mib;
  auto bedrock = client(roomy);
  server_.add_fault(
      faults::with_body(stream_of_mebibytes(pieces), "application/vnd.amazon.eventstream"));
  Gate gate;
  Gate entered;
  auto future = bedrock.stream(ChatRequest("x"), [&](const StreamEvent&) {
    entered.open();
    gate.wait();
  });
  ASSERT_TRUE(entered.wait());
  const auto sockets = sockets_connected_to(server_.port());
  ASSERT_EQ(sockets.size(), 1u);
  // It has come to rest when many other calls brought nothing but their own answers.
  std::uint64_t received = 0;
  EXPECT_TRUE(wait_until([&] {
    const auto before = std::exchange(received, bytes_received(sockets[0]));
    for (int i = 0; i < 20; ++i) EXPECT_TRUE(ok(ask(bedrock)));
    return received - before < 100000;
  }));
  RecordProperty("received", std::to_string(received));
  EXPECT_LT(received, window + 2 * mib) << "the rest waits at the service";
  EXPECT_FALSE(future.ready());
  gate.open();
  const auto answer = future.get();
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->text.size(), pieces * mib);
}

}  // namespace
}  // namespace valkeycache::test
