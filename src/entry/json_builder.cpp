#include "entry/json_builder.hpp"

#include <algorithm>
#include <numeric>
#include <utility>

#include "base/json_string.hpp"

namespace valkeycache::inline v0 {
namespace detail {

void JsonBuilder::before_value() {
  if (open_.empty()) return;
  auto& inner = open_.back();
  if (inner.bracket == '[' && std::exchange(inner.any, true)) out_ += ',';
}

void JsonBuilder::after_value() noexcept {
  if (in_object()) open_.back().members.back().end = out_.size();
}

void JsonBuilder::scalar(std::string_view token) {
  before_value();
  out_ += token;
  after_value();
}

void JsonBuilder::string(std::string_view valid_utf8) {
  before_value();
  append_json_string(out_, valid_utf8);
  after_value();
}

void JsonBuilder::begin(char bracket) {
  before_value();
  out_ += bracket;
  open_.push_back({.bracket = bracket});
}

void JsonBuilder::member(std::string name) {
  auto& inner = open_.back();
  if (std::exchange(inner.any, true)) out_ += ',';
  Member member{.name = std::move(name), .begin = out_.size()};
  append_json_string(out_, member.name);
  out_ += ':';
  member.value = out_.size();
  inner.members.push_back(std::move(member));
}

void JsonBuilder::end() {
  auto inner = std::move(open_.back());
  open_.pop_back();
  if (inner.bracket == '{') drop_duplicates(inner.members);
  out_ += inner.bracket == '{' ? '}' : ']';
  after_value();
}

std::string_view JsonBuilder::find(std::string_view name) const noexcept {
  const auto& members = open_.back().members;
  const auto at = std::find_if(members.rbegin(), members.rend(),
                               [name](const Member& member) { return member.name == name; });
  if (at == members.rend()) return {};
  return std::string_view(out_).substr(at->value, at->end - at->value);
}

void JsonBuilder::drop_duplicates(std::vector<Member>& members) {
  if (members.size() < 2) return;
  std::vector<std::size_t> by_name(members.size());
  std::iota(by_name.begin(), by_name.end(), std::size_t{0});
  std::stable_sort(by_name.begin(), by_name.end(), [&members](std::size_t a, std::size_t b) {
    return members[a].name < members[b].name;
  });
  const auto same = [&members](std::size_t a, std::size_t b) {
    return members[a].name == members[b].name;
  };
  if (std::adjacent_find(by_name.begin(), by_name.end(), same) == by_name.end()) return;

  // What stands at each place: of equal names the first place gets the last value.
  std::vector<const Member*> kept(members.size(), nullptr);
  for (std::size_t i = 0; i < by_name.size();) {
    auto last = i;
    while (last + 1 < by_name.size() && same(by_name[i], by_name[last + 1])) ++last;
    kept[by_name[i]] = &members[by_name[last]];
    i = last + 1;
  }
  const auto begin = members.front().begin;
  std::string rewritten;
  for (const auto* member : kept) {
    if (!member) continue;
    if (!rewritten.empty()) rewritten += ',';
    rewritten.append(out_, member->begin, member->end - member->begin);
  }
  out_.replace(begin, std::string::npos, rewritten);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
