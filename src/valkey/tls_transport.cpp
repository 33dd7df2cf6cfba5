#include "valkey/tls_transport.hpp"

#include <algorithm>
#include <cstring>
#include <new>
#include <string>
#include <utility>
#include <vector>

#include <openssl/bio.h>
#include <openssl/err.h>
#include <openssl/x509.h>

#include "base/fork.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Four records and more at a time: one system call for what OpenSSL by itself would take eight to
// read and four to write.
constexpr std::size_t batch = std::size_t{64} << 10;

class TlsTransport final : public Transport {
 public:
  TlsTransport(std::unique_ptr<Transport> socket, TlsContext::Connection connection)
      : socket_(std::move(socket)), ssl_(std::move(connection)), received_(batch) {
    to_send_.reserve(batch + batch / 16);
    BIO* bio = BIO_new(method());
    if (!bio) throw std::bad_alloc();
    BIO_set_data(bio, this);
    BIO_set_init(bio, 1);
    SSL_set_bio(ssl_.get(), bio, bio);  // owns it now
  }

  ~TlsTransport() override {
    // The peer then knows that nothing was cut off. Not from the child of a fork(), whose copy of
    // the connection is the parent's.
    if (open_ && !broken_ && fork_generation() == fork_generation_) {
      ERR_clear_error();
      if (SSL_shutdown(ssl_.get()) >= 0) flush();
    }
    ERR_clear_error();
  }

  [[nodiscard]] int descriptor() const noexcept override { return socket_->descriptor(); }

  Step connect() override {
    if (!socket_connected_) {
      const auto step = socket_->connect();
      if (step == Step::failed) return fail(socket_->error());
      if (step != Step::done) return step;
      socket_connected_ = true;
    }
    begin(false);
    const int result = SSL_do_handshake(ssl_.get());
    const int why = SSL_get_error(ssl_.get(), result);
    const auto flushed = flush();
    if (result == 1) {
      if (flushed == Step::failed) return Step::failed;
      if (flushed == Step::done) open_ = true;
      return flushed;
    }
    // Not when the alert that goes with it cannot be sent.
    if (why != SSL_ERROR_WANT_READ) return fail(handshake_error());
    if (flushed != Step::done) return flushed;
    return Step::wants_read;
  }

  Moved read(char* into, std::size_t size) override { return receive(into, size, false); }
  Moved read_patiently(char* into, std::size_t size) override { return receive(into, size, true); }

  // What it takes is encrypted at once and cannot be taken back, sent or not.
  Moved write(const char* from, std::size_t size) override {
    const auto flushed = flush();
    if (flushed != Step::done) return {flushed, 0};
    begin(false);
    std::size_t put = 0;
    if (SSL_write_ex(ssl_.get(), from, std::min(size, batch), &put) != 1) {
      return {fail(session_error()), 0};
    }
    if (flush() == Step::failed) return {Step::failed, 0};
    return {Step::done, put};
  }

  Step flush() override {
    std::size_t sent = 0;
    auto step = Step::done;
    while (sent < to_send_.size()) {
      const auto moved = socket_->write(to_send_.data() + sent, to_send_.size() - sent);
      if (moved.step != Step::done) {
        step = moved.step == Step::failed ? fail(socket_->error()) : moved.step;
        break;
      }
      sent += moved.bytes;
    }
    to_send_.erase(to_send_.begin(), to_send_.begin() + static_cast<std::ptrdiff_t>(sent));
    return step;
  }

  [[nodiscard]] bool unread() const noexcept override { return unread_; }
  [[nodiscard]] Error error() const override { return error_; }

 private:
  // --- what OpenSSL reads from and writes to ---

  static const BIO_METHOD* method() {
    static const BIO_METHOD* const made = [] {
      BIO_METHOD* fresh = BIO_meth_new(BIO_get_new_index() | BIO_TYPE_SOURCE_SINK, "valkeycache");
      if (!fresh) throw std::bad_alloc();
      BIO_meth_set_read_ex(fresh, [](BIO* bio, char* into, std::size_t size, std::size_t* got) {
        return static_cast<TlsTransport*>(BIO_get_data(bio))->give(bio, into, size, *got);
      });
      BIO_meth_set_write_ex(fresh,
                            [](BIO* bio, const char* from, std::size_t size, std::size_t* put) {
                              auto& out = static_cast<TlsTransport*>(BIO_get_data(bio))->to_send_;
                              try {
                                out.insert(out.end(), from, from + size);
                              } catch (const std::bad_alloc&) {
                                return 0;
                              }
                              *put = size;
                              return 1;
                            });
      BIO_meth_set_ctrl(fresh, [](BIO*, int command, long, void*) -> long {
        return command == BIO_CTRL_FLUSH ? 1 : 0;
      });
      return fresh;
    }();
    return made;
  }

  int give(BIO* bio, char* into, std::size_t size, std::size_t& got) {
    BIO_clear_retry_flags(bio);
    if (taken_ == filled_) {
      if (drained_) return later(bio);
      const auto moved = patient_ ? socket_->read_patiently(received_.data(), received_.size())
                                  : socket_->read(received_.data(), received_.size());
      patient_ = false;
      if (moved.step == Step::failed) {
        socket_failed_ = true;
        return 0;
      }
      // Whatever comes after a short read makes the descriptor readable again.
      drained_ = moved.step != Step::done || moved.bytes < received_.size();
      if (moved.step != Step::done) return later(bio);
      taken_ = 0;
      filled_ = moved.bytes;
    }
    got = std::min(size, filled_ - taken_);
    std::memcpy(into, received_.data() + taken_, got);
    taken_ += got;
    return 1;
  }

  static int later(BIO* bio) {
    BIO_set_retry_read(bio);
    return 0;
  }

  // --- reading ---

  // Before every call of OpenSSL: an error that somebody else left on this thread would be taken
  // for one of this connection's.
  void begin(bool patient) {
    ERR_clear_error();
    drained_ = false;
    patient_ = patient;
  }

  Moved receive(char* into, std::size_t size, bool patient) {
    begin(patient);
    std::size_t total = 0;
    bool failed = false;
    unread_ = false;
    while (total < size) {
      std::size_t got = 0;
      if (SSL_read_ex(ssl_.get(), into + total, size - total, &got) == 1) {
        total += got;
        continue;
      }
      failed = SSL_get_error(ssl_.get(), 0) != SSL_ERROR_WANT_READ;
      break;
    }
    if (total == 0 && failed) return {fail(session_error()), 0};
    // An error waits until what came before it has been taken; it is there the next time, too.
    unread_ = failed || total == size;
    // A request for new keys is answered inside of reading.
    if (!to_send_.empty() && flush() == Step::failed && total == 0) return {Step::failed, 0};
    return {total != 0 ? Step::done : Step::wants_read, total};
  }

  // --- errors ---

  Step fail(Error error) {
    broken_ = true;
    error_ = std::move(error);
    return Step::failed;
  }

  static Error refused(std::string message) {
    return {.code = ErrorCode::tls_failed, .message = std::move(message)};
  }

  [[nodiscard]] Error handshake_error() const {
    if (socket_failed_) {
      auto error = socket_->error();
      error.code = ErrorCode::connect_failed;
      error.message += " during the TLS handshake";
      return error;
    }
    const auto verdict = SSL_get_verify_result(ssl_.get());
    if (verdict != X509_V_OK) {
      std::string message = "the server's certificate was not accepted: ";
      message += X509_verify_cert_error_string(verdict);
      if (verdict == X509_V_ERR_HOSTNAME_MISMATCH || verdict == X509_V_ERR_IP_ADDRESS_MISMATCH) {
        message += "; connect to a name that it names, or give that in tls.server_name";
      } else if (verdict != X509_V_ERR_CERT_HAS_EXPIRED &&
                 verdict != X509_V_ERR_CERT_NOT_YET_VALID) {
        message += "; tls.ca_file names whom to trust";
      }
      return refused(std::move(message));
    }
    const auto code = ERR_peek_last_error();
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) == SSL_R_WRONG_VERSION_NUMBER) {
      return refused("the server does not speak TLS on this port");
    }
    return refused("TLS could not be agreed on" + reason(code));
  }

  [[nodiscard]] Error session_error() const {
    if (socket_failed_) return socket_->error();
    const auto code = ERR_peek_last_error();
    // With TLS 1.3 servers refuse a client's certificate, or the lack of one, after the handshake.
    if (ERR_GET_LIB(code) == ERR_LIB_SSL && ERR_GET_REASON(code) >= SSL_AD_REASON_OFFSET) {
      return refused("the server ended TLS" + reason(code));
    }
    return {.code = ErrorCode::connection_lost,
            .message = code == 0 ? "the server closed the connection"
                                 : "the TLS connection to the server broke" + reason(code),
            .retryable = true};
  }

  // OpenSSL's words of its own; never the peer's.
  static std::string reason(unsigned long code) {
    const char* text = code == 0 ? nullptr : ERR_reason_error_string(code);
    return text ? std::string(": ") + text : std::string();
  }

  std::unique_ptr<Transport> socket_;
  TlsContext::Connection ssl_;
  std::uint64_t fork_generation_ = fork_generation();
  bool socket_connected_ = false;
  bool socket_failed_ = false;
  bool open_ = false;
  bool broken_ = false;
  bool unread_ = false;

  std::vector<char>
      received_;  // still encrypted; [taken_, filled_) is what OpenSSL has not had yet
  std::size_t taken_ = 0;
  std::size_t filled_ = 0;
  bool drained_ = false;  // in this call the socket had no more
  bool patient_ = false;  // the next read of the socket may sleep

  std::vector<char> to_send_;  // encrypted
  Error error_;
};

}  // namespace

std::unique_ptr<Transport> secure(std::unique_ptr<Transport> socket,
                                  TlsContext::Connection connection) {
  return std::make_unique<TlsTransport>(std::move(socket), std::move(connection));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
