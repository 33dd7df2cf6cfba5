// From replies to the results that callers see, one function a kind of command.
#pragma once

#include <valkeycache/ttl.hpp>

#include <chrono>
#include <cstdint>
#include <optional>
#include <string>
#include <vector>

#include "valkey/counters.hpp"
#include "valkey/reply.hpp"
#include "valkey/server_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {

using Value = std::optional<std::string>;

// GET, and one element of MGET.
Result<Value> decode_value(Reply&& reply, Counters& counters);
// SET
Result<void> decode_stored(Reply&& reply, Counters& counters);
// SET … NX: nil where there is an entry already.
Result<bool> decode_stored_if_absent(Reply&& reply, Counters& counters);
// DEL: one key.
Result<bool> decode_erased(Reply&& reply, Counters& counters);
// EVAL of replace_if: 1 or 0.
Result<bool> decode_replaced(Reply&& reply, Counters& counters);
// EXPIRE, PEXPIRE, and EVAL of expire_if: 1 or 0.
Result<bool> decode_expired(Reply&& reply, Counters& counters);
// PTTL
Result<std::optional<Ttl>> decode_ttl(Reply&& reply, Counters& counters);
// DEL of many: how many there were.
Result<std::uint64_t> decode_count(Reply&& reply, Counters& counters);

// SCAN: a cursor and keys.
bool is_scan_page(const Reply& reply);

}  // namespace detail
}  // namespace valkeycache::inline v0
