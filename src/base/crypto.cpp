#include "base/crypto.hpp"

#include <algorithm>
#include <array>
#include <cstring>
#include <new>
#include <utility>

#define OPENSSL_SUPPRESS_DEPRECATED  // SHA256_*, see sha256_of_parts()
#include <openssl/crypto.h>
#include <openssl/evp.h>
#include <openssl/rand.h>
#include <openssl/sha.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

void require(bool ok) {
  if (!ok) throw std::bad_alloc();
}

// Asking OpenSSL 3 for an algorithm takes longer than hashing a prompt, so it is asked once. Never
// freed: threads may hash until the very end of the process.
const EVP_MD* algorithm() {
#if OPENSSL_VERSION_NUMBER >= 0x30000000L
  static const EVP_MD* const fetched = [] {
    const EVP_MD* md = EVP_MD_fetch(nullptr, "SHA256", nullptr);
    return md ? md : EVP_sha256();
  }();
  return fetched;
#else
  return EVP_sha256();
#endif
}

EVP_MD_CTX* new_context() {
  EVP_MD_CTX* context = EVP_MD_CTX_new();
  require(context != nullptr);
  return context;
}

void start(EVP_MD_CTX* context) {
  require(EVP_DigestInit_ex(context, algorithm(), nullptr) == 1);
}
void add(EVP_MD_CTX* context, const void* data, std::size_t size) {
  require(EVP_DigestUpdate(context, data, size) == 1);
}
Sha256Digest result(EVP_MD_CTX* context) {
  Sha256Digest digest;
  require(EVP_DigestFinal_ex(context, digest.data(), nullptr) == 1);
  return digest;
}

// One context for each thread. The flag outlives it, since destructors of other objects of the
// thread may still hash after it has gone.
thread_local bool context_gone = false;
struct ThreadContext {
  EVP_MD_CTX* context = new_context();
  ThreadContext() = default;
  ThreadContext(const ThreadContext&) = delete;
  ThreadContext& operator=(const ThreadContext&) = delete;
  ~ThreadContext() {
    context_gone = true;
    EVP_MD_CTX_free(context);
  }
};

template <class F>
Sha256Digest with_context(F&& f) {
  if (context_gone) {
    const ThreadContext fresh;
    return f(fresh.context);
  }
  thread_local const ThreadContext shared;
  return f(shared.context);
}

// Both digits of each byte.
constexpr auto hex_pairs = [] {
  constexpr std::string_view digits = "0123456789abcdef";
  std::array<std::array<char, 2>, 256> pairs{};
  for (std::size_t byte = 0; byte < pairs.size(); ++byte) {
    pairs[byte] = {digits[byte >> 4], digits[byte & 15]};
  }
  return pairs;
}();

constexpr std::size_t block_size = 64;
using Block = std::array<std::uint8_t, block_size>;

// The key as a block of its own, hashed first where it is too long for one.
Block key_block(std::span<const std::uint8_t> key) {
  Block block{};
  if (key.size() > block_size) {
    const auto digest = with_context([&](EVP_MD_CTX* context) {
      start(context);
      add(context, key.data(), key.size());
      return result(context);
    });
    std::copy(digest.begin(), digest.end(), block.begin());
  } else {
    std::copy(key.begin(), key.end(), block.begin());
  }
  return block;
}

Block masked(Block block, std::uint8_t mask) noexcept {
  for (auto& byte : block) byte = static_cast<std::uint8_t>(byte ^ mask);
  return block;
}
constexpr std::uint8_t inner_mask = 0x36;
constexpr std::uint8_t outer_mask = 0x5c;

std::span<const std::uint8_t> as_bytes(std::string_view text) noexcept {
  return {reinterpret_cast<const std::uint8_t*>(text.data()), text.size()};
}

}  // namespace

#if defined(OPENSSL_NO_DEPRECATED_3_0)
Sha256Digest sha256_of_parts(std::initializer_list<std::string_view> parts) {
  return with_context([parts](EVP_MD_CTX* context) {
    start(context);
    for (const auto part : parts) add(context, part.data(), part.size());
    return result(context);
  });
}
#else
// OpenSSL 3's way into the same code allocates and frees for each digest, which takes as long as
// hashing a short prompt does.
Sha256Digest sha256_of_parts(std::initializer_list<std::string_view> parts) {
  SHA256_CTX context;
  Sha256Digest digest;
  bool ok = SHA256_Init(&context) == 1;
  for (const auto part : parts) ok = ok && SHA256_Update(&context, part.data(), part.size()) == 1;
  require(ok && SHA256_Final(digest.data(), &context) == 1);
  return digest;
}
#endif

Sha256Digest sha256(std::string_view data) {
  return sha256_of_parts({data});
}

Sha256::Sha256() : context_(new_context()) {
  try {
    start(context_);
  } catch (...) {
    EVP_MD_CTX_free(context_);
    throw;
  }
}
Sha256::Sha256(Sha256&& other) noexcept : context_(std::exchange(other.context_, nullptr)) {}
Sha256& Sha256::operator=(Sha256&& other) noexcept {
  std::swap(context_, other.context_);
  return *this;
}
Sha256::~Sha256() {
  EVP_MD_CTX_free(context_);
}

Sha256& Sha256::update(std::string_view data) {
  add(context_, data.data(), data.size());
  return *this;
}
Sha256& Sha256::update(std::span<const std::uint8_t> data) {
  add(context_, data.data(), data.size());
  return *this;
}
Sha256Digest Sha256::finish() {
  const auto digest = result(context_);
  start(context_);
  return digest;
}

Sha256Digest hmac_sha256(std::span<const std::uint8_t> key, std::string_view data) {
  Block block = key_block(key);
  Block inner_pad = masked(block, inner_mask);
  Block outer_pad = masked(block, outer_mask);
  const auto mac = with_context([&](EVP_MD_CTX* context) {
    start(context);
    add(context, inner_pad.data(), inner_pad.size());
    add(context, data.data(), data.size());
    const auto inner = result(context);
    start(context);
    add(context, outer_pad.data(), outer_pad.size());
    add(context, inner.data(), inner.size());
    return result(context);
  });
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(inner_pad.data(), inner_pad.size());
  OPENSSL_cleanse(outer_pad.data(), outer_pad.size());
  return mac;
}

Sha256Digest hmac_sha256(std::string_view key, std::string_view data) {
  return hmac_sha256(as_bytes(key), data);
}

HmacSha256::HmacSha256(std::string_view key) {
  Block block = key_block(as_bytes(key));
  Block inner_pad = masked(block, inner_mask);
  outer_pad_ = masked(block, outer_mask);
  hash_.update(inner_pad);
  OPENSSL_cleanse(block.data(), block.size());
  OPENSSL_cleanse(inner_pad.data(), inner_pad.size());
}
HmacSha256::~HmacSha256() {
  OPENSSL_cleanse(outer_pad_.data(), outer_pad_.size());
}
HmacSha256& HmacSha256::update(std::string_view data) {
  hash_.update(data);
  return *this;
}
Sha256Digest HmacSha256::finish() {
  const auto inner = hash_.finish();
  return hash_.update(outer_pad_).update(inner).finish();
}

void append_hex(std::string& out, std::span<const std::uint8_t> bytes) {
  const auto size = out.size();
  out.resize(size + 2 * bytes.size());
  auto* at = out.data() + size;
  for (const auto byte : bytes) {
    std::memcpy(at, hex_pairs[byte].data(), 2);
    at += 2;
  }
}

std::string hex(std::span<const std::uint8_t> bytes) {
  std::string text;
  append_hex(text, bytes);
  return text;
}

std::string random_hex() {
  std::array<std::uint8_t, 16> bytes{};
  require(RAND_bytes(bytes.data(), static_cast<int>(bytes.size())) == 1);
  return hex(bytes);
}

bool equal_constant_time(std::string_view a, std::string_view b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}
bool equal_constant_time(std::span<const std::uint8_t> a,
                         std::span<const std::uint8_t> b) noexcept {
  return a.size() == b.size() && CRYPTO_memcmp(a.data(), b.data(), a.size()) == 0;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
