// A few thousand damaged samples, the same in every run: what must hold for any bytes holds.

#include <random>
#include <string>

#include <gtest/gtest.h>

#include "fuzz/aws_properties.hpp"
#include "support/corpus.hpp"

namespace {

void expect_holds(const std::string& target, const char* (*check)(std::string_view)) {
  const auto samples = valkeycache::test::corpus_of(target);
  ASSERT_FALSE(samples.empty());
  std::mt19937 random;
  const auto below = [&random](std::size_t limit) {
    return limit == 0 ? 0 : static_cast<std::size_t>(random()) % limit;
  };
  static const std::string odd("\0\n\r\t \"\\<>&;#=[]{}@:/?%'\x7f\xc0\xff", 27);
  for (int i = 0; i < 2000; ++i) {
    auto bytes = samples[below(samples.size())];
    for (auto rounds = 1 + below(4); rounds > 0; --rounds) {
      const auto at = below(bytes.size());
      switch (below(3)) {
        case 0:
          bytes.insert(at, 1, odd[below(odd.size())]);
          break;
        case 1:
          bytes.erase(at, 1 + below(4));
          break;
        default:
          bytes.insert(at, bytes.substr(below(bytes.size()), 1 + below(30)));
      }
    }
    const auto* broken = check(bytes);
    ASSERT_EQ(broken, nullptr) << broken << ": " << bytes;
  }
}

TEST(Mutations, CredentialsAnswers) {
  expect_holds("credentials_answer", valkeycache_fuzz::check_credentials_answer);
}
TEST(Mutations, ProfileFiles) {
  expect_holds("profile_files", valkeycache_fuzz::check_profile_files);
}
TEST(Mutations, Uris) {
  expect_holds("uris", valkeycache_fuzz::check_uris);
}

}  // namespace
