// What is said on a new connection before anything else: AUTH, HELLO 3, SELECT, CLIENT TRACKING
// (for a near cache), CLIENT SETNAME and CLIENT SETINFO, in one write.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <cstdint>
#include <deque>
#include <string>
#include <string_view>

#include "valkey/reply.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Sans-I/O; for one connection.
class Handshake {
 public:
  // A replica of a cluster answers reads only to those who said READONLY.
  // `provided`, where it is a password, goes before that of the options.
  explicit Handshake(const ValkeyCacheOptions& options, bool to_replica = false,
                     const std::string& provided = {});

  // All requests, to be sent at once.
  [[nodiscard]] const std::string& requests() const noexcept { return requests_; }

  enum class Progress : std::uint8_t { more, done, failed };
  // The next bytes of the server.
  Progress feed(std::string_view bytes);

  // After `done`: 3, or 2 where the server does not know HELLO.
  [[nodiscard]] int protocol() const noexcept { return protocol_; }
  // After `done`: the server tells of changes to what is read, by pushes. (A server that speaks
  // RESP2 may say yes to the question, and tells of nothing.)
  [[nodiscard]] bool tracking() const noexcept { return tracking_ && protocol_ == 3; }
  // After `failed`.
  [[nodiscard]] const Error& error() const noexcept { return error_; }

 private:
  enum class Step : std::uint8_t { auth, hello, select, tracking, client };
  Progress take(Step step, const Reply& reply);
  Progress fail(Error error);

  std::string requests_;
  std::deque<Step> awaited_;
  ReplyReader reader_;
  int database_;
  int protocol_ = 2;
  bool tracking_ = false;
  Error error_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
