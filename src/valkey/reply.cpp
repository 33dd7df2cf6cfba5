#include "valkey/reply.hpp"

#include <algorithm>
#include <charconv>
#include <new>
#include <utility>

#include <hiredis/hiredis.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// Of errors, states and numbers; what goes on for longer is no reply. Without a bound it would be
// kept, and searched for its end from the start each time that more of it comes.
constexpr std::size_t longest_line = std::size_t{64} << 10;

// hiredis moves what it has not consumed after each reply of a KiB or more, so it gets little at a
// time.
constexpr std::size_t hiredis_slice = std::size_t{8} << 10;

// For a string that has not come yet; it grows with what comes.
constexpr std::size_t largest_advance = std::size_t{1} << 20;

constexpr std::string_view line_end = "\r\n";

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
    std::size_t depth = reader.in_array_ ? 1 : 0;
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

ReplyReader::Next ReplyReader::fail(bool too_large) noexcept {
  failed_ = true;
  too_large_ = too_large;
  return too_large ? Next::too_large : Next::malformed;
}

ReplyReader::Next ReplyReader::next(Reply& reply) {
  if (failed_) return too_large_ ? Next::too_large : Next::malformed;
  for (;;) {
    if (fed_.empty()) return Next::need_more;
    std::optional<Next> done;
    try {
      switch (way_) {
        case Way::boundary:
          done = begin(reply);
          break;
        case Way::text:
          done = carry_text(reply);
          break;
        case Way::hiredis:
          done = carry_hiredis(reply);
          break;
      }
    } catch (const std::bad_alloc&) {
      return fail(true);
    }
    if (!done) continue;
    if (*done == Next::reply && in_array_) {
      array_.elements.push_back(std::exchange(reply, {}));
      if (--elements_left_ != 0) continue;
      reply = std::exchange(array_, {});
      in_array_ = false;
    }
    if (*done == Next::reply) bytes_ = 0;
    return *done;
  }
}

// The number in a whole header such as $5 or *2, which is then taken away; nothing where it is no
// number, or the header has not come in full.
std::optional<std::uint64_t> ReplyReader::take_header() noexcept {
  std::uint64_t number = 0;
  const auto* const end = fed_.data() + fed_.size();
  const auto [rest, error] = std::from_chars(fed_.data() + 1, end, number);
  if (error != std::errc{} || end - rest < 2 || std::string_view(rest, 2) != line_end) {
    return std::nullopt;
  }
  fed_.remove_prefix(static_cast<std::size_t>(rest - fed_.data()) + line_end.size());
  return number;
}

// At the first byte of a reply or of an array's element: strings, nil, OK and the outermost array
// are read here, the rest by hiredis.
std::optional<ReplyReader::Next> ReplyReader::begin(Reply& reply) {
  static constexpr std::string_view nils[] = {"$-1\r\n", "_\r\n"};
  static constexpr std::string_view ok = "+OK\r\n";
  for (const auto nil : nils) {
    if (!fed_.starts_with(nil)) continue;
    fed_.remove_prefix(nil.size());
    reply.type = Reply::Type::nil;
    return Next::reply;
  }
  if (fed_.starts_with(ok)) {
    fed_.remove_prefix(ok.size());
    reply.type = Reply::Type::status;
    reply.text.assign("OK");
    return Next::reply;
  }
  if (fed_.front() == '$') return begin_text(reply);
  if (fed_.front() == '*' && !in_array_) return begin_array(reply);
  way_ = Way::hiredis;
  return std::nullopt;
}

std::optional<ReplyReader::Next> ReplyReader::begin_text(Reply& reply) {
  const auto length = take_header();
  if (!length) {
    way_ = Way::hiredis;  // it waits for the rest of the header, or says what is wrong
    return std::nullopt;
  }
  if (*length > limits_.value_bytes || *length > limits_.reply_bytes - bytes_) return fail(true);
  bytes_ += *length;
  if (fed_.size() >= *length + line_end.size()) {
    if (fed_.substr(*length, line_end.size()) != line_end) return fail(false);
    reply.type = Reply::Type::string;
    reply.text.assign(fed_.data(), *length);
    fed_.remove_prefix(*length + line_end.size());
    return Next::reply;
  }
  way_ = Way::text;
  text_.clear();
  text_.reserve(std::min<std::size_t>(*length, largest_advance));
  text_left_ = *length + line_end.size();
  return std::nullopt;
}

std::optional<ReplyReader::Next> ReplyReader::begin_array(Reply& reply) {
  const auto count = take_header();
  if (!count) {
    way_ = Way::hiredis;
    return std::nullopt;
  }
  if (*count > limits_.elements) return fail(true);
  if (*count == 0) {
    reply = Reply{.type = Reply::Type::array};
    return Next::reply;
  }
  array_ = Reply{.type = Reply::Type::array};
  array_.elements.reserve(std::min<std::size_t>(*count, 512));
  in_array_ = true;
  elements_left_ = *count;
  return std::nullopt;
}

std::optional<ReplyReader::Next> ReplyReader::carry_text(Reply& reply) {
  while (text_left_ > line_end.size() && !fed_.empty()) {
    const auto part = fed_.substr(0, text_left_ - line_end.size());
    text_.append(part);
    fed_.remove_prefix(part.size());
    text_left_ -= part.size();
  }
  while (text_left_ > 0 && !fed_.empty()) {
    if (fed_.front() != line_end[line_end.size() - text_left_]) return fail(false);
    fed_.remove_prefix(1);
    --text_left_;
  }
  if (text_left_ > 0) return std::nullopt;
  reply.type = Reply::Type::string;
  reply.text = std::exchange(text_, {});
  way_ = Way::boundary;
  return Next::reply;
}

std::optional<ReplyReader::Next> ReplyReader::carry_hiredis(Reply& reply) {
  const auto slice = fed_.substr(0, hiredis_slice);
  if (redisReaderFeed(reader_, slice.data(), slice.size()) != REDIS_OK) return fail(false);
  fed_.remove_prefix(slice.size());
  void* made = nullptr;
  if (redisReaderGetReply(reader_, &made) != REDIS_OK) return fail(too_large_);
  if (!made) {
    const auto pending = judge_pending();
    if (pending == Pending::fine) return std::nullopt;
    return fail(pending == Pending::too_large);
  }
  // What it was given beyond the reply is taken back; all of that is of this slice.
  const auto beyond = reader_->len - reader_->pos;
  reader_->pos = reader_->len;
  fed_ = {fed_.data() - beyond, fed_.size() + beyond};
  reply = std::move(root_);
  way_ = Way::boundary;
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
