#include "key/log_id.hpp"

#include <array>
#include <new>
#include <span>

#include <openssl/rand.h>

#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t shown_bytes = 8;

const std::array<unsigned char, 32>& process_secret() {
  static const auto secret = [] {
    std::array<unsigned char, 32> bytes{};
    if (RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) != 1) throw std::bad_alloc();
    return bytes;
  }();
  return secret;
}

}  // namespace

std::string log_id(const CacheKey& key) {
  const auto& data = KeyAccess::data(key);
  if (data.keyed) return data.digest_hex().substr(0, 2 * shown_bytes);
  const auto& secret = process_secret();
  const auto mac = hmac_sha256(std::span<const std::uint8_t>(secret), data.digest_hex());
  return hex(std::span<const std::uint8_t>(mac).first(shown_bytes));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
