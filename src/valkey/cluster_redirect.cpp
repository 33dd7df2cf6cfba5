#include "valkey/cluster_redirect.hpp"

#include "base/number.hpp"
#include "valkey/cluster_slot.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// "3999 127.0.0.1:6381"; the last colon divides, for IPv6 addresses come without brackets.
std::optional<Redirect> parse_place(Redirect::Kind kind, std::string_view text,
                                    const ServerAddress& asked) {
  const auto blank = text.find(' ');
  const auto colon = text.rfind(':');
  if (blank == text.npos || colon == text.npos || colon < blank) return std::nullopt;
  const auto slot = parse_number<std::uint16_t>(text.substr(0, blank));
  const auto port = parse_number<std::uint16_t>(text.substr(colon + 1));
  if (!slot || *slot >= cluster_slots || !port || *port == 0) return std::nullopt;
  Redirect redirect{.kind = kind, .slot = *slot};
  const auto host = text.substr(blank + 1, colon - blank - 1);
  if (host != "?") {
    redirect.endpoint = {.host = host.empty() ? asked.host : std::string(host), .port = *port};
  }
  return redirect;
}

}  // namespace

std::optional<Redirect> parse_redirect(std::string_view error, const ServerAddress& asked) {
  const auto blank = error.find(' ');
  const auto word = error.substr(0, blank);
  const auto rest = blank == error.npos ? std::string_view{} : error.substr(blank + 1);
  if (word == "MOVED") return parse_place(Redirect::Kind::moved, rest, asked);
  if (word == "ASK") return parse_place(Redirect::Kind::ask, rest, asked);
  if (word == "TRYAGAIN" || word == "LOADING") return Redirect{.kind = Redirect::Kind::later};
  if (word == "CLUSTERDOWN" || word == "MASTERDOWN" || word == "READONLY") {
    return Redirect{.kind = Redirect::Kind::elsewhere};
  }
  return std::nullopt;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
