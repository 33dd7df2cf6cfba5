// The server's side of HTTP/2 without its socket: bytes in, requests out; responses in, bytes out.
#pragma once

#include <cstdint>
#include <map>
#include <string>
#include <string_view>

#include "support/bedrock/simulated_reply.hpp"

struct nghttp2_session;

namespace valkeycache::test {

class Http2Frames {
 public:
  // Some of a response's body.
  struct Data {
    enum class Kind {
      more,
      last,
      wait,  // nothing before resume()
    };
    Kind kind = Kind::wait;
    std::string_view bytes;
  };

  class Owner {
   public:
    virtual void on_request(std::int32_t stream, ReceivedRequest request) = 0;
    virtual void on_stream_closed(std::int32_t stream) = 0;
    // The bytes have to stay until the next call for this stream.
    virtual Data next_data(std::int32_t stream, std::size_t limit) = 0;

   protected:
    ~Owner() = default;
  };

  Http2Frames(Owner& owner, std::uint32_t max_streams);
  ~Http2Frames();
  Http2Frames(const Http2Frames&) = delete;
  Http2Frames& operator=(const Http2Frames&) = delete;

  // What the peer sent; false when it is no HTTP/2.
  bool take(std::string_view bytes);
  // Appends what has to be sent now; false when there is no going on.
  bool give(std::string& out);
  // Nothing more will be read or sent.
  [[nodiscard]] bool finished() const;

  // The body comes from Owner::next_data().
  void respond(std::int32_t stream, const Reply& reply);
  void resume(std::int32_t stream);
  void reset(std::int32_t stream, std::uint32_t error_code);
  // Says that streams after `last` were not looked at, and no more are taken.
  void go_away(std::int32_t last);

 private:
  struct Callbacks;
  Owner& owner_;
  nghttp2_session* session_ = nullptr;
  std::map<std::int32_t, ReceivedRequest> requests_;  // that are still coming in
};

}  // namespace valkeycache::test
