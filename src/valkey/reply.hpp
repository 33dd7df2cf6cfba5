// A reply of the server, and the reader that makes replies out of bytes.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <optional>
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

// Sans-I/O. Values, alone (GET) or in an array (MGET), are by far the most of what comes: each is
// copied once, into the string that the caller will own. All else is parsed by hiredis into objects
// of ours. (hiredis would copy a value twice, and move what it has not consumed yet after each
// KiB.) Lengths are checked as soon as their header is there, before memory is taken for what they
// announce.
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

  // The bytes must stay until next() needs more; only then feed again.
  void feed(std::string_view bytes) noexcept { fed_ = bytes; }
  Next next(Reply& reply);

 private:
  struct Callbacks;
  friend struct Callbacks;
  Reply* place(const redisReadTask* task);

  // Where the next byte belongs.
  enum class Way : std::uint8_t { boundary, text, hiredis };
  std::optional<Next> begin(Reply& reply);
  std::optional<Next> begin_text(Reply& reply);
  std::optional<Next> begin_array(Reply& reply);
  std::optional<Next> carry_text(Reply& reply);
  std::optional<Next> carry_hiredis(Reply& reply);
  std::optional<std::uint64_t> take_header() noexcept;
  Next fail(bool too_large) noexcept;
  // Of the bytes that wait for the rest of a reply.
  enum class Pending : std::uint8_t { fine, too_large, endless };
  [[nodiscard]] Pending judge_pending() const noexcept;

  ReplyLimits limits_;
  std::string_view fed_;  // what is left of it
  Way way_ = Way::boundary;
  // An array whose elements come one by one.
  bool in_array_ = false;
  std::size_t elements_left_ = 0;
  Reply array_;
  // A string that has come in part.
  std::string text_;
  std::size_t text_left_ = 0;  // with the line's end behind it

  redisReader* reader_;
  Reply root_;
  std::size_t bytes_ = 0;  // of the reply under way
  bool too_large_ = false;
  bool failed_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
