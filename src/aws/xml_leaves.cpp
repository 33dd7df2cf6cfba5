#include "aws/xml_leaves.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>
#include <cstdint>
#include <optional>
#include <utility>
#include <vector>

#include "base/ascii.hpp"
#include "base/utf8.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t max_depth = 16;
constexpr std::string_view xml_blanks = " \t\r\n";

bool is_name_start(char c) noexcept {
  return is_letter(c) || c == '_';
}
bool is_name_part(char c) noexcept {
  return is_name_start(c) || is_digit(c) || c == '-' || c == '.' || c == ':';
}

bool is_blank(std::string_view text) noexcept {
  return text.find_first_not_of(xml_blanks) == std::string_view::npos;
}

bool is_xml_character(std::uint32_t code) noexcept {
  return code == '\t' || code == '\n' || code == '\r' || (code >= 0x20 && code < 0xD800) ||
         (code >= 0xE000 && code < 0xFFFE) || (code >= 0x10000 && code <= 0x10FFFF);
}

// The character that "name" of "&name;" stands for.
std::optional<std::uint32_t> entity(std::string_view name) noexcept {
  static constexpr std::pair<std::string_view, char> known[] = {
      {"amp", '&'}, {"lt", '<'}, {"gt", '>'}, {"quot", '"'}, {"apos", '\''}};
  for (const auto& [entity_name, character] : known) {
    if (name == entity_name) return static_cast<std::uint32_t>(character);
  }
  if (!name.starts_with('#')) return std::nullopt;
  name.remove_prefix(1);
  const bool hexadecimal = name.starts_with('x');
  if (hexadecimal) name.remove_prefix(1);
  std::uint32_t code = 0;
  const auto [end, error] =
      std::from_chars(name.data(), name.data() + name.size(), code, hexadecimal ? 16 : 10);
  if (error != std::errc() || end != name.data() + name.size() || !is_xml_character(code)) {
    return std::nullopt;
  }
  return code;
}

class Reader {
 public:
  Reader(std::string_view xml, const OnXmlLeaf& leaf) noexcept : rest_(xml), leaf_(leaf) {}

  bool read() {
    if (rest_.starts_with("\xEF\xBB\xBF")) rest_.remove_prefix(3);
    if (rest_.starts_with("<?xml") && rest_.size() > 5 &&
        xml_blanks.find(rest_[5]) != std::string_view::npos) {
      const auto end = rest_.find("?>");
      if (end == std::string_view::npos) return false;
      rest_.remove_prefix(end + 2);
    }
    skip_blanks();
    if (!take('<') || !start_tag()) return false;
    while (!open_.empty()) {
      const auto markup = rest_.find('<');
      if (markup == std::string_view::npos) return false;
      const auto raw = rest_.substr(0, markup);
      rest_.remove_prefix(markup + 1);
      if (!(take('/') ? end_tag(raw) : is_blank(raw) && start_tag())) return false;
    }
    return is_blank(rest_);
  }

 private:
  bool take(char c) noexcept {
    if (!rest_.starts_with(c)) return false;
    rest_.remove_prefix(1);
    return true;
  }
  bool skip_blanks() noexcept {
    const auto size = rest_.size();
    rest_.remove_prefix(std::min(rest_.find_first_not_of(xml_blanks), rest_.size()));
    return rest_.size() != size;
  }
  std::string_view name() noexcept {
    if (rest_.empty() || !is_name_start(rest_.front())) return {};
    const auto end = std::find_if_not(rest_.begin(), rest_.end(), is_name_part);
    const auto found = rest_.substr(0, static_cast<std::size_t>(end - rest_.begin()));
    rest_.remove_prefix(found.size());
    return found;
  }

  // Behind its "<".
  bool start_tag() {
    const auto element = name();
    if (element.empty() || open_.size() == max_depth) return false;
    open_.push_back(path_.size());
    if (!path_.empty()) path_ += '/';
    path_ += element;
    has_children_ = false;
    for (;;) {
      const bool blank = skip_blanks();
      if (take('>')) return true;
      if (take('/')) return take('>') && close({});
      if (!blank || !attribute()) return false;
    }
  }

  bool attribute() noexcept {
    if (name().empty()) return false;
    skip_blanks();
    if (!take('=')) return false;
    skip_blanks();
    const char quote = rest_.empty() ? '\0' : rest_.front();
    if (quote != '"' && quote != '\'') return false;
    const auto end = rest_.find(quote, 1);
    if (end == std::string_view::npos) return false;
    const auto value = rest_.substr(1, end - 1);
    rest_.remove_prefix(end + 1);
    return value.find('<') == std::string_view::npos;
  }

  // Behind its "</"; `raw` is what stands before it.
  bool end_tag(std::string_view raw) {
    const auto element = name();
    skip_blanks();
    const auto from = open_.back() == 0 ? 0 : open_.back() + 1;
    return take('>') && std::string_view(path_).substr(from) == element && close(raw);
  }

  bool close(std::string_view raw) {
    if (has_children_) {
      if (!is_blank(raw)) return false;
    } else {
      auto text = decoded(raw);
      if (!text) return false;
      leaf_(path_, *std::move(text));
    }
    path_.resize(open_.back());
    open_.pop_back();
    has_children_ = true;
    return true;
  }

  static std::optional<std::string> decoded(std::string_view raw) {
    if (raw.find("]]>") != std::string_view::npos) return std::nullopt;
    std::string text;
    for (;;) {
      const auto at = std::min(raw.find('&'), raw.size());
      text.append(raw.substr(0, at));
      if (at == raw.size()) return text;
      const auto end = raw.find(';', at);
      if (end == std::string_view::npos) return std::nullopt;
      const auto code = entity(raw.substr(at + 1, end - at - 1));
      if (!code) return std::nullopt;
      append_utf8(text, *code);
      raw.remove_prefix(end + 1);
    }
  }

  std::string_view rest_;
  const OnXmlLeaf& leaf_;
  std::string path_;
  std::vector<std::size_t> open_;  // for each open element, the size of path_ before it
  bool has_children_ = false;      // the innermost open one
};

}  // namespace

bool read_xml_leaves(std::string_view xml, const OnXmlLeaf& leaf) {
  const bool has_controls = std::any_of(xml.begin(), xml.end(), [](char c) {
    return static_cast<unsigned char>(c) < 0x20 && xml_blanks.find(c) == std::string_view::npos;
  });
  return !has_controls && is_valid_utf8(xml) && Reader(xml, leaf).read();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
