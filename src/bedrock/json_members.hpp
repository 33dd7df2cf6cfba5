// Walking over the members of a JSON object that is looked at only here and there.
#pragma once

#include <valkeycache/config.hpp>

#include <string>
#include <string_view>

#include "base/json_cursor.hpp"
#include "base/json_depth.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Calls member(name, raw) for each member of an object, with the value's own text. False where the
// text is not one well-formed JSON object, as soon as that is seen, or where member() returns
// false.
template <class F>
bool for_each_member(std::string_view object, F member) {
  JsonCursor cursor(object);
  if (!cursor.expect('{')) return false;
  bool first = true;
  JsonStringToken token;
  while (cursor.next_member(first, token)) {
    std::string_view raw;
    if (!cursor.value(raw, max_json_depth - 1)) return false;
    if (token.escaped ? !member(std::string_view(token.decode()), raw) : !member(token.raw, raw)) {
      return false;
    }
  }
  return cursor.finish();
}

// The same for the elements of an array.
template <class F>
bool for_each_element(std::string_view array, F element) {
  JsonCursor cursor(array);
  if (!cursor.expect('[')) return false;
  bool first = true;
  while (cursor.next_element(first)) {
    std::string_view raw;
    if (!cursor.value(raw, max_json_depth - 1)) return false;
    if (!element(raw)) return false;
  }
  return cursor.finish();
}

// The text of a JSON string; false where the value is something else. Appends.
inline bool append_string_value(std::string& out, std::string_view raw) {
  JsonCursor cursor(raw);
  JsonStringToken token;
  if (cursor.peek() != '"' || !cursor.string(token) || !cursor.finish()) return false;
  token.append_to(out);
  return true;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
