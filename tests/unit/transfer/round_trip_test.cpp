// What was exported is imported as it was, by any byte, and nothing else is.
#include <chrono>
#include <memory>
#include <set>
#include <stdexcept>

#include "transfer_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using namespace test;

class RoundTrip : public Transfer {
 protected:
  // Time that passes when the test says so.
  std::shared_ptr<std::atomic<std::chrono::steady_clock::rep>> passed_ =
      std::make_shared<std::atomic<std::chrono::steady_clock::rep>>(0);
  ValkeyCacheOptions with_clock() {
    ValkeyCacheOptions options;
    options.clock = [passed = passed_] {
      return std::chrono::steady_clock::time_point(std::chrono::steady_clock::duration(*passed));
    };
    return options;
  }
};

TEST_F(RoundTrip, EveryByteOfKeyAndValue) {
  std::string all;
  for (int c = 0; c < 256; ++c) all += static_cast<char>(c);
  auto in_a_key = all;
  std::erase(in_a_key, '/');
  const std::vector<std::pair<CacheKey, std::string>> entries = {
      {key_of("json"), R"({"response":"A \"cache\".","n":1.50,"n":2})"},
      {key_of("text"), "caf\xC3\xA9\nand so on"},
      {key_of("empty"), ""},
      {key_of("bytes"), all},
      {key_of(in_a_key, {in_a_key, "b"}), "odd"},
      {key_of("alone", {}), "without a namespace"},
  };
  const auto from = empty_cache();
  for (const auto& [key, value] : entries) ASSERT_TRUE(ok(from.set(key, value).get()));
  const auto exported = export_entries(from, file(), {.secret = secret});
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries, entries.size());
  EXPECT_EQ(lines_of(file()).size(), entries.size() + 2);

  const auto to = empty_cache();
  const auto imported = import_entries(to, file(), {.secret = secret});
  ASSERT_TRUE(ok(imported));
  EXPECT_EQ(imported->stored, entries.size());
  EXPECT_EQ(imported->bytes, exported->bytes);
  EXPECT_TRUE(imported->complete);
  EXPECT_FALSE(imported->stopped);
  EXPECT_TRUE(sums(*imported));
  for (const auto& [key, value] : entries) EXPECT_EQ(value_of(to, key), value);
}

TEST_F(RoundTrip, AnEmptyCache) {
  const auto exported = export_entries(empty_cache(), file());
  ASSERT_TRUE(ok(exported));
  EXPECT_EQ(exported->entries, 0U);
  const auto imported = import_entries(empty_cache(), file(), {.trust = true}).value();
  EXPECT_TRUE(imported.complete);
  EXPECT_EQ(imported.entries, 0U);
}

TEST_F(RoundTrip, ManyPages) {
  const auto from = empty_cache();
  fill(from, 3000);
  std::vector<std::uint64_t> told;
  ExportOptions options;
  options.progress = [&](const ExportReport& so_far) {
    told.push_back(so_far.entries);
  };
  EXPECT_EQ(export_entries(from, file(), options).value().entries, 3000U);
  EXPECT_GT(told.size(), 3U);
  EXPECT_TRUE(std::is_sorted(told.begin(), told.end()));
  EXPECT_EQ(told.back(), 3000U);

  const auto to = empty_cache();
  std::vector<std::uint64_t> heard;
  const auto imported = import_entries(to, file(),
                                       {.trust = true,
                                        .progress =
                                            [&](const ImportReport& so_far) {
                                              heard.push_back(so_far.entries);
                                            }})
                            .value();
  EXPECT_EQ(imported.stored, 3000U);
  EXPECT_TRUE(imported.complete);
  EXPECT_GT(heard.size(), 2U);
  EXPECT_EQ(heard.back(), 3000U);
  EXPECT_EQ(value_of(to, key_of("key2999")), "value2999");
}

TEST_F(RoundTrip, TtlsAreWhatWasLeft) {
  const auto from = empty_cache(with_clock());
  ASSERT_TRUE(ok(from.set(key_of("hour"), "v", 1h).get()));
  ASSERT_TRUE(ok(from.set(key_of("year"), "v", 24h * 365).get()));
  ASSERT_TRUE(ok(from.set(key_of("ever"), "v").get()));
  ASSERT_TRUE(ok(from.set(key_of("gone"), "v", 1min).get()));
  *passed_ += std::chrono::steady_clock::duration(20min).count();
  EXPECT_EQ(export_entries(from, file()).value().entries, 3U);

  const auto ttl = [](const ValkeyCache& cache, const char* name) {
    return cache.ttl(key_of(name)).get().value().value();
  };
  const auto capped = empty_cache(with_clock());
  ASSERT_TRUE(ok(import_entries(capped, file(), {.trust = true, .max_ttl = 2h})));
  EXPECT_EQ(ttl(capped, "hour").duration(), 40min);
  EXPECT_EQ(ttl(capped, "year").duration(), 2h);
  EXPECT_EQ(ttl(capped, "ever").duration(), 2h);

  const auto by_default = empty_cache(with_clock());
  ASSERT_TRUE(ok(import_entries(by_default, file(), {.trust = true})));
  EXPECT_EQ(ttl(by_default, "ever").duration(), 24h * 30);

  auto options = with_clock();
  options.ttl = 5min;  // of what is stored without a TTL of its own
  const auto unbounded = empty_cache(options);
  ASSERT_TRUE(ok(import_entries(unbounded, file(), {.trust = true, .max_ttl = Ttl::none()})));
  EXPECT_EQ(ttl(unbounded, "hour").duration(), 40min);
  EXPECT_EQ(ttl(unbounded, "year").duration(), 24h * 365 - 20min);
  EXPECT_TRUE(ttl(unbounded, "ever").is_none());
}

TEST_F(RoundTrip, LeasesStayWhereTheyAre) {
  const auto from = empty_cache();
  fill(from, 1);
  ASSERT_TRUE(ok(from.set(key_of("key0:lease"), "token").get()));
  const auto report = export_entries(from, file()).value();
  EXPECT_EQ(report.entries, 1U);
  EXPECT_EQ(report.leases, 1U);
}

TEST_F(RoundTrip, Namespaces) {
  const auto from = empty_cache();
  for (const auto& namespaces :
       std::vector<std::vector<std::string>>{{}, {"a"}, {"a", "b"}, {"ab"}}) {
    ASSERT_TRUE(ok(from.set(key_of("k", namespaces), "v").get()));
  }
  EXPECT_EQ(export_entries(from, file(), {.namespaces = {"a"}}).value().entries, 2U);
  ASSERT_EQ(export_entries(from, file()).value().entries, 4U);
  const auto to = empty_cache();
  const auto imported = import_entries(to, file(), {.trust = true, .namespaces = {"a"}}).value();
  EXPECT_EQ(imported.stored, 2U);
  EXPECT_EQ(count_of(imported, LineFault::outside), 2U);
  EXPECT_TRUE(imported.complete);
  EXPECT_TRUE(sums(imported));
  EXPECT_FALSE(value_of(to, key_of("k", {"ab"})));
  for (const auto& bad : std::vector<std::vector<std::string>>{{""}, {"a/b"}}) {
    EXPECT_TRUE(fails_with(export_entries(from, file("bad"), {.namespaces = bad}),
                           ErrorCode::invalid_argument));
    EXPECT_TRUE(fails_with(import_entries(to, file(), {.trust = true, .namespaces = bad}),
                           ErrorCode::invalid_argument));
  }
}

TEST_F(RoundTrip, LongLinesAreLeftOut) {
  const auto from = empty_cache();
  ASSERT_TRUE(ok(from.set(key_of("long"), std::string(1000, 'x')).get()));
  ASSERT_TRUE(ok(from.set(key_of("short"), "x").get()));
  const auto report = export_entries(from, file(), {.max_line_bytes = 500}).value();
  EXPECT_EQ(report.entries, 1U);
  EXPECT_EQ(report.too_large, 1U);
  EXPECT_TRUE(import_entries(empty_cache(), file(), {.trust = true}).value().complete);
}

TEST_F(RoundTrip, TwoExportsWithOneSecretAreNoOne) {
  const auto from = empty_cache();
  fill(from, 2);
  ASSERT_TRUE(ok(export_entries(from, file("a"), {.secret = secret})));
  ASSERT_TRUE(ok(export_entries(from, file("b"), {.secret = secret})));
  auto mixed = lines_of(file("a"));
  mixed[1] = lines_of(file("b"))[1];
  write_lines(file("mixed"), mixed);
  const auto report = import_entries(empty_cache(), file("mixed"), {.secret = secret}).value();
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(count_of(report, LineFault::forged), 1U);
  EXPECT_FALSE(report.complete);
}

TEST_F(RoundTrip, CancelledLeavesNoFile) {
  const auto from = empty_cache();
  fill(from, 2000);
  std::stop_source stop;
  ExportOptions options{.stop_token = stop.get_token()};
  options.progress = [&](const ExportReport&) {
    stop.request_stop();
  };
  EXPECT_TRUE(fails_with(export_entries(from, file(), options), ErrorCode::cancelled));
  EXPECT_TRUE(read_text(file()).empty());
  EXPECT_TRUE(fails_with(export_entries(from, file(), options), ErrorCode::cancelled));
}

TEST_F(RoundTrip, AProgressThatThrowsIsToldToTheLog) {
  std::atomic<int> told{0};
  ValkeyCacheOptions options;
  options.log = [&](const LogRecord&) {
    ++told;
  };
  const auto from = empty_cache(options);
  fill(from, 10);
  ExportOptions out;
  out.progress = [](const ExportReport&) {
    throw std::runtime_error("no");
  };
  EXPECT_EQ(export_entries(from, file(), out).value().entries, 10U);
  EXPECT_GT(told, 0);
  const auto before = told.load();
  ImportOptions in{.trust = true, .overwrite = true};
  in.progress = [](const ImportReport&) {
    throw std::runtime_error("no");
  };
  EXPECT_EQ(import_entries(from, file(), in).value().stored, 10U);
  EXPECT_GT(told, before);
}

TEST_F(RoundTrip, NotOnAThreadThatOthersWaitFor) {
  const auto cache = empty_cache();
  std::vector<Result<ExportReport>> exported;
  std::vector<Result<ImportReport>> imported;
  ASSERT_TRUE(ok(export_entries(cache, file())));
  // Attached in time it runs on the I/O thread; else on this one, where nothing is wrong.
  const auto me = std::this_thread::get_id();
  bool elsewhere = false;
  for (int i = 0; i < 10000 && !elsewhere; ++i) {
    auto done = cache.ping().then([&](Result<std::chrono::microseconds>) {
      if (std::this_thread::get_id() == me) return;
      elsewhere = true;
      exported.push_back(export_entries(cache, file("other")));
      imported.push_back(import_entries(cache, file(), {.trust = true}));
    });
    ASSERT_TRUE(ok(done.get()));
  }
  ASSERT_TRUE(elsewhere);
  EXPECT_TRUE(fails_with(exported[0], ErrorCode::would_deadlock));
  EXPECT_TRUE(fails_with(imported[0], ErrorCode::would_deadlock));
}

}  // namespace
}  // namespace valkeycache
