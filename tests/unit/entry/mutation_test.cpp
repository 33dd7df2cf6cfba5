// A few thousand damaged samples, the same in every run: what must hold for any bytes holds.

#include <valkeycache/entry.hpp>

#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "fuzz/properties.hpp"
#include "support/mutator.hpp"

namespace {

using namespace valkeycache;
using test::expect_holds;
using test::Mutator;

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
