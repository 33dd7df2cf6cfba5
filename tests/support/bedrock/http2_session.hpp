// HTTP/2 for the simulated Bedrock, by libnghttp2.
#pragma once

#include <array>
#include <map>
#include <memory>
#include <string>
#include <utility>

#include <boost/asio/write.hpp>

#include "support/bedrock/http2_frames.hpp"
#include "support/bedrock/server_connection.hpp"

namespace valkeycache::test {

// One connection; keeps itself alive by its pending handlers.
template <class Stream>
class Http2Session final : public std::enable_shared_from_this<Http2Session<Stream>>,
                           private Http2Frames::Owner {
  using error_code = boost::system::error_code;

 public:
  // The stream is connected, and has its handshake behind it.
  Http2Session(ServerShared& shared, std::size_t number, Stream stream)
      : shared_(shared),
        number_(number),
        stream_(std::move(stream)),
        frames_(*this, shared.service.options.max_streams) {}

  void read() {
    pump();
    stream_.async_read_some(boost::asio::buffer(in_), [self = this->shared_from_this()](
                                                          error_code error, std::size_t size) {
      if (error || self->closed_ || !self->frames_.take({self->in_.data(), size})) {
        return self->close();
      }
      self->read();
    });
  }

 private:
  struct Exchange {
    explicit Exchange(boost::asio::io_context& context) : timer(context) {}
    Reply reply;
    BodyPieces pieces;
    std::string_view piece;  // what is left of the one that is being sent
    bool paused = false;
    boost::asio::steady_timer timer;
  };
  using ExchangePointer = std::shared_ptr<Exchange>;

  // --- what the frames tell -------------------------------------------------------------------

  void on_request(std::int32_t stream, ReceivedRequest received) override {
    RecordedRequest request;
    static_cast<ReceivedRequest&>(request) = std::move(received);
    request.connection = number_;
    auto exchange = std::make_shared<Exchange>(shared_.context);
    exchange->reply = shared_.service.reply_to(request);
    exchanges_[stream] = exchange;
    const auto& reply = exchange->reply;
    if (reply.fault && reply.fault->hang) return;
    if (reply.hold) {
      shared_.held.push_back([self = this->shared_from_this(), stream, exchange] {
        if (self->is_open(stream)) self->respond(stream, *exchange);
        self->pump();
      });
    } else if (reply.delay.count() == 0) {
      respond(stream, *exchange);
    } else {
      after(reply.delay, stream, exchange,
            [](Http2Session& self, std::int32_t id, Exchange& one) { self.respond(id, one); });
    }
  }

  void on_stream_closed(std::int32_t stream) override {
    const auto found = exchanges_.find(stream);
    if (found == exchanges_.end()) return;
    found->second->timer.cancel();
    over(*found->second, false, true);
    exchanges_.erase(found);
  }

  Http2Frames::Data next_data(std::int32_t stream, std::size_t limit) override {
    using Kind = Http2Frames::Data::Kind;
    const auto found = exchanges_.find(stream);
    if (found == exchanges_.end()) return {Kind::wait, {}};
    auto& exchange = *found->second;
    if (exchange.piece.empty() && !exchange.paused && !exchange.pieces.done()) {
      exchange.piece = exchange.pieces.next();
    }
    const auto bytes = exchange.piece.substr(0, limit);
    exchange.piece.remove_prefix(bytes.size());
    if (!exchange.piece.empty()) return {Kind::more, bytes};
    if (!exchange.pieces.done()) {
      const auto pause = exchange.pieces.pause();
      if (pause.count() == 0 || exchange.paused) {
        return {exchange.paused ? Kind::wait : Kind::more, bytes};
      }
      exchange.paused = true;
      after(pause, stream, found->second, [](Http2Session& self, std::int32_t id, Exchange& one) {
        one.paused = false;
        self.frames_.resume(id);
      });
      return {Kind::more, bytes};
    }
    if (exchange.reply.stall) return {bytes.empty() ? Kind::wait : Kind::more, bytes};
    const auto& fault = exchange.reply.fault;
    // Once the client reads the last byte, it may look at the statistics.
    over(exchange, !fault || fault->piece != 0, false);
    if (fault && fault->cut_body_at) {
      cut_ = stream;
      return {bytes.empty() ? Kind::wait : Kind::more, bytes};
    }
    if (fault && fault->close_after) frames_.go_away(stream);
    return {Kind::last, bytes};
  }

  // --- answers --------------------------------------------------------------------------------

  [[nodiscard]] bool is_open(std::int32_t stream) const {
    return !closed_ && exchanges_.count(stream) != 0;
  }

  template <class F>
  void after(std::chrono::milliseconds time, std::int32_t stream, const ExchangePointer& exchange,
             F then) {
    exchange->timer.expires_after(time);
    exchange->timer.async_wait(
        [self = this->shared_from_this(), stream, exchange, then](error_code error) {
          if (error || !self->is_open(stream)) return;
          then(*self, stream, *exchange);
          self->pump();
        });
  }

  void respond(std::int32_t stream, Exchange& exchange) {
    const auto& reply = exchange.reply;
    const auto& fault = reply.fault;
    if (fault && !fault->cut_body_at) {
      if (fault->raw) {
        over(exchange, false, false);
        raw_ = *fault->raw;
        return;
      }
      if (fault->stream_error) {
        over(exchange, false, false);
        return frames_.reset(stream, *fault->stream_error);
      }
      if (fault->reset) {
        over(exchange, false, false);
        reset_connection(stream_);
        return close();
      }
      if (fault->refuse_by_goaway) {
        over(exchange, false, false);
        return frames_.go_away(stream - 2);
      }
    }
    exchange.pieces = BodyPieces(reply);
    frames_.respond(stream, reply);
  }

  // The end of an answer that is cut off, once what comes before it has been sent.
  void cut_off(std::int32_t stream) {
    const auto found = exchanges_.find(stream);
    if (found == exchanges_.end()) return;
    const auto& fault = found->second->reply.fault;
    if (fault->stream_error) {
      frames_.reset(stream, *fault->stream_error);
      return pump();
    }
    if (fault->reset) reset_connection(stream_);
    close();
  }

  void over(Exchange& exchange, bool answered, bool aborted) {
    if (std::exchange(exchange.reply.is_call, false)) {
      shared_.service.call_over(answered, aborted);
    }
  }

  // --- bytes ----------------------------------------------------------------------------------

  void pump() {
    if (writing_ || closed_) return;
    out_.clear();
    if (!frames_.give(out_)) return close();
    out_ += std::exchange(raw_, {});
    if (out_.empty()) {
      if (const auto stream = std::exchange(cut_, 0)) return cut_off(stream);
      if (frames_.finished()) close();
      return;
    }
    writing_ = true;
    boost::asio::async_write(stream_, boost::asio::buffer(out_),
                             [self = this->shared_from_this()](error_code error, std::size_t) {
                               self->writing_ = false;
                               if (error) return self->close();
                               self->pump();
                             });
  }

  void close() {
    if (std::exchange(closed_, true)) return;
    for (const auto& [stream, exchange] : exchanges_) {
      exchange->timer.cancel();
      over(*exchange, false, true);
    }
    exchanges_.clear();
    error_code ignored;
    socket_of(stream_).shutdown(PlainStream::shutdown_both, ignored);
    socket_of(stream_).close(ignored);
  }

  ServerShared& shared_;
  std::size_t number_;
  Stream stream_;
  std::map<std::int32_t, ExchangePointer> exchanges_;
  Http2Frames frames_;
  std::array<char, 16384> in_{};
  std::string out_;
  std::string raw_;
  std::int32_t cut_ = 0;
  bool writing_ = false;
  bool closed_ = false;
};

}  // namespace valkeycache::test
