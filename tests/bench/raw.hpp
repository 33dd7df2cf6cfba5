// Raw hiredis as a careful C programmer would use it: the baseline. Blocking, arguments and their
// lengths prepared, every reply checked and freed.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <stdexcept>
#include <string>
#include <vector>

#include <hiredis/hiredis.h>

namespace valkeycache::bench {

struct FreeContext {
  void operator()(redisContext* context) const noexcept { redisFree(context); }
};
struct FreeReply {
  void operator()(redisReply* reply) const noexcept { freeReplyObject(reply); }
};
using RawReply = std::unique_ptr<redisReply, FreeReply>;

// The words of a command, which must outlive it.
struct RawCommand {
  std::vector<const char*> words;
  std::vector<std::size_t> lengths;

  RawCommand() = default;
  explicit RawCommand(std::initializer_list<const char*> first) {
    for (const char* word : first) add(word, std::char_traits<char>::length(word));
  }
  RawCommand& add(const char* word, std::size_t length) {
    words.push_back(word);
    lengths.push_back(length);
    return *this;
  }
  RawCommand& add(const std::string& word) { return add(word.data(), word.size()); }
};

class Raw {
 public:
  explicit Raw(std::uint16_t port) : context_(redisConnect("127.0.0.1", port)) {
    if (!context_ || context_->err) throw std::runtime_error("raw hiredis does not connect");
  }

  RawReply call(const RawCommand& command) {
    RawReply reply(static_cast<redisReply*>(
        redisCommandArgv(context_.get(), static_cast<int>(command.words.size()),
                         const_cast<const char**>(command.words.data()), command.lengths.data())));
    return checked(std::move(reply));
  }
  void append(const RawCommand& command) {
    if (redisAppendCommandArgv(context_.get(), static_cast<int>(command.words.size()),
                               const_cast<const char**>(command.words.data()),
                               command.lengths.data()) != REDIS_OK) {
      throw std::runtime_error("raw hiredis: append");
    }
  }
  RawReply reply() {
    void* reply = nullptr;
    if (redisGetReply(context_.get(), &reply) != REDIS_OK) {
      throw std::runtime_error("raw hiredis: reply");
    }
    return checked(RawReply(static_cast<redisReply*>(reply)));
  }

  // For loops of one's own.
  [[nodiscard]] redisContext* context() const noexcept { return context_.get(); }

 private:
  static RawReply checked(RawReply reply) {
    if (!reply || reply->type == REDIS_REPLY_ERROR) throw std::runtime_error("raw hiredis: reply");
    return reply;
  }
  std::unique_ptr<redisContext, FreeContext> context_;
};

// A hit of that many bytes, or the benchmark is void.
inline void require_hit(const redisReply& reply, std::size_t bytes) {
  if (reply.type != REDIS_REPLY_STRING || reply.len != bytes) {
    throw std::runtime_error("raw hiredis: not the value");
  }
}

}  // namespace valkeycache::bench
