#include "key/canonical_json.hpp"

#include <algorithm>
#include <iterator>
#include <utility>

#include "base/json_string.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

class Canonicaliser {
 public:
  Canonicaliser(std::string_view json, int max_depth) : cursor_(json), levels_left_(max_depth) {
    out_.reserve(json.size());
  }

  CanonicalJson run() && {
    if (value() && cursor_.finish()) return {.text = std::move(out_)};
    return {.fault = cursor_.fault(), .offset = cursor_.offset(), .text = {}};
  }

 private:
  // A member's place in out_: from its name's quote to its value's end.
  struct Member {
    std::string name;
    std::size_t begin = 0;
    std::size_t end = 0;
    std::size_t offset = 0;  // in the source
  };

  bool value() {
    std::string_view token;
    switch (const char c = cursor_.peek()) {
      case '{':
        return nested([this] { return object(); });
      case '[':
        return nested([this] { return array(); });
      case '"':
        return string();
      case 't':
      case 'f':
      case 'n':
        return cursor_.literal(token) && append(token);
      default:
        if (c == '-' || (c >= '0' && c <= '9')) return cursor_.number(token) && append(token);
        return cursor_.fail(JsonFault::syntax);
    }
  }

  template <class F>
  bool nested(F read) {
    if (levels_left_ == 0) return cursor_.fail(JsonFault::depth);
    --levels_left_;
    const bool good = read();
    ++levels_left_;
    return good;
  }

  bool append(std::string_view token) {
    out_ += token;
    return true;
  }

  bool string() {
    JsonStringToken token;
    if (!cursor_.string(token)) return false;
    append_string(token);
    return true;
  }

  void append_string(const JsonStringToken& token) {
    if (token.escaped) {
      append_json_string(out_, token.decode());
      return;
    }
    out_ += '"';
    out_ += token.raw;  // without a backslash nothing in it needs an escape
    out_ += '"';
  }

  bool array() {
    cursor_.expect('[');
    out_ += '[';
    bool first = true;
    for (bool any = false; cursor_.next_element(first); any = true) {
      if (any) out_ += ',';
      if (!value()) return false;
    }
    out_ += ']';
    return cursor_.ok();
  }

  bool object() {
    cursor_.expect('{');
    out_ += '{';
    std::vector<Member> members;
    JsonStringToken name;
    bool first = true;
    while (cursor_.next_member(first, name)) {
      if (!members.empty()) out_ += ',';
      Member member{.name = name.decode(), .begin = out_.size(), .offset = cursor_.offset()};
      append_string(name);
      out_ += ':';
      if (!value()) return false;
      member.end = out_.size();
      members.push_back(std::move(member));
    }
    if (!cursor_.ok() || !sort(members)) return false;
    out_ += '}';
    return true;
  }

  // Puts the members, which end out_, into order.
  bool sort(std::vector<Member>& members) {
    const auto by_name = [](const Member& a, const Member& b) {
      return a.name < b.name;
    };
    const bool sorted = std::is_sorted(members.begin(), members.end(), by_name);
    if (!sorted) std::stable_sort(members.begin(), members.end(), by_name);
    const auto twice =
        std::adjacent_find(members.begin(), members.end(),
                           [](const Member& a, const Member& b) { return a.name == b.name; });
    if (twice != members.end()) {
      return cursor_.fail_at(JsonFault::duplicate, std::next(twice)->offset);
    }
    if (sorted) return true;

    auto begin = out_.size();
    for (const auto& member : members) begin = std::min(begin, member.begin);
    std::string ordered;
    ordered.reserve(out_.size() - begin);
    for (const auto& member : members) {
      if (!ordered.empty()) ordered += ',';
      ordered.append(out_, member.begin, member.end - member.begin);
    }
    out_.replace(begin, std::string::npos, ordered);
    return true;
  }

  JsonCursor cursor_;
  int levels_left_;
  std::string out_;
};

// Enough for anything: canonical text was checked when it was made.
constexpr int any_depth = 1 << 20;

}  // namespace

CanonicalJson canonical_json(std::string_view json, int max_depth) {
  return Canonicaliser(json, max_depth).run();
}

std::vector<CanonicalMember> canonical_members(std::string_view object) {
  std::vector<CanonicalMember> members;
  JsonCursor cursor(object);
  cursor.expect('{');
  JsonStringToken name;
  std::string_view value;
  for (bool first = true; cursor.next_member(first, name) && cursor.value(value, any_depth);) {
    members.push_back({name.decode(), value});
  }
  return members;
}

std::vector<std::string_view> canonical_elements(std::string_view array) {
  std::vector<std::string_view> elements;
  JsonCursor cursor(array);
  cursor.expect('[');
  std::string_view value;
  for (bool first = true; cursor.next_element(first) && cursor.value(value, any_depth);) {
    elements.push_back(value);
  }
  return elements;
}

std::string canonical_string(std::string_view string) {
  JsonCursor cursor(string);
  JsonStringToken token;
  return cursor.string(token) ? token.decode() : std::string();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
