// Damaged samples, the same in every run: what must hold for any bytes whatever holds for them.
#pragma once

#include <cstddef>
#include <iterator>
#include <random>
#include <string>
#include <string_view>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

namespace valkeycache::test {

// Null, or what did not hold.
using Check = const char* (*)(std::string_view);

class Mutator {
 public:
  explicit Mutator(std::vector<std::string> samples) : samples_(std::move(samples)) {}

  std::string next() {
    auto bytes = samples_[below(samples_.size())];
    for (std::size_t rounds = 1 + below(4); rounds > 0; --rounds) damage(bytes);
    return bytes;
  }

 private:
  std::size_t below(std::size_t limit) {
    return limit == 0 ? 0 : static_cast<std::size_t>(random_() % limit);
  }

  void damage(std::string& bytes) {
    static constexpr std::string_view tokens[] = {"{",
                                                  "}",
                                                  "[",
                                                  "]",
                                                  ",",
                                                  ":",
                                                  "\"",
                                                  "\\",
                                                  "\\u",
                                                  "\\ud800",
                                                  "\\\"",
                                                  "null",
                                                  "-",
                                                  "0",
                                                  "1e",
                                                  "\"response\":",
                                                  "\"digest\":\"",
                                                  "\"lc\":",
                                                  "\xFF",
                                                  "\xC0",
                                                  "\x81",
                                                  "\x91",
                                                  "\xDF",
                                                  "NaN"};
    const auto at = below(bytes.size() + 1);
    switch (below(7)) {
      case 0:  // another byte
        if (at < bytes.size()) bytes[at] = static_cast<char>(random_());
        break;
      case 1:  // a flipped bit
        if (at < bytes.size()) bytes[at] = static_cast<char>(bytes[at] ^ (1 << below(8)));
        break;
      case 2:  // cut short
        bytes.resize(at);
        break;
      case 3:  // a part missing
        bytes.erase(at, below(16));
        break;
      case 4:  // a part twice
        bytes.insert(at, bytes.substr(below(bytes.size()), below(64)));
        break;
      case 5:  // a part of another sample
      {
        const auto& other = samples_[below(samples_.size())];
        bytes.insert(at, other.substr(below(other.size()), below(64)));
        break;
      }
      default:
        bytes.insert(at, tokens[below(std::size(tokens))]);
    }
  }

  std::mt19937_64 random_{42};
  std::vector<std::string> samples_;
};

inline void expect_holds(Check check, const std::vector<std::string>& samples, int mutations) {
  for (const auto& sample : samples) ASSERT_EQ(check(sample), nullptr) << sample;
  Mutator mutator(samples);
  for (int i = 0; i < mutations; ++i) {
    const auto bytes = mutator.next();
    const auto* broken = check(bytes);
    ASSERT_EQ(broken, nullptr) << broken << ":\n" << bytes;
  }
}

}  // namespace valkeycache::test
