// A reply of the server, and the reader that makes replies out of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <string_view>
#include <vector>

struct redisReader;
struct redisReadTask;

namespace valkeycache::inline v0 {
namespace detail {

struct Reply {
  enum class Type : std::uint8_t {
    nil,
    string,
    status,
    error,
    integer,
    number,
    boolean,
    array,
    push
  };
  Type type = Type::nil;
  std::int64_t integer = 0;          // of integer and boolean
  std::string text = {};             // of string, status, error and number
  std::vector<Reply> elements = {};  // of array (maps and sets too: flattened) and push
};

struct ReplyLimits {
  std::size_t value_bytes;  // of one string
  std::size_t reply_bytes;  // of all strings of one reply
  std::size_t elements = std::size_t{1} << 20;
  std::size_t depth = 8;
};

// Sans-I/O. hiredis parses; the objects are ours, so a GET's value is copied once, into the string
// that the caller will own. Lengths are checked as soon as their header is there, before memory is
// taken for what they announce.
class ReplyReader {
 public:
  explicit ReplyReader(ReplyLimits limits);
  ~ReplyReader();
  ReplyReader(const ReplyReader&) = delete;
  ReplyReader& operator=(const ReplyReader&) = delete;

  enum class Next : std::uint8_t {
    need_more,  // no whole reply yet
    reply,      // one, moved into the argument
    too_large,  // the next reply exceeds a limit; the reader is of no more use
    malformed,  // not RESP; the reader is of no more use
  };

  // At most max_feed bytes at a time: hiredis moves what it has not consumed yet each KiB.
  static constexpr std::size_t max_feed = std::size_t{64} << 10;
  void feed(std::string_view bytes);
  Next next(Reply& reply);

 private:
  struct Callbacks;
  friend struct Callbacks;
  Reply* place(const redisReadTask* task);
  // Of the bytes that wait for the rest of a reply.
  enum class Pending : std::uint8_t { fine, too_large, endless };
  [[nodiscard]] Pending judge_pending() const noexcept;

  ReplyLimits limits_;
  redisReader* reader_;
  Reply root_;
  std::size_t bytes_ = 0;  // of the reply under way
  bool too_large_ = false;
  bool failed_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
