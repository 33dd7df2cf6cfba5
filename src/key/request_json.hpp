// What the parts of ChatRequest share to write canonical JSON.
#pragma once

#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include "base/json_string.hpp"
#include "key/canonical_json.hpp"

namespace valkeycache::inline v0 {
namespace detail {

inline std::string fault_message(std::string_view where, const CanonicalJson& json) {
  return std::string(where) + ": " + describe(json.fault) + " at byte " +
         std::to_string(json.offset);
}

inline void append_list(std::string& out, const std::vector<std::string>& elements) {
  out += '[';
  for (std::size_t i = 0; i < elements.size(); ++i) {
    if (i != 0) out += ',';
    out += elements[i];
  }
  out += ']';
}

// The members of an object, as they come in order.
class ObjectWriter {
 public:
  explicit ObjectWriter(std::string& out) : out_(out) { out_ += '{'; }
  std::string& member(std::string_view name) {
    if (!std::exchange(first_, false)) out_ += ',';
    append_json_string(out_, name);
    out_ += ':';
    return out_;
  }
  void end() { out_ += '}'; }

 private:
  std::string& out_;
  bool first_ = true;
};

template <class Members>
void append_object(std::string& out, const Members& members) {
  ObjectWriter object(out);
  for (const auto& [name, value] : members) object.member(name) += value;
  object.end();
}

// A message of one text.
inline std::string text_message(std::string_view role, std::string_view text) {
  std::string message = R"({"content":[{"text":)";
  append_json_string(message, text);
  message += R"(}],"role":")";
  message += role;
  message += R"("})";
  return message;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
