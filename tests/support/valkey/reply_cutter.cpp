#include "support/valkey/reply_cutter.hpp"

#include <charconv>

namespace valkeycache::test {

std::size_t first_reply_length(std::string_view bytes) {
  std::size_t at = 0;
  for (long open = 1; open > 0; --open) {
    const auto end = bytes.find("\r\n", at);
    if (end == std::string_view::npos) return 0;
    long number = 0;
    std::from_chars(bytes.data() + at + 1, bytes.data() + end, number);
    switch (bytes[at]) {
      case '$':
      case '=':
      case '!':
        at = end + 2 + (number < 0 ? 0 : static_cast<std::size_t>(number) + 2);
        break;
      case '%':
        number *= 2;
        [[fallthrough]];
      case '*':
      case '~':
      case '>':
        if (number > 0) open += number;
        at = end + 2;
        break;
      default:
        at = end + 2;
        break;
    }
    if (at > bytes.size()) return 0;
  }
  return at;
}

}  // namespace valkeycache::test
