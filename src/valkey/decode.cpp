#include "valkey/decode.hpp"

#include <algorithm>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

Result<bool> decode_flag(std::string_view what, const Reply& reply) {
  if (reply.type != Reply::Type::integer) return reply_error(what, reply);
  return reply.integer != 0;
}

// What is no number would be sent back for ever.
bool is_cursor(const Reply& reply) {
  return reply.type == Reply::Type::string && !reply.text.empty() &&
         std::all_of(reply.text.begin(), reply.text.end(),
                     [](char c) { return c >= '0' && c <= '9'; });
}

}  // namespace

Result<Value> decode_value(Reply&& reply, Counters& counters) {
  switch (reply.type) {
    case Reply::Type::string:
      counters.hits.add();
      return Value(std::move(reply.text));
    case Reply::Type::nil:
      counters.misses.add();
      return Value();
    default:
      return reply_error("GET", reply);
  }
}

Result<void> decode_stored(Reply&& reply, Counters& counters) {
  if (reply.type != Reply::Type::status) return reply_error("SET", reply);
  counters.sets.add();
  return {};
}

Result<bool> decode_stored_if_absent(Reply&& reply, Counters& counters) {
  if (reply.type == Reply::Type::nil) return false;
  if (reply.type != Reply::Type::status) return reply_error("SET", reply);
  counters.sets.add();
  return true;
}

Result<bool> decode_erased(Reply&& reply, Counters& counters) {
  auto erased = decode_flag("DEL", reply);
  if (erased && *erased) counters.erased.add();
  return erased;
}

Result<bool> decode_replaced(Reply&& reply, Counters& counters) {
  auto replaced = decode_flag("EVAL", reply);
  if (replaced && *replaced) counters.sets.add();
  return replaced;
}

Result<bool> decode_expired(Reply&& reply, Counters& /*counters*/) {
  return decode_flag("EXPIRE", reply);
}

Result<std::optional<Ttl>> decode_ttl(Reply&& reply, Counters& /*counters*/) {
  if (reply.type != Reply::Type::integer) return reply_error("PTTL", reply);
  if (reply.integer == -2) return std::optional<Ttl>();
  if (reply.integer == -1) return std::optional<Ttl>(Ttl::none());
  if (reply.integer < 0) return unexpected_reply("PTTL");
  // An entry in its last millisecond has 0 left, which is no TTL: it still lives.
  return std::optional<Ttl>(std::chrono::milliseconds(reply.integer == 0 ? 1 : reply.integer));
}

Result<std::uint64_t> decode_count(Reply&& reply, Counters& counters) {
  if (reply.type != Reply::Type::integer || reply.integer < 0) return reply_error("DEL", reply);
  counters.erased.add(static_cast<std::uint64_t>(reply.integer));
  return static_cast<std::uint64_t>(reply.integer);
}

bool is_scan_page(const Reply& reply) {
  return reply.type == Reply::Type::array && reply.elements.size() == 2 &&
         is_cursor(reply.elements[0]) && reply.elements[1].type == Reply::Type::array;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
