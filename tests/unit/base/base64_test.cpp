#include "base/base64.hpp"

#include <string>

#include <gtest/gtest.h>
#include <openssl/evp.h>

namespace {

using valkeycache::detail::append_base64;
using valkeycache::detail::decode_base64;

std::string base64(std::string_view bytes) {
  std::string out;
  append_base64(out, bytes);
  return out;
}

// RFC 4648, section 10.
TEST(Base64, KnownAnswers) {
  EXPECT_EQ(base64(""), "");
  EXPECT_EQ(base64("f"), "Zg==");
  EXPECT_EQ(base64("fo"), "Zm8=");
  EXPECT_EQ(base64("foo"), "Zm9v");
  EXPECT_EQ(base64("foob"), "Zm9vYg==");
  EXPECT_EQ(base64("fooba"), "Zm9vYmE=");
  EXPECT_EQ(base64("foobar"), "Zm9vYmFy");
  EXPECT_EQ(base64(std::string_view("\x00\xff\xfe", 3)), "AP/+");
}

TEST(Base64, Appends) {
  std::string out = "data:";
  append_base64(out, "foo");
  append_base64(out, "f");
  EXPECT_EQ(out, "data:Zm9vZg==");
}

TEST(Base64, ReadsBackWhateverTheLength) {
  // The last one is over what is encoded at a time.
  for (const std::size_t size :
       {std::size_t{1000}, std::size_t{4096}, (std::size_t{3} << 24) + 5}) {
    std::string bytes(size, '\0');
    for (std::size_t i = 0; i < size; i += 977) bytes[i] = static_cast<char>(i / 977);
    const auto text = base64(bytes);
    ASSERT_EQ(text.size(), (size + 2) / 3 * 4);
    std::string decoded(text.size(), '\0');
    const int length = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(decoded.data()),
                                       reinterpret_cast<const unsigned char*>(text.data()),
                                       static_cast<int>(text.size()));
    ASSERT_EQ(static_cast<std::size_t>(length), (size + 2) / 3 * 3);
    decoded.resize(size);
    EXPECT_TRUE(decoded == bytes);
    EXPECT_TRUE(decode_base64(text) == bytes);
  }
}

TEST(Base64, DecodesWhatItEncodes) {
  std::string bytes;
  for (int i = 0; i < 300; ++i) {
    ASSERT_EQ(decode_base64(base64(bytes)), bytes);
    bytes += static_cast<char>(i * 7);
  }
}

TEST(Base64, DecodesNothingElse) {
  for (const char* text : {"Z", "Zg", "Zg=", "Zg===", "=", "====", "Z===", "Zh==", "Zm9=", "Zm9w\n",
                           " Zm9v", "Zm-_", "Zg==Zg==", "Zm9v=", "Z=g="}) {
    EXPECT_EQ(decode_base64(text), std::nullopt) << text;
  }
}

}  // namespace
