// SHA-256 and HMAC-SHA-256 over OpenSSL, and hexadecimal text.
//
// Pure computation, safe from any thread. OpenSSL fails here only for want of memory, which is
// thrown as std::bad_alloc.
#pragma once

#include <valkeycache/config.hpp>

#include <array>
#include <cstddef>
#include <cstdint>
#include <initializer_list>
#include <span>
#include <string>
#include <string_view>

struct evp_md_ctx_st;

namespace valkeycache::inline v0 {
namespace detail {

// The shortest secret that keys an HMAC here.
constexpr std::size_t min_secret_bytes = 16;

using Sha256Digest = std::array<std::uint8_t, 32>;

VALKEYCACHE_API Sha256Digest sha256(std::string_view data);
// Of the parts one after the other.
VALKEYCACHE_API Sha256Digest sha256_of_parts(std::initializer_list<std::string_view> parts);

// SHA-256 of data that comes in parts. After finish() it starts anew.
class VALKEYCACHE_API Sha256 {
 public:
  Sha256();
  Sha256(Sha256&& other) noexcept;
  Sha256& operator=(Sha256&& other) noexcept;
  ~Sha256();

  Sha256& update(std::string_view data);
  Sha256& update(std::span<const std::uint8_t> data);
  Sha256Digest finish();

 private:
  evp_md_ctx_st* context_;
};

// RFC 2104 over SHA-256; the key may have any length.
VALKEYCACHE_API Sha256Digest hmac_sha256(std::string_view key, std::string_view data);
VALKEYCACHE_API Sha256Digest hmac_sha256(std::span<const std::uint8_t> key, std::string_view data);

// HMAC-SHA-256 of data that comes in parts. finish() once.
class VALKEYCACHE_API HmacSha256 {
 public:
  explicit HmacSha256(std::string_view key);
  ~HmacSha256();
  HmacSha256(const HmacSha256&) = delete;
  HmacSha256& operator=(const HmacSha256&) = delete;

  HmacSha256& update(std::string_view data);
  Sha256Digest finish();

 private:
  Sha256 hash_;
  std::array<std::uint8_t, 64> outer_pad_;
};

// Lower-case hexadecimal.
VALKEYCACHE_API void append_hex(std::string& out, std::span<const std::uint8_t> bytes);
VALKEYCACHE_API std::string hex(std::span<const std::uint8_t> bytes);

// 32 digits, drawn at random: a name that nobody else has or guesses.
VALKEYCACHE_API std::string random_hex();

// Takes the same time wherever the first difference is. Different lengths are told at once.
VALKEYCACHE_API bool equal_constant_time(std::string_view a, std::string_view b) noexcept;
VALKEYCACHE_API bool equal_constant_time(std::span<const std::uint8_t> a,
                                         std::span<const std::uint8_t> b) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
