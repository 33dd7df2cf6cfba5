// RESP requests: arrays of bulk strings, appended to a buffer of the caller's.
// https://valkey.io/topics/protocol/
#pragma once

#include <charconv>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

inline void append_number(std::string& out, std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  out.append(digits, end);
}

inline void append_request_header(std::string& out, std::size_t arguments) {
  out += '*';
  append_number(out, static_cast<std::int64_t>(arguments));
  out += "\r\n";
}

inline void append_argument(std::string& out, std::string_view argument) {
  out += '$';
  append_number(out, static_cast<std::int64_t>(argument.size()));
  out += "\r\n";
  out += argument;
  out += "\r\n";
}

// One argument of two parts: a key under its prefix.
inline void append_argument(std::string& out, std::string_view prefix, std::string_view rest) {
  out += '$';
  append_number(out, static_cast<std::int64_t>(prefix.size() + rest.size()));
  out += "\r\n";
  out += prefix;
  out += rest;
  out += "\r\n";
}

inline void append_argument(std::string& out, std::int64_t number) {
  char digits[24];
  const auto end = std::to_chars(digits, digits + sizeof digits, number).ptr;
  append_argument(out, std::string_view(digits, static_cast<std::size_t>(end - digits)));
}

inline void append_request(std::string& out, std::initializer_list<std::string_view> arguments) {
  std::size_t size = 16;
  for (const auto argument : arguments) size += argument.size() + 16;
  out.reserve(out.size() + size);
  append_request_header(out, arguments.size());
  for (const auto argument : arguments) append_argument(out, argument);
}

inline std::string make_request(std::initializer_list<std::string_view> arguments) {
  std::string out;
  append_request(out, arguments);
  return out;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
