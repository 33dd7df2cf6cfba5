#include <valkeycache/entry.hpp>

#include <utility>

#include "base/crypto.hpp"
#include "entry/entry_json.hpp"
#include "entry/entry_mac.hpp"
#include "entry/python_codec.hpp"

namespace valkeycache::inline v0 {
namespace {

using detail::PythonValue;
using detail::ReadEntry;

constexpr std::string_view json_tag = "json:";

// A fault of the digest or the MAC, or the reader's own.
EntryFault judge(const ReadEntry& read, std::string_view json, const CacheKey& key,
                 std::string_view wire_key, const std::optional<std::string>& secret) {
  if (read.fault != EntryFault::none) return read.fault;
  if (secret) {
    if (secret->size() < detail::min_secret_bytes ||
        !detail::has_valid_mac(json,
                               {.secret = *secret, .wire_key = wire_key, .digest = key.digest()})) {
      return EntryFault::bad_mac;
    }
  }
  if (read.digest && *read.digest != key.digest()) return EntryFault::wrong_digest;
  return EntryFault::none;
}

ReadEntry read_langgraph(std::string_view bytes) {
  const auto value = detail::python_decode(bytes);
  switch (value.kind) {
    case PythonValue::Kind::json:
      return detail::read_python_entry(value.data);
    case PythonValue::Kind::bytes:
    case PythonValue::Kind::python_only:
      return {.fault = EntryFault::unsupported};
    case PythonValue::Kind::malformed:
      break;
  }
  return {.fault = EntryFault::corrupt};
}

}  // namespace

const char* to_string(EntryFault fault) noexcept {
  switch (fault) {
    case EntryFault::none:
      return "none";
    case EntryFault::corrupt:
      return "corrupt";
    case EntryFault::wrong_digest:
      return "wrong_digest";
    case EntryFault::bad_mac:
      return "bad_mac";
    case EntryFault::foreign_format:
      return "foreign_format";
    case EntryFault::unsupported:
      return "unsupported";
  }
  return "unknown";
}

EntryCodec::EntryCodec(EntryCodecOptions options) : options_(std::move(options)) {}

Result<std::string> EntryCodec::encode(const Entry& entry, const CacheKey& key,
                                       std::string_view wire_key) const {
  if (options_.secret && options_.secret->size() < detail::min_secret_bytes) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "EntryCodec: the secret is shorter than 16 bytes"};
  }
  auto json = detail::write_entry(entry, key.digest());
  if (!json) return json;
  if (options_.secret) {
    detail::append_mac(*json,
                       {.secret = *options_.secret, .wire_key = wire_key, .digest = key.digest()});
  }
  const auto tag = options_.format == EntryFormat::langgraph ? json_tag : std::string_view();
  if (json->size() + tag.size() > options_.max_bytes) {
    return Error{
        .code = ErrorCode::too_large,
        .message = "the entry is longer than " + std::to_string(options_.max_bytes) + " bytes"};
  }
  if (options_.format == EntryFormat::langgraph) return detail::python_encode_json(*json);
  return json;
}

DecodedEntry EntryCodec::decode(std::string_view bytes, const CacheKey& key,
                                std::string_view wire_key) const {
  if (bytes.size() > options_.max_bytes) return {.fault = EntryFault::corrupt};
  ReadEntry read;
  std::string_view json = bytes;
  if (options_.format == EntryFormat::langgraph) {
    read = read_langgraph(bytes);
    if (json.substr(0, json_tag.size()) == json_tag) json.remove_prefix(json_tag.size());
  } else if (detail::has_python_tag(bytes)) {
    return {.fault = EntryFault::foreign_format};
  } else {
    read = detail::read_own_entry(bytes);
  }
  const auto fault = judge(read, json, key, wire_key, options_.secret);
  if (fault != EntryFault::none) return {.fault = fault};
  return {.entry = std::move(read.entry)};
}

}  // namespace valkeycache::inline v0
