#include "entry/python_json.hpp"

#include <cmath>
#include <string>
#include <system_error>
#include <utility>

#include "base/json_cursor.hpp"
#include "base/number.hpp"
#include "entry/json_builder.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_integer(std::string_view token) noexcept {
  return token.find_first_of(".eE") == std::string_view::npos;
}

bool fits(std::string_view token) noexcept {
  if (!is_integer(token)) {
    const auto real = parse_number<double>(token);
    return real && std::isfinite(*real);
  }
  return token.front() == '-' ? parse_number<std::int64_t>(token).has_value()
                              : parse_number<std::uint64_t>(token).has_value();
}

bool is_one_or_two(std::string_view token) noexcept {
  if (token == "true") return true;
  const auto value = parse_number<double>(token);
  return value == 1.0 || value == 2.0;
}

class PythonJsonReader {
 public:
  PythonJsonReader(std::string_view text, std::size_t max_depth, OnLc on_lc)
      : cursor_(text), max_depth_(max_depth), on_lc_(on_lc) {}

  PythonValue run() {
    if (!values() || !cursor_.finish()) {
      const bool surrogate = cursor_.fault() == JsonFault::surrogate;
      return {.kind = python_word_ || surrogate ? PythonValue::Kind::python_only
                                                : PythonValue::Kind::malformed};
    }
    if (python_only_) return {.kind = PythonValue::Kind::python_only};
    return {.kind = PythonValue::Kind::json, .data = builder_.take()};
  }

 private:
  bool values() {
    JsonStringToken name;
    for (;;) {
      if (!begin_value()) return false;
      for (;;) {
        if (builder_.depth() == 0) return true;
        if (builder_.in_object() ? cursor_.next_member(first_, name)
                                 : cursor_.next_element(first_)) {
          break;
        }
        if (!cursor_.ok()) return false;
        end();
      }
      if (builder_.in_object()) member(name.decode());
    }
  }

  void member(std::string name) {
    if (on_lc_ == OnLc::any && name == "lc") python_only_ = true;
    builder_.member(std::move(name));
  }

  // A scalar, or the beginning of something that holds values.
  bool begin_value() {
    std::string_view token;
    switch (const char c = cursor_.peek()) {
      case '{':
      case '[':
        if (builder_.depth() >= max_depth_) return cursor_.fail(JsonFault::depth);
        cursor_.take(c);
        if (c == '{') {
          builder_.begin_object();
        } else {
          builder_.begin_array();
        }
        first_ = true;
        return true;
      case '"': {
        JsonStringToken text;
        if (!cursor_.string(text)) return false;
        builder_.string(text.decode());
        return true;
      }
      case 't':
      case 'f':
      case 'n':
        if (!cursor_.literal(token)) return false;
        builder_.scalar(token);
        return true;
      case 'N':  // NaN and Infinity
      case 'I':
        python_word_ = true;
        return cursor_.fail(JsonFault::syntax);
      default:
        return number();
    }
  }

  bool number() {
    std::string_view token;
    if (!cursor_.number(token)) return false;
    if (token == "-0") token = "0";  // the int is
    if (!fits(token)) python_only_ = true;
    builder_.scalar(token);
    return true;
  }

  void end() {
    if (on_lc_ == OnLc::constructors && builder_.in_object() && is_constructor_call()) {
      python_only_ = true;
    }
    builder_.end();
    first_ = false;
  }

  [[nodiscard]] bool is_constructor_call() const noexcept {
    const auto lc = builder_.find("lc");
    if (lc.empty() || !is_one_or_two(lc)) return false;
    const auto id = builder_.find("id");
    if (id.empty() || id == "null") return false;
    const auto type = builder_.find("type");
    return type == R"("constructor")" || type == R"("secret")" || type == R"("not_implemented")";
  }

  JsonCursor cursor_;
  JsonBuilder builder_;
  std::size_t max_depth_;
  OnLc on_lc_;
  bool first_ = true;
  bool python_word_ = false;
  bool python_only_ = false;
};

}  // namespace

PythonValue read_json(std::string_view text, std::size_t max_depth, OnLc on_lc) {
  // json.loads takes bytes with a byte order mark.
  constexpr std::string_view mark = "\xEF\xBB\xBF";
  if (text.substr(0, mark.size()) == mark) text.remove_prefix(mark.size());
  return PythonJsonReader(text, max_depth, on_lc).run();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
