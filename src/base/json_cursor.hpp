// Reads JSON text token by token and hands out views into it, so that numbers and whole values can
// be kept exactly as they were written. Nothing here recurses.
//
// Strict RFC 8259: no comments, no NaN, no leading zeros, no control characters in strings; and
// stricter in that a \u escape must not leave half a surrogate pair. The text must be valid UTF-8;
// the constructor checks it. The first fault sticks: from then on everything fails.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

enum class JsonFault : std::uint8_t {
  none,
  utf8,
  syntax,
  end,        // the text ends too early
  number,     // malformed
  escape,     // unknown or malformed
  surrogate,  // half a pair
  control,    // a control character inside a string
  depth,
  trailing,   // something after the value
  duplicate,  // the same member twice; told by those who read members
};
// In words, e.g. "a malformed number". Never quotes the text.
VALKEYCACHE_API const char* describe(JsonFault fault) noexcept;

// A string as it stands in the text, without its quotes.
struct JsonStringToken {
  std::string_view raw;
  bool escaped = false;  // there is a backslash in it
  // Appends what it says. Only for a token that a cursor gave out.
  VALKEYCACHE_API void append_to(std::string& out) const;
  [[nodiscard]] std::string decode() const {
    std::string text;
    append_to(text);
    return text;
  }
};

class VALKEYCACHE_API JsonCursor {
 public:
  explicit JsonCursor(std::string_view text) noexcept;

  [[nodiscard]] bool ok() const noexcept { return fault_ == JsonFault::none; }
  [[nodiscard]] JsonFault fault() const noexcept { return fault_; }
  // Where the cursor stands; after a fault, where that was seen.
  [[nodiscard]] std::size_t offset() const noexcept { return at_; }

  // The next character that is no white space, without taking it; '\0' at the end or after a fault.
  char peek() noexcept;
  // Takes it when it is `c`; false, without a fault, when it is not.
  bool take(char c) noexcept;
  // Takes it; a fault when it is not `c`.
  bool expect(char c) noexcept;

  bool string(JsonStringToken& token) noexcept;
  bool number(std::string_view& token) noexcept;
  // true, false or null.
  bool literal(std::string_view& token) noexcept;
  // A whole value with at most `max_depth` arrays and objects open at once; `raw` is its text.
  bool value(std::string_view& raw, int max_depth);

  // Walks an object: after expect('{'), call until it is false; then the object is closed, or there
  // is a fault. In between take the member's value. `first` starts as true.
  bool next_member(bool& first, JsonStringToken& name) noexcept;
  // The same for an array after expect('[').
  bool next_element(bool& first) noexcept;

  // Only white space is left; anything else is a fault.
  bool finish() noexcept;

  // Always false.
  bool fail(JsonFault fault) noexcept;
  bool fail_at(JsonFault fault, std::size_t offset) noexcept;

 private:
  bool scalar() noexcept;
  bool hex4(std::uint32_t& unit) noexcept;
  bool escape() noexcept;

  std::string_view text_;
  std::size_t at_ = 0;
  JsonFault fault_ = JsonFault::none;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
