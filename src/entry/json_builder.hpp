// Writes a JSON value part by part, in the order given, as a Python dict keeps its items: a member
// that comes twice keeps its first place and its last value.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

class VALKEYCACHE_API JsonBuilder {
 public:
  // A number or a literal, as JSON spells it.
  void scalar(std::string_view token);
  void string(std::string_view valid_utf8);

  void begin_object() { begin('{'); }
  void begin_array() { begin('['); }
  // Before each value of an object. Duplicates may come.
  void member(std::string name);
  // Ends the innermost object or array.
  void end();

  [[nodiscard]] std::size_t depth() const noexcept { return open_.size(); }
  [[nodiscard]] bool in_object() const noexcept {
    return !open_.empty() && open_.back().bracket == '{';
  }

  // The text of a member's value in the object that end() would end now; empty when there is none.
  [[nodiscard]] std::string_view find(std::string_view name) const noexcept;

  // The whole text, once everything has ended.
  [[nodiscard]] std::string take() noexcept { return std::move(out_); }

 private:
  // A member's place in out_: from its name's quote to its value's end.
  struct Member {
    std::string name;
    std::size_t begin = 0;
    std::size_t value = 0;
    std::size_t end = 0;
  };
  struct Open {
    char bracket = '[';
    bool any = false;
    std::vector<Member> members = {};
  };

  void begin(char bracket);
  void before_value();
  void after_value() noexcept;
  void drop_duplicates(std::vector<Member>& members);

  std::string out_;
  std::vector<Open> open_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
