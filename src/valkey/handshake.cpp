#include "valkey/handshake.hpp"

#include <utility>

#include "valkey/server_error.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

Handshake::Handshake(const ValkeyCacheOptions& options, bool to_replica,
                     const std::string& provided)
    : reader_({.value_bytes = 64 << 10, .reply_bytes = 256 << 10, .elements = 1024}),
      database_(options.database) {
  // AUTH stands alone, before HELLO: a server without HELLO understands it too.
  const auto& password = provided.empty() ? options.password : provided;
  if (!password.empty()) {
    if (options.username.empty()) {
      append_request(requests_, {"AUTH", password});
    } else {
      append_request(requests_, {"AUTH", options.username, password});
    }
    awaited_.push_back(Step::auth);
  }
  append_request(requests_, {"HELLO", "3"});
  awaited_.push_back(Step::hello);
  if (database_ != 0) {
    append_request(requests_, {"SELECT", std::to_string(database_)});
    awaited_.push_back(Step::select);
  }
  if (to_replica) {
    append_request(requests_, {"READONLY"});
    awaited_.push_back(Step::client);  // refused outside of clusters, where it is not needed
  }
  if (options.near_cache.max_bytes != 0) {
    // Without NOLOOP: our own writes come back as pushes too. The near cache forgets what we write
    // by itself, but whoever may reorder commands one day finds it safe.
    append_request(requests_, {"CLIENT", "TRACKING", "ON"});
    awaited_.push_back(Step::tracking);
  }
  if (!options.client_name.empty()) {
    append_request(requests_, {"CLIENT", "SETNAME", options.client_name});
    awaited_.push_back(Step::client);
  }
  append_request(requests_, {"CLIENT", "SETINFO", "LIB-NAME", "valkeycache-cpp"});
  append_request(requests_, {"CLIENT", "SETINFO", "LIB-VER", VALKEYCACHE_VERSION_STRING});
  awaited_.push_back(Step::client);
  awaited_.push_back(Step::client);
}

Handshake::Progress Handshake::fail(Error error) {
  error_ = std::move(error);
  return Progress::failed;
}

Handshake::Progress Handshake::feed(std::string_view bytes) {
  reader_.feed(bytes);
  Reply reply;
  for (;;) {
    switch (reader_.next(reply)) {
      case ReplyReader::Next::need_more:
        return Progress::more;
      case ReplyReader::Next::malformed:
      case ReplyReader::Next::too_large:
        return fail({.code = ErrorCode::protocol_error,
                     .message = "what answers there does not speak Valkey's protocol"});
      case ReplyReader::Next::reply:
        break;
    }
    if (reply.type == Reply::Type::push) continue;
    if (awaited_.empty()) {
      return fail({.code = ErrorCode::protocol_error,
                   .message = "the server sent more replies than it was asked for"});
    }
    const auto step = awaited_.front();
    awaited_.pop_front();
    const auto progress = take(step, reply);
    if (progress == Progress::failed) return progress;
    if (awaited_.empty()) return Progress::done;
  }
}

Handshake::Progress Handshake::take(Step step, const Reply& reply) {
  const bool refused = reply.type == Reply::Type::error;
  switch (step) {
    case Step::auth:
      if (refused) {
        auto error = server_error("AUTH", reply.text);
        // "ERR invalid password", "ERR Client sent AUTH, but no password is set": older servers
        // have no word of its own for it. Others may say "ERR max number of clients reached" here.
        if (error.code == ErrorCode::server_error &&
            (reply.text.find("password") != reply.text.npos ||
             reply.text.find("AUTH") != reply.text.npos)) {
          error.code = ErrorCode::authentication;
        }
        return fail(std::move(error));
      }
      if (reply.type != Reply::Type::status) return fail(unexpected_reply("AUTH"));
      break;
    case Step::hello:
      if (refused) {
        auto error = server_error("HELLO", reply.text);
        if (error.code == ErrorCode::authentication) return fail(std::move(error));
        break;  // before Redis 6, or forbidden: RESP2 does as well
      }
      if (reply.type != Reply::Type::array) return fail(unexpected_reply("HELLO"));
      protocol_ = 3;
      break;
    case Step::select:
      if (refused) {
        auto error = server_error("SELECT", reply.text);
        error.message += "; the database asked for is " + std::to_string(database_);
        return fail(std::move(error));
      }
      if (reply.type != Reply::Type::status) return fail(unexpected_reply("SELECT"));
      break;
    case Step::tracking:
      tracking_ = reply.type == Reply::Type::status;
      [[fallthrough]];
    case Step::client:  // courtesies: ElastiCache Serverless and strict ACLs refuse them
      if (!refused && reply.type != Reply::Type::status) return fail(unexpected_reply("CLIENT"));
      break;
  }
  return Progress::more;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
