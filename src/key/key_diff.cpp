#include <valkeycache/cache_key.hpp>

#include <algorithm>
#include <cstddef>

#include "base/json_string.hpp"
#include "key/canonical_json.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace {

using detail::KeyAccess;
using detail::KeyData;
using detail::KeyForm;

constexpr std::size_t shown_before = 24;
constexpr std::size_t shown_after = 40;

bool is_continuation(char c) noexcept {
  return (static_cast<unsigned char>(c) & 0xC0) == 0x80;
}

// The text around byte `at`, cut between characters; quoted unless it is JSON.
enum class Quoted : bool { no, yes };
std::string excerpt(std::string_view text, std::size_t at, Quoted quoted = Quoted::yes) {
  at = std::min(at, text.size());
  auto begin = at - std::min(at, shown_before);
  while (begin > 0 && begin < text.size() && is_continuation(text[begin])) --begin;
  auto end = std::min(text.size(), at + shown_after);
  while (end < text.size() && is_continuation(text[end])) ++end;
  std::string shown = begin > 0 ? "…" : "";
  const auto part = text.substr(begin, end - begin);
  if (quoted == Quoted::yes) {
    detail::append_json_string(shown, part);
  } else {
    shown += part;
  }
  if (end < text.size()) shown += "…";
  return shown;
}

std::string texts_differ(std::string_view where, std::string_view a, std::string_view b) {
  const auto length = std::min(a.size(), b.size());
  std::size_t at = 0;
  while (at < length && a[at] == b[at]) ++at;
  return std::string(where) + " differs at byte " + std::to_string(at) + ": " + excerpt(a, at) +
         " in the first, " + excerpt(b, at) + " in the second";
}

std::string only_in(std::string_view which, std::string_view where, std::string_view value) {
  return std::string(where) + " is only in the " + std::string(which) + ": " +
         excerpt(value, 0, Quoted::no);
}

std::string json_differs(const std::string& where, std::string_view a, std::string_view b);

std::string objects_differ(const std::string& where, std::string_view a, std::string_view b) {
  const auto path = [&where](const std::string& name) {
    return where.empty() ? name : where + '.' + name;
  };
  const auto in_a = detail::canonical_members(a);
  const auto in_b = detail::canonical_members(b);
  for (std::size_t i = 0, j = 0; i < in_a.size() || j < in_b.size(); ++i, ++j) {
    if (j == in_b.size() || (i < in_a.size() && in_a[i].name < in_b[j].name)) {
      return only_in("first", path(in_a[i].name), in_a[i].value);
    }
    if (i == in_a.size() || in_b[j].name < in_a[i].name) {
      return only_in("second", path(in_b[j].name), in_b[j].value);
    }
    if (in_a[i].value != in_b[j].value) {
      return json_differs(path(in_a[i].name), in_a[i].value, in_b[j].value);
    }
  }
  return {};
}

std::string arrays_differ(const std::string& where, std::string_view a, std::string_view b) {
  const auto path = [&where](std::size_t i) {
    return where + '[' + std::to_string(i) + ']';
  };
  const auto in_a = detail::canonical_elements(a);
  const auto in_b = detail::canonical_elements(b);
  const auto common = std::min(in_a.size(), in_b.size());
  for (std::size_t i = 0; i < common; ++i) {
    if (in_a[i] != in_b[i]) return json_differs(path(i), in_a[i], in_b[i]);
  }
  return in_a.size() > common ? only_in("first", path(common), in_a[common])
                              : only_in("second", path(common), in_b[common]);
}

// Two canonical values that are not the same.
std::string json_differs(const std::string& where, std::string_view a, std::string_view b) {
  if (a.front() == b.front()) {
    switch (a.front()) {
      case '{':
        return objects_differ(where, a, b);
      case '[':
        return arrays_differ(where, a, b);
      case '"':
        return texts_differ(where, detail::canonical_string(a), detail::canonical_string(b));
      default:
        break;
    }
  }
  return where + " differs: " + excerpt(a, 0, Quoted::no) + " in the first, " +
         excerpt(b, 0, Quoted::no) + " in the second";
}

std::string simple_differ(const KeyData& a, const KeyData& b) {
  const auto model = [](const KeyData& key) {
    return std::string_view(key.content).substr(0, key.model_size);
  };
  const auto prompt = [](const KeyData& key) {
    return std::string_view(key.content).substr(key.content.size() - key.prompt_size);
  };
  const auto temperature = [](const KeyData& key) {
    constexpr std::string_view before = "|temp=";
    const auto from = key.model_size + before.size();
    return std::string_view(key.content)
        .substr(from, key.content.size() - key.prompt_size - 1 - from);
  };
  if (model(a) != model(b)) return texts_differ("model", model(a), model(b));
  if (temperature(a) != temperature(b)) {
    return "temperature differs: " + std::string(temperature(a)) + " in the first, " +
           std::string(temperature(b)) + " in the second";
  }
  return texts_differ("prompt", prompt(a), prompt(b));
}

std::string raw_differ(const KeyData& a, const KeyData& b) {
  const auto& in_a = a.own_namespaces;
  const auto& in_b = b.own_namespaces;
  if (in_a.size() != in_b.size()) {
    return "there are " + std::to_string(in_a.size()) + " namespaces in the first, " +
           std::to_string(in_b.size()) + " in the second";
  }
  for (std::size_t i = 0; i < in_a.size(); ++i) {
    if (in_a[i] != in_b[i]) {
      return texts_differ("namespace " + std::to_string(i), in_a[i], in_b[i]);
    }
  }
  return texts_differ("the key text", a.raw_text, b.raw_text);
}

std::string_view name_of(KeyForm form) noexcept {
  switch (form) {
    case KeyForm::simple:
      return "simple";
    case KeyForm::complete:
      return "complete";
    case KeyForm::raw:
      break;
  }
  return "raw";
}

}  // namespace

std::string diff(const CacheKey& first, const CacheKey& second) {
  const auto& a = KeyAccess::data(first);
  const auto& b = KeyAccess::data(second);
  if (a.form != b.form) {
    return "the forms differ: " + std::string(name_of(a.form)) + " in the first, hashing " +
           excerpt(a.content, 0) + "; " + std::string(name_of(b.form)) +
           " in the second, hashing " + excerpt(b.content, 0);
  }
  if (a.content == b.content) {
    return a.digest == b.digest ? "" : "the secrets differ; what they hash is the same";
  }
  switch (a.form) {
    case KeyForm::simple:
      return simple_differ(a, b);
    case KeyForm::complete: {
      const auto tag = [](const KeyData& key) {
        return std::string_view(key.content).substr(0, key.content.find('\n') + 1);
      };
      const auto json = [&tag](const KeyData& key) {
        return std::string_view(key.content).substr(tag(key).size());
      };
      if (tag(a) != tag(b)) {
        return tag(a) == detail::invoke_tag
                   ? "the first is a request for InvokeModel, the second one for Converse"
                   : "the first is a request for Converse, the second one for InvokeModel";
      }
      return objects_differ({}, json(a), json(b));
    }
    case KeyForm::raw:
      break;
  }
  return raw_differ(a, b);
}

}  // namespace valkeycache::inline v0
