#include "base/crypto.hpp"

#include <cstdint>
#include <string>
#include <string_view>
#include <thread>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace {

using namespace valkeycache::detail;
using namespace std::string_literals;

// FIPS 180-4 examples.
TEST(Sha256, KnownAnswers) {
  EXPECT_EQ(hex(sha256("")), "e3b0c44298fc1c149afbf4c8996fb92427ae41e4649b934ca495991b7852b855");
  EXPECT_EQ(hex(sha256("abc")), "ba7816bf8f01cfea414140de5dae2223b00361a396177a9cb410ff61f20015ad");
  EXPECT_EQ(hex(sha256("abcdbcdecdefdefgefghfghighijhijkijkljklmklmnlmnomnopnopq")),
            "248d6a61d20638b8e5c026930c3e6039a33ce45964ff2167f6ecedd419db06c1");
  EXPECT_EQ(hex(sha256(std::string(1'000'000, 'a'))),
            "cdc76e5c9914fb9281a1c7e284d73e67f1809a48a497200e046d39ccc7112cd0");
}

TEST(Sha256, InPartsIsTheSame) {
  const std::string text(300, 'x');
  for (const std::size_t cut : {0U, 1U, 55U, 64U, 65U, 128U, 300U}) {
    Sha256 hash;
    hash.update(text.substr(0, cut)).update(text.substr(cut));
    EXPECT_EQ(hash.finish(), sha256(text));
    hash.update("abc");  // anew
    EXPECT_EQ(hash.finish(), sha256("abc"));
    EXPECT_EQ(sha256_of_parts({text.substr(0, cut), text.substr(cut)}), sha256(text));
  }
  Sha256 first;
  first.update("ab");
  Sha256 second(std::move(first));
  Sha256 third;
  third = std::move(second);
  EXPECT_EQ(third.update("c").finish(), sha256("abc"));
  EXPECT_EQ(sha256_of_parts({}), sha256(""));
}

// RFC 4231.
TEST(HmacSha256, KnownAnswers) {
  struct Case {
    std::string key, data, mac;
  };
  const Case cases[] = {
      {std::string(20, '\x0b'), "Hi There",
       "b0344c61d8db38535ca8afceaf0bf12b881dc200c9833da726e9376c2e32cff7"},
      {"Jefe", "what do ya want for nothing?",
       "5bdcc146bf60754e6a042426089575c75a003f089d2739839dec58b964ec3843"},
      {std::string(20, '\xaa'), std::string(50, '\xdd'),
       "773ea91e36800e46854db8ebd09181a72959098b3ef8c122d9635514ced565fe"},
      {std::string(131, '\xaa'), "Test Using Larger Than Block-Size Key - Hash Key First",
       "60e431591ee0b67f0d8a26aacbf5b77f8e0bc6213728c5140546040f0ee37f54"},
      {std::string(131, '\xaa'),
       "This is a test using a larger than block-size key and a larger than block-size data. The "
       "key needs to be hashed before being used by the HMAC algorithm.",
       "9b09ffa71b942fcb27635fbcd5b0e944bfdc63644f0713938a7f51535c3a35e2"},
  };
  for (const auto& [key, data, mac] : cases) {
    EXPECT_EQ(hex(hmac_sha256(key, data)), mac);
    HmacSha256 parts(key);
    parts.update(data.substr(0, 3)).update(data.substr(3));
    EXPECT_EQ(hex(parts.finish()), mac);
  }
  EXPECT_EQ(hex(hmac_sha256("", "")),
            "b613679a0814d9ec772f95d778c35fc5ff1697c493715653c6c712144292c5ad");
}

TEST(HmacSha256, KeysOfABlockAndAround) {
  for (const std::size_t size : {63U, 64U, 65U}) {
    const std::string key(size, 'k');
    HmacSha256 parts(key);
    EXPECT_EQ(parts.update("x").finish(), hmac_sha256(key, "x"));
  }
  EXPECT_NE(hmac_sha256(std::string(64, 'k'), "x"), hmac_sha256(std::string(65, 'k'), "x"));
}

TEST(Sha256, ThreadsDoNotDisturbEachOther) {
  std::vector<std::thread> threads;
  for (int t = 0; t < 4; ++t) {
    threads.emplace_back([t] {
      const std::string text(static_cast<std::size_t>(t) * 50, 'x');
      const auto expected = sha256(text);
      for (int i = 0; i < 500; ++i) ASSERT_EQ(sha256(text), expected);
    });
  }
  for (auto& thread : threads) thread.join();
}

// An object that hashes when its thread ends, whatever of the thread's is gone by then.
struct HashesAtTheEnd {
  Sha256Digest* into = nullptr;
  ~HashesAtTheEnd() {
    if (into) *into = sha256("abc");
  }
};

TEST(Sha256, WorksWhileAThreadEnds) {
  Sha256Digest before{};
  Sha256Digest after{};
  std::thread([&] {
    thread_local HashesAtTheEnd made_first;
    made_first.into = &before;
    (void)sha256("x");
    thread_local HashesAtTheEnd made_last;
    made_last.into = &after;
  }).join();
  EXPECT_EQ(before, sha256("abc"));
  EXPECT_EQ(after, sha256("abc"));
}

TEST(Hex, IsLowerCase) {
  const std::uint8_t bytes[] = {0x00, 0x0f, 0xa5, 0xff};
  std::string text = "x";
  append_hex(text, bytes);
  EXPECT_EQ(text, "x000fa5ff");
  EXPECT_EQ(hex({}), "");
}

TEST(EqualConstantTime, Compares) {
  EXPECT_TRUE(equal_constant_time(""s, ""s));
  EXPECT_TRUE(equal_constant_time("ab\0c"s, "ab\0c"s));
  EXPECT_FALSE(equal_constant_time("ab\0c"s, "ab\0d"s));
  EXPECT_FALSE(equal_constant_time("bb"s, "ab"s));
  EXPECT_FALSE(equal_constant_time("ab"s, "abc"s));
  EXPECT_TRUE(equal_constant_time(sha256("a"), sha256("a")));
  EXPECT_FALSE(equal_constant_time(sha256("a"), sha256("b")));
}

}  // namespace
