#include "base/base64.hpp"

#include <cstddef>

#include <openssl/evp.h>

namespace valkeycache::inline v0 {
namespace detail {

void append_base64(std::string& out, std::string_view bytes) {
  // OpenSSL counts in int. A multiple of three, so that only the last piece is padded.
  constexpr std::size_t piece = std::size_t{3} << 24;
  auto at = out.size();
  out.resize(at + (bytes.size() + 2) / 3 * 4 + 1);  // EVP_EncodeBlock writes a NUL after the text
  while (!bytes.empty()) {
    const auto part = bytes.substr(0, piece);
    bytes.remove_prefix(part.size());
    at += static_cast<std::size_t>(EVP_EncodeBlock(
        reinterpret_cast<unsigned char*>(out.data() + at),
        reinterpret_cast<const unsigned char*>(part.data()), static_cast<int>(part.size())));
  }
  out.resize(at);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
