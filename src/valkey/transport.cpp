#include "valkey/transport.hpp"

#include <cerrno>
#include <string>
#include <system_error>
#include <utility>

#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/socket.h>
#include <sys/time.h>

#include <hiredis/hiredis.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

Error system_error(std::string_view what, int number) {
  return {.code = ErrorCode::connect_failed,
          .message = std::string(what) + ": " + std::generic_category().message(number),
          .retryable = true};
}

// A socket made and connected by hiredis in its non-blocking mode.
class PlainTransport final : public Transport {
 public:
  explicit PlainTransport(redisContext* context) noexcept : context_(context) {}
  ~PlainTransport() override { redisFree(context_); }

  [[nodiscard]] int descriptor() const noexcept override { return context_->fd; }

  Step connect() override {
    int number = 0;
    socklen_t size = sizeof number;
    if (getsockopt(context_->fd, SOL_SOCKET, SO_ERROR, &number, &size) != 0) number = errno;
    if (number != 0) {
      error_ = system_error("the connection was not made", number);
      return Step::failed;
    }
    sockaddr_storage peer{};
    size = sizeof peer;
    if (getpeername(context_->fd, reinterpret_cast<sockaddr*>(&peer), &size) != 0) {
      // A Unix socket whose server takes nobody in just now is not connecting either, and would be
      // told to be ready again and again.
      const bool unix_socket = context_->connection_type == REDIS_CONN_UNIX;
      if (errno == ENOTCONN && !unix_socket) return Step::wants_write;
      error_ = system_error("the connection was not made", errno == ENOTCONN ? EAGAIN : errno);
      return Step::failed;
    }
    make_patient();
    return Step::done;
  }

  // Plain bytes go past hiredis: it sends with flags 0, and a peer that hung up would raise
  // SIGPIPE.
  Moved read(char* into, std::size_t size) override { return receive(into, size, MSG_DONTWAIT); }
  Moved read_patiently(char* into, std::size_t size) override { return receive(into, size, 0); }

  Moved write(const char* from, std::size_t size) override {
    const auto put = ::send(context_->fd, from, size, MSG_NOSIGNAL | MSG_DONTWAIT);
    if (put >= 0) return {Step::done, static_cast<std::size_t>(put)};
    if (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR) return {Step::wants_write, 0};
    error_ = lost(errno);
    return {Step::failed, 0};
  }

  [[nodiscard]] Error error() const override { return error_; }

 private:
  // From here on it is each call that says whether it may sleep, and a sleep has an end.
  void make_patient() noexcept {
    const int flags = fcntl(context_->fd, F_GETFL);
    const timeval longest{.tv_sec = 0, .tv_usec = 2000};
    if (flags >= 0 &&
        setsockopt(context_->fd, SOL_SOCKET, SO_RCVTIMEO, &longest, sizeof longest) == 0) {
      fcntl(context_->fd, F_SETFL, flags & ~O_NONBLOCK);
    }
  }

  Moved receive(char* into, std::size_t size, int flags) {
    const auto got = ::recv(context_->fd, into, size, flags);
    if (got > 0) return {Step::done, static_cast<std::size_t>(got)};
    if (got < 0 && (errno == EAGAIN || errno == EWOULDBLOCK || errno == EINTR)) {
      return {Step::wants_read, 0};
    }
    error_ = got == 0 ? Error{.code = ErrorCode::connection_lost,
                              .message = "the server closed the connection",
                              .retryable = true}
                      : lost(errno);
    return {Step::failed, 0};
  }

  static Error lost(int number) {
    auto error = system_error("the connection to the server broke", number);
    error.code = ErrorCode::connection_lost;
    return error;
  }

  redisContext* context_;
  Error error_;
};

Result<std::unique_ptr<Transport>> wrap(redisContext* context) {
  if (!context) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = "no memory for a connection",
                 .retryable = true};
  }
  auto transport = std::make_unique<PlainTransport>(context);
  if (context->err != 0) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = std::string("the connection was not made: ") + context->errstr,
                 .retryable = true};
  }
  // A program that this process starts must not inherit the connection.
  fcntl(context->fd, F_SETFD, FD_CLOEXEC);
  return std::unique_ptr<Transport>(std::move(transport));
}

}  // namespace

Result<std::unique_ptr<Transport>> open_tcp(const std::string& address, std::uint16_t port) {
  redisOptions options{};
  REDIS_OPTIONS_SET_TCP(&options, address.c_str(), port);
  options.options |= REDIS_OPT_NONBLOCK;
  auto* context = redisConnectWithOptions(&options);
  auto transport = wrap(context);
  if (transport) {
    // Small requests must not wait for the acknowledgement of others; hiredis sees to that only for
    // blocking connections.
    const int yes = 1;
    setsockopt(context->fd, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
    // A peer that vanished without a word is noticed between commands too.
    redisEnableKeepAliveWithInterval(context, 15);
  }
  return transport;
}

Result<std::unique_ptr<Transport>> open_unix(const std::string& path) {
  redisOptions options{};
  REDIS_OPTIONS_SET_UNIX(&options, path.c_str());
  options.options |= REDIS_OPT_NONBLOCK;
  return wrap(redisConnectWithOptions(&options));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
