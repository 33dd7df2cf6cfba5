// Everything that the library does with a server, for users who may do only some of it.
#pragma once

#include <valkeycache/cached_llm.hpp>
#include <valkeycache/transfer.hpp>
#include <valkeycache/warm.hpp>

#include <atomic>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/child_process.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

using namespace std::chrono_literals;

inline ValkeyCacheOptions app() {
  ValkeyCacheOptions options;
  options.username = "app";
  options.password = "PASSWORD";
  options.connect_timeout = patience;
  options.command_timeout = patience;
  options.near_cache.max_bytes = std::size_t{1} << 20;
  options.near_cache.max_age = patience;
  return options;
}

// A time-out would look like a missing permission.
inline CachedLlmOptions patient_llm() {
  CachedLlmOptions options;
  options.advanced.connect_timeout = options.advanced.command_timeout =
      options.advanced.store_timeout = patience;
  return options;
}

inline CacheKey key_of(const std::string& text) {
  return CacheKey::raw({"acl"}, text).value();
}

inline void use_the_cache(const ValkeyCache& cache) {
  const auto key = key_of("k");
  ASSERT_TRUE(ok(cache.set(key, "v", 1h).get()));
  ASSERT_TRUE(ok(cache.set(key, "v", 3600500ms).get()));
  EXPECT_EQ(cache.get(key).get().value(), "v");
  ASSERT_TRUE(wait_until([&] {
    EXPECT_EQ(cache.get(key).get().value(), "v");
    return cache.stats().near_hits != 0;
  }));
  std::vector<KeyValue> entries;
  std::vector<CacheKey> keys;
  for (const char* name : {"a", "b", "c", "d"}) {
    keys.push_back(key_of(name));
    entries.push_back({keys.back(), name});
  }
  for (const auto& stored : cache.set(entries).get().value()) EXPECT_TRUE(ok(stored));
  keys.push_back(key_of("absent"));
  const auto found = cache.get(keys).get().value();
  ASSERT_EQ(found.size(), 5U);
  for (const auto& one : found) EXPECT_TRUE(ok(one));
  EXPECT_EQ(found[3].value(), "d");
  EXPECT_TRUE(cache.touch(key, 2h).get().value());
  EXPECT_TRUE(cache.touch(key, 7200500ms).get().value());
  EXPECT_GT(cache.ttl(key).get().value()->duration(), 1h);
  EXPECT_TRUE(cache.expire_if(key, "v", 3h).get().value());
  EXPECT_TRUE(cache.replace_if(key, "v", "w", 1h).get().value());
  EXPECT_TRUE(cache.replace_if(key, "w", "x").get().value());
  EXPECT_FALSE(cache.set_if_absent(key, "y").get().value());
  EXPECT_TRUE(cache.erase_if(key, "x").get().value());
  EXPECT_FALSE(cache.erase(key).get().value());
  EXPECT_TRUE(ok(cache.ping().get()));
  EXPECT_EQ(cache.clear({"acl"}).get().value(), 4U);
}

inline void use_cached_llm(const ValkeyCache& cache) {
  int asked = 0;
  const auto model = make_text_llm({.model = "m", .scope = "local"}, [&](const ChatRequest&) {
    return "answer " + std::to_string(++asked);
  });
  auto options = patient_llm();
  options.ttl = 1h;
  options.advanced.lease = 10s;
  const CachedLlm llm(cache, model, options);
  const auto miss = llm.ask("What is Valkey?").get().value();
  EXPECT_FALSE(miss.cached);
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto hit = llm.ask("What is Valkey?").get().value();
  EXPECT_TRUE(hit.cached);
  EXPECT_EQ(hit.response, "answer 1");
  for (const bool cached : {false, true}) {
    std::string told;
    const auto streamed = llm.stream(ChatRequest("And ACLs?").temperature(0.7),
                                     [&](const StreamEvent& event) {
                                       if (event.type == StreamEvent::Type::text_delta)
                                         told += event.text;
                                     })
                              .get()
                              .value();
    EXPECT_EQ(streamed.cached, cached);
    EXPECT_EQ(told, "answer 2");
    ASSERT_TRUE(ok(cache.flush(patience).get()));
  }
  EXPECT_TRUE(ok(llm.ask("What is Valkey?", {.refresh = true}).get()));
  EXPECT_EQ(asked, 3);
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  EXPECT_EQ(cache.clear().get().value(), 2U);
}

// An entry past its TTL is given, and replaced behind.
inline void use_stale_entries(const ValkeyCache& cache) {
  std::atomic<int> asked{0};
  const auto model = make_text_llm({.model = "m", .scope = "local"}, [&](const ChatRequest&) {
    return "answer " + std::to_string(++asked);
  });
  auto options = patient_llm();
  options.ttl = 100ms;
  options.advanced.stale_while_revalidate = 1h;
  const CachedLlm llm(cache, model, options);
  ASSERT_TRUE(ok(llm.ask("What is stale?").get()));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  bool stale = false;
  ASSERT_TRUE(wait_until([&] {
    const auto answer = llm.ask("What is stale?").get().value();
    EXPECT_TRUE(answer.cached);
    stale = stale || (answer.source == AnswerSource::stale && answer.response == "answer 1");
    return answer.response == "answer 2";
  }));
  EXPECT_TRUE(stale);
}

inline void use_warm(const ValkeyCache& cache) {
  const auto model =
      make_text_llm({.model = "m", .scope = "local"}, [](const ChatRequest&) { return "answer"; });
  auto options = patient_llm();
  options.ttl = 1h;
  const CachedLlm llm(cache, model, options);
  const std::vector<std::string> prompts{"one", "two", "three"};
  EXPECT_EQ(warm(llm, prompts).value().stored, 3U);
  EXPECT_EQ(warm(llm, prompts).value().skipped, 3U);
}

// What is there goes out, and comes back.
inline void use_transfer(const ValkeyCache& cache) {
  const TemporaryFolder folder;
  const auto file = folder.path() + "/entries.ndjson";
  ASSERT_TRUE(ok(cache.set(key_of("lasting"), "v").get()));
  ASSERT_TRUE(ok(cache.set(key_of("passing"), "v", 1h).get()));
  const std::string secret(32, 's');
  const auto exported = export_entries(cache, file, {.secret = secret});
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(cache.clear().get().value(), exported->entries);
  const auto imported = import_entries(cache, file, {.secret = secret});
  ASSERT_TRUE(ok(imported));
  EXPECT_EQ(imported->stored, exported->entries);
  EXPECT_EQ(import_entries(cache, file, {.secret = secret}).value().present, exported->entries);
  EXPECT_EQ(cache.clear().get().value(), exported->entries);
}

inline void use_everything(const ValkeyCache& cache) {
  use_the_cache(cache);
  use_cached_llm(cache);
  use_stale_entries(cache);
  use_warm(cache);
  use_transfer(cache);
  EXPECT_EQ(cache.stats().errors, 0U);
  EXPECT_EQ(cache.stats().connect_failures, 0U);
}

}  // namespace valkeycache::test
