// What must hold for any bytes whatever. Each function gives nullptr, or what did not hold; the
// fuzz targets and the unit tests share them.
#pragma once

#include <valkeycache/cache_key.hpp>
#include <valkeycache/entry.hpp>
#include <valkeycache/llm.hpp>

#include <string>
#include <string_view>

#include <nlohmann/json.hpp>

#include "base/json_depth.hpp"
#include "base/utf8.hpp"
#include "entry/python_codec.hpp"
#include "entry/python_json.hpp"
#include "key/canonical_json.hpp"

namespace valkeycache_fuzz {

using namespace valkeycache;

inline const char* check_canonical_json(std::string_view bytes) {
  const auto canonical = detail::canonical_json(bytes, detail::max_json_depth);
  if (canonical.fault != detail::JsonFault::none) {
    if (canonical.offset > bytes.size()) return "a fault beyond the end";
    if (ChatRequest::from_converse_json(bytes)) return "a request of malformed JSON";
    return nullptr;
  }
  const auto again = detail::canonical_json(canonical.text, detail::max_json_depth);
  if (again.text != canonical.text) return "canonical text changes when it is made canonical";
  if (!detail::json_depth_within(bytes, detail::max_json_depth)) return "too deep, yet accepted";
  // nlohmann/json refuses what it cannot keep in a double.
  const bool may_overflow =
      bytes.find_first_of("eE") != std::string_view::npos || bytes.size() > 300;
  if (!may_overflow && !nlohmann::json::accept(bytes)) return "accepted what is no JSON";

  const auto request = ChatRequest::from_converse_json(bytes);
  if (request) {
    const auto json = request->to_json();
    const auto back = ChatRequest::from_converse_json(json);
    if (!back || back->to_json() != json) return "a request changes when it is read back";
    if (!CacheKey::of(*request) && request->model().find('|') == std::string::npos) {
      return "a good request without a key";
    }
    if (request->as_triple() && !request->normalized().as_triple()) {
      return "a triple is none any more when it is normalized";
    }
  }
  return nullptr;
}

inline const char* check_python_codec(std::string_view bytes) {
  using Kind = detail::PythonValue::Kind;
  const auto value = detail::python_decode(bytes);
  if (value.kind != Kind::json) {
    return value.kind == Kind::bytes || value.data.empty() ? nullptr : "a miss with data";
  }
  if (!detail::is_valid_utf8(value.data)) return "JSON that is not UTF-8";
  const auto again =
      detail::read_json(value.data, detail::max_python_read_depth, detail::OnLc::keep);
  if (again.kind != Kind::json || again.data != value.data) return "JSON that does not read back";
  const auto packed = detail::python_encode(value.data);
  if (!packed) {
    const bool shallow =
        detail::json_depth_within(value.data, static_cast<int>(detail::max_python_write_depth));
    return shallow ? "a value that cannot be written" : nullptr;
  }
  const auto unpacked = detail::python_decode(*packed);
  if (unpacked.kind != Kind::json) return "a written value that cannot be read";
  if (detail::python_encode(unpacked.data).value() != *packed) return "writing changes the value";
  return nullptr;
}

inline const char* check_entry_decode(std::string_view bytes) {
  static const auto key =
      CacheKey::builder().model("m").temperature(0.7).prompt("What is Valkey?").build().value();
  static const EntryCodec standard;
  static const EntryCodec keyed({.secret = std::string(32, 's')});
  static const EntryCodec python({.format = EntryFormat::langgraph});
  const std::string wire_key = "llm_cache:" + key.path();

  for (const auto* codec : {&standard, &keyed, &python}) {
    const auto decoded = codec->decode(bytes, key, wire_key);
    if (decoded.fault != EntryFault::none) {
      if (!decoded.entry.response.empty()) return "a fault with an answer";
      continue;
    }
    const auto encoded = standard.encode(decoded.entry, key, wire_key);
    // The original nests deeper than this library writes, and one escaping may take more room.
    if (!encoded && codec != &python && encoded.error().code != ErrorCode::too_large) {
      return "an entry that cannot be written";
    }
    if (encoded) {
      const auto again = standard.decode(*encoded, key, wire_key);
      if (again.fault != EntryFault::none) return "a written entry that cannot be read";
      if (again.entry.response != decoded.entry.response ||
          again.entry.content != decoded.entry.content ||
          again.entry.events != decoded.entry.events || again.entry.extra != decoded.entry.extra) {
        return "writing changes the entry";
      }
    }
  }
  return nullptr;
}

}  // namespace valkeycache_fuzz
