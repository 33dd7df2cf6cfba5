#include "entry/python_codec.hpp"

#include <algorithm>
#include <array>

#include "base/json_depth.hpp"
#include "entry/msgpack_reader.hpp"
#include "entry/msgpack_writer.hpp"
#include "entry/python_json.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::array<std::string_view, 6> tags{"msgpack", "json",      "null",
                                               "bytes",   "bytearray", "pickle"};

Error invalid(const char* message) {
  return {.code = ErrorCode::invalid_argument, .message = message};
}

}  // namespace

bool has_python_tag(std::string_view bytes) noexcept {
  const auto colon = bytes.substr(0, 16).find(':');
  return colon != std::string_view::npos &&
         std::find(tags.begin(), tags.end(), bytes.substr(0, colon)) != tags.end();
}

PythonValue python_decode(std::string_view bytes) {
  using Kind = PythonValue::Kind;
  if (!has_python_tag(bytes)) return {.kind = Kind::malformed};
  const auto colon = bytes.find(':');
  const auto tag = bytes.substr(0, colon);
  const auto body = bytes.substr(colon + 1);
  if (tag == "msgpack") return read_msgpack(body);
  if (tag == "json") return read_json(body, max_python_read_depth, OnLc::constructors);
  if (tag == "null") return {.kind = Kind::json, .data = "null"};
  if (tag == "pickle") return {.kind = Kind::python_only};
  return {.kind = Kind::bytes, .data = std::string(body)};
}

Result<std::string> python_encode(std::string_view json) {
  auto body = write_msgpack(json);
  if (!body) return body;
  if (*body == "\xC0") return std::string("null:");
  return "msgpack:" + *body;
}

Result<std::string> python_encode_json(std::string_view json) {
  constexpr auto depth = static_cast<std::size_t>(max_json_depth);
  if (read_json(json, depth, OnLc::keep).kind != PythonValue::Kind::json) {
    return invalid("the value is not JSON of at most 128 levels whose numbers fit 64 bits");
  }
  if (read_json(json, depth, OnLc::any).kind != PythonValue::Kind::json) {
    return invalid("the value has a member \"lc\", which Python's reader takes for code");
  }
  return "json:" + std::string(json);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
