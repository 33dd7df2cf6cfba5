#include "valkey/reply.hpp"

#include <algorithm>
#include <charconv>
#include <new>

#include <hiredis/hiredis.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Of errors, states and numbers; what goes on for longer is no reply. Without a bound it would be
// kept, and searched for its end from the start each time that more of it comes.
constexpr std::size_t longest_line = std::size_t{64} << 10;

}  // namespace

// The object functions that hiredis calls. Returning null makes it stop with an error.
struct ReplyReader::Callbacks {
  static ReplyReader& self(const redisReadTask* task) {
    return *static_cast<ReplyReader*>(task->privdata);
  }

  static void* make_string(const redisReadTask* task, char* text, std::size_t length) noexcept {
    auto& reader = self(task);
    reader.bytes_ += length;
    if (length > reader.limits_.value_bytes || reader.bytes_ > reader.limits_.reply_bytes) {
      reader.too_large_ = true;
      return nullptr;
    }
    auto* reply = reader.place(task);
    if (!reply) return nullptr;
    switch (task->type) {
      case REDIS_REPLY_STATUS:
        reply->type = Reply::Type::status;
        break;
      case REDIS_REPLY_ERROR:
        reply->type = Reply::Type::error;
        break;
      case REDIS_REPLY_BIGNUM:
        reply->type = Reply::Type::number;
        break;
      case REDIS_REPLY_VERB:  // three letters and a colon precede the text
        reply->type = Reply::Type::string;
        text += std::min<std::size_t>(length, 4);
        length -= std::min<std::size_t>(length, 4);
        break;
      default:
        reply->type = Reply::Type::string;
        break;
    }
    try {
      reply->text.assign(text, length);
    } catch (const std::bad_alloc&) {  // no exception may pass through C
      reader.too_large_ = true;
      return nullptr;
    }
    return reply;
  }

  static void* make_array(const redisReadTask* task, std::size_t elements) noexcept {
    auto& reader = self(task);
    std::size_t depth = 0;
    for (auto* parent = task->parent; parent; parent = parent->parent) ++depth;
    if (elements > reader.limits_.elements) {
      reader.too_large_ = true;
      return nullptr;
    }
    if (depth >= reader.limits_.depth) return nullptr;
    auto* reply = reader.place(task);
    if (!reply) return nullptr;
    reply->type = task->type == REDIS_REPLY_PUSH ? Reply::Type::push : Reply::Type::array;
    try {
      reply->elements.reserve(std::min<std::size_t>(elements, 512));
    } catch (const std::bad_alloc&) {
      reader.too_large_ = true;
      return nullptr;
    }
    return reply;
  }

  static void* make_integer(const redisReadTask* task, long long value) noexcept {
    auto* reply = self(task).place(task);
    if (!reply) return nullptr;
    reply->type = Reply::Type::integer;
    reply->integer = value;
    return reply;
  }

  static void* make_double(const redisReadTask* task, double /*value*/, char* text,
                           std::size_t length) noexcept {
    auto* made = static_cast<Reply*>(make_string(task, text, length));
    if (made) made->type = Reply::Type::number;
    return made;
  }

  static void* make_nil(const redisReadTask* task) noexcept {
    auto* reply = self(task).place(task);
    if (reply) reply->type = Reply::Type::nil;
    return reply;
  }

  static void* make_bool(const redisReadTask* task, int value) noexcept {
    auto* reply = self(task).place(task);
    if (!reply) return nullptr;
    reply->type = Reply::Type::boolean;
    reply->integer = value;
    return reply;
  }

  static void free_object(void* /*owned by the root*/) noexcept {}

  static redisReplyObjectFunctions* table() noexcept {
    static redisReplyObjectFunctions functions = [] {
      redisReplyObjectFunctions made{};
      made.createString = make_string;
      made.createArray = make_array;
      made.createInteger = make_integer;
      made.createDouble = make_double;
      made.createNil = make_nil;
      made.createBool = make_bool;
      made.freeObject = free_object;
      return made;
    }();
    return &functions;
  }
};

ReplyReader::ReplyReader(ReplyLimits limits)
    : limits_(limits), reader_(redisReaderCreateWithFunctions(Callbacks::table())) {
  if (!reader_) throw std::bad_alloc();
  reader_->privdata = this;
  reader_->maxbuf = std::size_t{256} << 10;
  reader_->maxelements = static_cast<long long>(limits.elements);
}

ReplyReader::~ReplyReader() {
  redisReaderFree(reader_);
}

// Where the object for this task belongs: the root, or behind its elder siblings. A parent's vector
// may grow while hiredis holds pointers to it only, never to finished siblings.
Reply* ReplyReader::place(const redisReadTask* task) {
  if (!task->parent) {
    root_ = Reply{};
    return &root_;
  }
  try {
    return &static_cast<Reply*>(task->parent->obj)->elements.emplace_back();
  } catch (const std::bad_alloc&) {
    too_large_ = true;
    return nullptr;
  }
}

void ReplyReader::feed(std::string_view bytes) {
  if (failed_) return;
  if (redisReaderFeed(reader_, bytes.data(), bytes.size()) != REDIS_OK) failed_ = true;
}

ReplyReader::Next ReplyReader::next(Reply& reply) {
  if (failed_) return too_large_ ? Next::too_large : Next::malformed;
  void* made = nullptr;
  if (redisReaderGetReply(reader_, &made) != REDIS_OK) {
    failed_ = true;
    return too_large_ ? Next::too_large : Next::malformed;
  }
  if (!made) {
    const auto pending = judge_pending();
    if (pending == Pending::fine) return Next::need_more;
    failed_ = true;
    too_large_ = pending == Pending::too_large;
    return too_large_ ? Next::too_large : Next::malformed;
  }
  reply = std::move(root_);
  bytes_ = 0;
  return Next::reply;
}

// hiredis keeps a bulk string's header unconsumed at its position until the whole string is there,
// and any other line until its end has come.
ReplyReader::Pending ReplyReader::judge_pending() const noexcept {
  if (reader_->ridx < 0) return Pending::fine;
  const char* at = reader_->buf + reader_->pos;
  const char* end = reader_->buf + reader_->len;
  const auto type = reader_->task[reader_->ridx]->type;
  if (type == REDIS_REPLY_STRING || type == REDIS_REPLY_VERB) {
    std::uint64_t length = 0;
    const auto [rest, error] = std::from_chars(at, end, length);
    if (error == std::errc::result_out_of_range) return Pending::too_large;
    if (error == std::errc{} && rest != end) {
      const bool fits = length <= limits_.value_bytes && bytes_ + length <= limits_.reply_bytes;
      return fits ? Pending::fine : Pending::too_large;
    }
  }
  return static_cast<std::size_t>(end - at) <= longest_line ? Pending::fine : Pending::endless;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
