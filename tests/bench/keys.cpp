// What it costs to make a key from a prompt, beside SHA-256 of the prompt alone.
#include <valkeycache/cache_key.hpp>

#include <openssl/sha.h>

#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

std::vector<Row> keys(Stage& stage) {
  std::vector<Row> rows;
  for (const auto& [name, bytes] : {std::pair{"key.4KiB", 4096}, std::pair{"key.128B", 128}}) {
    const auto prompt = text(static_cast<std::size_t>(bytes));
    const auto* data = reinterpret_cast<const unsigned char*>(prompt.data());
    const auto tallies = take_turns(computing(stage.options()),
                                    {{"SHA256()", again_and_again([&] {
                                        unsigned char digest[SHA256_DIGEST_LENGTH];
                                        keep(SHA256(data, prompt.size(), digest)[0]);
                                      })},
                                     {"CacheKey", again_and_again([&] {
                                        const auto key =
                                            CacheKey::builder()
                                                .model("us.anthropic.claude-sonnet-4-20250514-v1:0")
                                                .temperature(0.7)
                                                .prompt(prompt)
                                                .build();
                                        keep(static_cast<unsigned char>(key.value().text()[0]));
                                      })}});
    rows.push_back(costs(tallies).row(name, "ns", 1, 0));
  }
  return rows;
}

}  // namespace valkeycache::bench
