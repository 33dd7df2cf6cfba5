#include "valkey/server_error.hpp"

#include <algorithm>
#include <array>
#include <string>

#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

struct KnownError {
  std::string_view word;
  ErrorCode code;
  bool retryable;
  std::string_view advice;
};

constexpr std::array known_errors{
    KnownError{"OOM", ErrorCode::server_unavailable, true,
               "its memory limit is reached: raise maxmemory or set an eviction policy"},
    KnownError{"READONLY", ErrorCode::server_unavailable, true,
               "it is a replica: give the address of the primary"},
    KnownError{"MISCONF", ErrorCode::server_unavailable, true,
               "it cannot write its snapshots to disk: see its log"},
    KnownError{"LOADING", ErrorCode::server_unavailable, true, "it is loading its data"},
    KnownError{"BUSY", ErrorCode::server_unavailable, true, "it is running a long script"},
    KnownError{"MASTERDOWN", ErrorCode::server_unavailable, true, "its primary is down"},
    KnownError{"NOREPLICAS", ErrorCode::server_unavailable, true, "it has too few replicas"},
    KnownError{"CLUSTERDOWN", ErrorCode::server_unavailable, true, "its cluster is down"},
    KnownError{"TRYAGAIN", ErrorCode::server_unavailable, true, "its slots are moving"},
    KnownError{"NOPERM", ErrorCode::permission, false,
               "the ACL of this user does not allow it: see docs/operations.md"},
    KnownError{"NOAUTH", ErrorCode::authentication, false, "it wants a password"},
    KnownError{"WRONGPASS", ErrorCode::authentication, false, "user or password is wrong"},
    KnownError{"DENIED", ErrorCode::permission, false,
               "it runs in protected mode: set a password or bind it to loopback"},
    KnownError{"WRONGTYPE", ErrorCode::server_error, false,
               "the key holds something else than a string"},
    KnownError{"MOVED", ErrorCode::unsupported, false,
               "it is a node of a cluster: open it as valkey+cluster://"},
    KnownError{"ASK", ErrorCode::unsupported, false,
               "it is a node of a cluster: open it as valkey+cluster://"},
};

// Servers' own words are upper-case letters; anything else may be data.
std::string_view first_word(std::string_view text) {
  const auto word = text.substr(0, text.find(' '));
  const bool plain =
      !word.empty() && word.size() <= 32 && std::all_of(word.begin(), word.end(), [](char c) {
        return (c >= 'A' && c <= 'Z') || is_digit(c) || c == '_';
      });
  return plain ? word : std::string_view("ERR");
}

}  // namespace

Error server_error(std::string_view what, std::string_view reply_text) {
  const auto word = first_word(reply_text);
  const auto* known = std::find_if(known_errors.begin(), known_errors.end(),
                                   [&](const KnownError& entry) { return entry.word == word; });
  Error error{.code = ErrorCode::server_error, .message = {}, .server_code = std::string(word)};
  error.message = "the server refused ";
  error.message += what;
  error.message += " with ";
  error.message += word;
  if (reply_text.starts_with("ERR max number of clients")) {
    error.code = ErrorCode::server_unavailable;
    error.retryable = true;
    error.message += ": it has no room for more clients (maxclients)";
  }
  if (known != known_errors.end()) {
    error.code = known->code;
    error.retryable = known->retryable;
    error.message += ": ";
    error.message += known->advice;
  }
  return error;
}

Error unexpected_reply(std::string_view what) {
  return {.code = ErrorCode::protocol_error,
          .message = "the server's reply to " + std::string(what) +
                     " has an unexpected type; is it a Valkey server?"};
}

Error reply_error(std::string_view what, const Reply& reply) {
  return reply.type == Reply::Type::error ? server_error(what, reply.text) : unexpected_reply(what);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
