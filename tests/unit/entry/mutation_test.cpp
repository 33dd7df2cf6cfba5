// A few thousand damaged samples, the same in every run: what must hold for any bytes holds.

#include <valkeycache/entry.hpp>

#include <algorithm>
#include <fstream>
#include <random>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fuzz/properties.hpp"

namespace {

using namespace valkeycache;
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

void expect_holds(Check check, const std::vector<std::string>& samples, int mutations) {
  for (const auto& sample : samples) ASSERT_EQ(check(sample), nullptr) << sample;
  Mutator mutator(samples);
  for (int i = 0; i < mutations; ++i) {
    const auto bytes = mutator.next();
    const auto* broken = check(bytes);
    ASSERT_EQ(broken, nullptr) << broken << ":\n" << bytes;
  }
}

CacheKey key() {
  return CacheKey::builder().model("m").temperature(0.7).prompt("What is Valkey?").build().value();
}
std::string wire_key() {
  return "llm_cache:" + key().path();
}
Entry entry() {
  return {.response = "A cache.\n\xC3\xA9",
          .content = R"([{"text":"A cache."}])",
          .model = "m",
          .stop_reason = "end_turn",
          .usage = {.input_tokens = 1, .output_tokens = 2, .total_tokens = 3},
          .created_ms = 1735689600000,
          .hard_ttl_ms = 3600000,
          .events = R"([["t","A"],["t"," cache."]])"};
}

TEST(Mutations, CanonicalJson) {
  expect_holds(
      valkeycache_fuzz::check_canonical_json,
      {R"({"modelId":"m","messages":[{"role":"user","content":[{"text":"a\u00e9\n"}]}],)"
       R"("inferenceConfig":{"temperature":0.70},"requestMetadata":{"a":"b"}})",
       R"({"messages":[{"content":[{"text":"Hi"}],"role":"user"}],"z":[1E5,-0,{"a":null}]})",
       R"([[],{},"\ud83d\ude00",true,false,-1.5e-7])"},
      6000);
}

TEST(Mutations, PythonCodec) {
  std::vector<std::string> samples;
  const auto vectors =
      nlohmann::json::parse(std::ifstream(VALKEYCACHE_TEST_DATA "/python_entries.json"));
  for (const char* list : {"entries", "decode_cases"}) {
    for (const auto& item : vectors.at(list)) {
      const auto text = item.at("raw_hex").get<std::string>();
      if (text.size() > 1000) continue;
      std::string bytes;
      for (std::size_t i = 0; i < text.size(); i += 2) {
        bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
      }
      samples.push_back(bytes);
    }
  }
  ASSERT_GT(samples.size(), 80U);
  expect_holds(valkeycache_fuzz::check_python_codec, samples, 12000);
}

TEST(Mutations, EntryDecode) {
  const auto encode = [](const EntryCodecOptions& options, const Entry& from) {
    return EntryCodec(options).encode(from, key(), wire_key()).value();
  };
  expect_holds(valkeycache_fuzz::check_entry_decode,
               {encode({}, entry()), encode({}, {.response = "hi"}),
                encode({.format = EntryFormat::langgraph}, entry()),
                encode({.secret = std::string(32, 's')}, entry()),
                "msgpack:\x82\xA8response\xA2hi\xA5usage\x81\xACinput_tokens\x0C"},
               8000);
}

TEST(Mutations, NoneOfAKeyedEntryIsAccepted) {
  const EntryCodec keyed({.secret = std::string(32, 's')});
  const auto good = keyed.encode(entry(), key(), wire_key()).value();
  Mutator mutator({good});
  for (int i = 0; i < 4000; ++i) {
    const auto bytes = mutator.next();
    if (bytes == good) continue;
    ASSERT_NE(keyed.decode(bytes, key(), wire_key()).fault, EntryFault::none) << bytes;
  }
}

}  // namespace
