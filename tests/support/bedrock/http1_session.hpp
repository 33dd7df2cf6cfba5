// HTTP/1.1 for the simulated Bedrock.
#pragma once

#include <array>
#include <cstdio>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/write.hpp>
#include <boost/beast/core/flat_buffer.hpp>
#include <boost/beast/http.hpp>

#include "support/bedrock/server_connection.hpp"

namespace valkeycache::test {

// One connection; keeps itself alive by its pending handlers.
template <class Stream>
class Http1Session : public std::enable_shared_from_this<Http1Session<Stream>> {
  using error_code = boost::system::error_code;

 public:
  // The stream is connected, and has its handshake behind it.
  Http1Session(ServerShared& shared, std::size_t number, Stream stream)
      : shared_(shared), number_(number), stream_(std::move(stream)), timer_(shared.context) {}

  void read() {
    constexpr std::uint64_t max_body = std::uint64_t{64} << 20;
    parser_.emplace();
    parser_->body_limit(max_body);
    parser_->header_limit(256 * 1024);
    boost::beast::http::async_read(
        stream_, buffer_, *parser_,
        [self = this->shared_from_this()](error_code error, std::size_t) {
          if (!error) self->on_request();
        });
  }

 private:
  void on_request() {
    auto& message = parser_->get();
    RecordedRequest request;
    request.method = std::string(message.method_string());
    request.target = std::string(message.target());
    for (const auto& field : message) {
      request.headers.emplace_back(std::string(field.name_string()), std::string(field.value()));
    }
    request.body = std::move(message.body());
    request.connection = number_;
    reply_ = shared_.service.reply_to(request);
    close_ = !message.keep_alive();
    gone_ = last_piece_ = false;
    watch_for_client_leaving();
    if (reply_.fault && reply_.fault->hang) return;  // until the client leaves
    if (reply_.hold) {
      shared_.held.push_back([self = this->shared_from_this()] {
        if (!self->gone_) self->send();
      });
    } else {
      after(reply_.delay, [](Http1Session& self) { self.send(); });
    }
  }

  template <class F>
  void after(std::chrono::milliseconds time, F then) {
    if (time.count() == 0) return then(*this);
    timer_.expires_after(time);
    timer_.async_wait([self = this->shared_from_this(), then](error_code error) {
      if (!error && !self->gone_) then(*self);
    });
  }

  // A client has nothing to say before it is answered: if the socket can be read, it is its end.
  void watch_for_client_leaving() {
    if (buffer_.size() > 0) return;
    socket_of(stream_).async_wait(PlainStream::wait_read,
                                  [self = this->shared_from_this()](error_code error) {
                                    if (error || self->last_piece_) return;
                                    self->client_left();
                                  });
  }

  void client_left() {
    gone_ = true;
    timer_.cancel();
    over(false, true);
    error_code ignored;
    socket_of(stream_).close(ignored);
  }

  void over(bool answered, bool aborted) {
    if (std::exchange(reply_.is_call, false)) shared_.service.call_over(answered, aborted);
  }

  [[nodiscard]] std::string head() const {
    std::string out = "HTTP/1.1 " + std::to_string(reply_.status) +
                      (reply_.status == 200 ? " OK\r\n" : " Simulated\r\n");
    for (const auto& [name, value] : reply_.headers) {
      out.append(name).append(": ").append(value) += "\r\n";
    }
    if (reply_.sized)
      return out + "Content-Length: " + std::to_string(reply_.body.size()) + "\r\n\r\n";
    return out + "Transfer-Encoding: chunked\r\n\r\n";
  }

  void send() {
    pieces_ = BodyPieces(reply_);
    const auto& fault = reply_.fault;
    if (fault && fault->raw) {
      pieces_ = {};
      out_ = *fault->raw;
      write_last();
    } else if (fault && fault->reset && !fault->cut_body_at) {
      out_.clear();
      write_last();
    } else {
      out_ = head();
      send_piece();
    }
  }

  // With what is in out_ before it.
  void send_piece() {
    if (!pieces_.done()) {
      const auto piece = pieces_.next();
      if (!reply_.sized) {
        char size[20];
        std::snprintf(size, sizeof size, "%zx\r\n", piece.size());
        out_ += size;
      }
      out_ += piece;
      if (!reply_.sized) out_ += "\r\n";
    }
    shared_.service.sending(out_.size());
    if (pieces_.done() && reply_.stall) {
      boost::asio::async_write(stream_, boost::asio::buffer(out_),
                               [self = this->shared_from_this()](error_code error, std::size_t) {
                                 if (error && !self->gone_) self->client_left();
                               });
      return;  // until the client leaves
    }
    if (pieces_.done()) {
      const bool whole = !reply_.fault || !reply_.fault->cut_body_at;
      if (!reply_.sized && whole) out_ += "0\r\n\r\n";
      return write_last();
    }
    boost::asio::async_write(stream_, boost::asio::buffer(out_),
                             [self = this->shared_from_this()](error_code error, std::size_t) {
                               if (self->gone_) return;
                               if (error) return self->client_left();
                               self->out_.clear();
                               self->after(self->pieces_.pause(),
                                           [](Http1Session& session) { session.send_piece(); });
                             });
  }

  void write_last() {
    last_piece_ = true;
    error_code ignored;
    socket_of(stream_).cancel(ignored);  // the watch
    const auto& fault = reply_.fault;
    // Once the client reads the last byte, it may look at the statistics.
    over(!fault || fault->piece != 0, false);
    if (out_.empty()) return sent();
    boost::asio::async_write(stream_, boost::asio::buffer(out_),
                             [self = this->shared_from_this()](error_code error, std::size_t) {
                               self->out_.clear();
                               if (!error) self->sent();
                             });
  }

  void sent() {
    const auto& fault = reply_.fault;
    if (fault && fault->reset) {
      reset_connection(stream_);
    } else if (close_ || (fault && (fault->close_after || fault->cut_body_at))) {
      error_code ignored;
      socket_of(stream_).shutdown(PlainStream::shutdown_send, ignored);
      drain();
    } else {
      read();
    }
  }

  // Reads what the client may still send, so that closing does not become a reset.
  void drain() {
    socket_of(stream_).async_read_some(
        boost::asio::buffer(drained_),
        [self = this->shared_from_this()](error_code error, std::size_t) {
          if (!error) self->drain();
        });
  }

  ServerShared& shared_;
  std::size_t number_;
  Stream stream_;
  boost::asio::steady_timer timer_;
  boost::beast::flat_buffer buffer_;
  std::optional<boost::beast::http::request_parser<boost::beast::http::string_body>> parser_;
  Reply reply_;
  BodyPieces pieces_;
  std::string out_;
  bool close_ = false;
  bool last_piece_ = false;
  bool gone_ = false;
  std::array<char, 512> drained_{};
};

}  // namespace valkeycache::test
