// With a secret nothing that leaves the process lets a guesser check a guess, and nobody without it
// can make an entry.
#include <valkeycache/cached_llm.hpp>

#include <mutex>
#include <string>
#include <vector>

#include <gmock/gmock.h>
#include <gtest/gtest.h>

#include "base/crypto.hpp"
#include "support/valkey/expect.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

const std::string prompt = "Shall we buy the shop next door?";

// What whoever guesses the request could compute, at the length at which digests are shown.
std::vector<std::string> guessable(const CacheIdentity& identity) {
  const auto request = ChatRequest(prompt).temperature(0.7);
  const auto simple = CacheKey::of(request, identity).value();
  const auto complete = CacheKey::of(request, identity, {.complete = true}).value();
  std::vector<std::string> digests = {simple.digest(), complete.digest(),
                                      detail::hex(detail::sha256(prompt)),
                                      detail::hex(detail::sha256(complete.explain()))};
  for (auto& digest : digests) digest.resize(16);
  return digests;
}

class Secret : public ::testing::Test {
 protected:
  static constexpr const char* model_name = "m";

  static CachedLlmOptions options(std::optional<std::string> secret = std::string(32, 's')) {
    CachedLlmOptions options;
    options.advanced.key.secret = std::move(secret);
    options.advanced.command_timeout = options.advanced.store_timeout = patience;
    return options;
  }
  [[nodiscard]] ValkeyCache open(ValkeyCacheOptions options = {}) const {
    options.reconnect_base = 1ms;
    return ValkeyCache::open(server_.uri(), options).value();
  }
  static std::shared_ptr<Llm> saying(const std::string& text) {
    return make_text_llm({.model = model_name, .scope = "s"},
                         [text](const ChatRequest&) { return text; });
  }
  // Asks in the ways that leave traces, and gathers them: what the server was told and keeps, logs,
  // lines of JSON, figures, errors.
  std::string traces(CachedLlmOptions options);

  ValkeyServer server_;
};

std::string Secret::traces(CachedLlmOptions options) {
  server_.command({"FLUSHALL"});
  std::mutex mutex;
  std::string all;
  const auto add = [&](std::string_view line) {
    const std::lock_guard lock(mutex);
    all.append(line) += '\n';
  };
  options.advanced.log = [&](const LogRecord& record) {
    add(record.message);
  };
  options.advanced.observer = json_lines(add);
  options.advanced.lease = 10s;
  Monitor monitor(server_);
  const auto cache = open({.near_cache = {.max_bytes = 1 << 20}, .log = options.advanced.log});
  const CachedLlm llm(cache, saying("No."), options);
  const auto request = ChatRequest(prompt).temperature(0.7);
  EXPECT_TRUE(fails_with(llm.ask(request, {.cache_only = true}).get(), ErrorCode::cache_miss));
  for (int i = 0; i < 3; ++i) {
    EXPECT_TRUE(ok(llm.ask(prompt).get()));
    EXPECT_TRUE(ok(cache.flush(patience).get()));
  }
  EXPECT_TRUE(ok(llm.stream(request, [](const StreamEvent&) {}).get()));
  EXPECT_TRUE(ok(llm.ask(request, {.refresh = true}).get()));
  EXPECT_TRUE(ok(cache.flush(patience).get()));
  for (const auto& line : monitor.lines()) add(line);
  for (const auto& key : server_.command({"KEYS", "*"}).items) {
    add(key.text);
    add(server_.command({"GET", key.text}).text);
  }
  add(prometheus_text(llm.stats()));
  server_.kill();
  const auto lost = llm.ask(prompt, {.cache_only = true, .timeout = 1ms}).get();
  if (!lost) add(lost.error().message);
  server_.start();
  return all;
}

TEST_F(Secret, NothingThatAGuesserCouldComputeLeavesTheProcess) {
  const auto open = traces(options(std::nullopt));
  const auto guesses = guessable({.model = model_name, .scope = "s"});
  EXPECT_THAT(open, ::testing::HasSubstr(guesses[0])) << "or nothing would be seen below";

  const auto keyed = traces(options());
  for (const auto& guess : guesses) EXPECT_THAT(keyed, ::testing::Not(::testing::HasSubstr(guess)));
  EXPECT_THAT(keyed, ::testing::Not(::testing::HasSubstr(prompt)));
  EXPECT_THAT(keyed, ::testing::Not(::testing::HasSubstr(std::string(32, 's'))));
  EXPECT_THAT(keyed, ::testing::HasSubstr("\"mac\":\""));
  EXPECT_THAT(keyed, ::testing::HasSubstr(":lease"));
  EXPECT_THAT(keyed, ::testing::HasSubstr("\"source\":\"near\""));
}

TEST_F(Secret, AnEntryUnderAnotherKeyIsAMiss) {
  const auto cache = open();
  const CachedLlm llm(cache, saying("fresh"), options());
  const auto wire = [&](const CachedLlm& by, const char* question) {
    return cache.prefix() + by.key_of(question).value().path();
  };
  ASSERT_TRUE(ok(llm.ask("a").get()));
  ASSERT_TRUE(ok(cache.flush(patience).get()));

  // Copied, moved, and copied to another tenant, who shares the secret.
  ASSERT_EQ(server_.command({"COPY", wire(llm, "a"), wire(llm, "b")}).integer, 1);
  auto tenants = options();
  tenants.advanced.key.tenant = "acme";
  const CachedLlm tenant(cache, saying("theirs"), tenants);
  ASSERT_EQ(server_.command({"COPY", wire(llm, "a"), wire(tenant, "a")}).integer, 1);
  server_.command({"RENAME", wire(llm, "a"), wire(llm, "c")});
  for (const auto* question : {"b", "c"}) {
    const auto answer = llm.ask(question).get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->cache_status, CacheStatus::miss) << question;
  }
  EXPECT_EQ(llm.stats().bad_mac, 2U);
  EXPECT_EQ(tenant.ask("a").get()->response, "theirs");
  EXPECT_EQ(tenant.stats().bad_mac, 1U);
}

TEST_F(Secret, AnEntryThatSomebodyElseMadeIsAMiss) {
  const auto cache = open();
  const CachedLlm llm(cache, saying("fresh"), options());
  const auto wire_key = cache.prefix() + llm.key_of("a").value().path();
  ASSERT_TRUE(ok(llm.ask("a").get()));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto genuine = server_.command({"GET", wire_key}).text;

  auto edited = genuine;
  edited.replace(edited.find("fresh"), 5, "false");
  const CachedLlm other(cache, saying("forged"), options(std::string(32, 't')));
  ASSERT_TRUE(ok(other.ask("a").get()));
  const CachedLlm none(cache, saying("forged"), options(std::nullopt));
  ASSERT_TRUE(ok(none.ask("a").get()));
  ASSERT_TRUE(ok(cache.flush(patience).get()));
  const auto of = [&](const CachedLlm& by) {
    return server_.command({"GET", cache.prefix() + by.key_of("a").value().path()}).text;
  };
  std::uint64_t forgeries = 0;
  for (const auto& forged : {edited, of(other), of(none)}) {
    server_.command({"SET", wire_key, forged});
    const auto answer = llm.ask("a").get();
    ASSERT_TRUE(ok(answer));
    EXPECT_EQ(answer->cache_status, CacheStatus::miss) << forged;
    EXPECT_EQ(answer->response, "fresh");
    EXPECT_EQ(llm.stats().bad_mac, ++forgeries);
    ASSERT_TRUE(ok(cache.flush(patience).get()));
  }
  server_.command({"SET", wire_key, genuine});
  EXPECT_TRUE(llm.ask("a").get()->cached);
}

}  // namespace
