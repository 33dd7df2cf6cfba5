// An import takes nothing on trust that it was not told to, and nothing without bounds.
#include <chrono>

#include "transfer_support.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono_literals;
using namespace test;

class Import : public Transfer {
 protected:
  // A file of so many entries of a cache of its own, and its lines.
  std::vector<std::string> exported(int entries, std::optional<std::string> with = secret) {
    const auto from = empty_cache();
    fill(from, entries);
    EXPECT_TRUE(ok(export_entries(from, file(), {.secret = std::move(with)})));
    return lines_of(file());
  }
  Result<ImportReport> import(const std::vector<std::string>& lines,
                              const ImportOptions& options = {.secret = secret}) {
    write_lines(file(), lines);
    auto report = import_entries(to, file(), options);
    EXPECT_TRUE(!report || sums(*report));
    return report;
  }
  static const std::string head;
  [[nodiscard]] std::uint64_t entries_there() const { return to.clear().get().value(); }

  const ValkeyCache to = empty_cache();
};
const std::string Import::head =
    R"({"valkeycache_export":1,"id":"00","prefix":"llm_cache:","created_ms":0})";

TEST_F(Import, NeedsASecretOrTrust) {
  exported(1);
  EXPECT_TRUE(fails_with(import_entries(to, file()), ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(import_entries(to, file(), {.secret = "short", .trust = true}),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(import_entries(to, file(), {.trust = true, .max_ttl = -1s}),
                         ErrorCode::invalid_argument));
  EXPECT_TRUE(fails_with(import_entries(to, file(), {.trust = true, .max_ttl = Ttl()}),
                         ErrorCode::invalid_argument));
  EXPECT_EQ(import_entries(to, file(), {.trust = true}).value().stored, 1U);
}

TEST_F(Import, AnotherSecretIsRefused) {
  exported(1);
  EXPECT_TRUE(fails_with(import_entries(to, file(), {.secret = std::string(32, 't')}),
                         ErrorCode::file_refused));
  // A secret goes before trust.
  EXPECT_TRUE(
      fails_with(import_entries(to, file(), {.secret = std::string(32, 't'), .trust = true}),
                 ErrorCode::file_refused));
  exported(1, std::nullopt);
  EXPECT_TRUE(fails_with(import_entries(to, file(), {.secret = secret}), ErrorCode::file_refused));
  EXPECT_EQ(entries_there(), 0U);
}

TEST_F(Import, WhatIsNoExportIsRefused) {
  EXPECT_TRUE(
      fails_with(import_entries(to, file("absent"), {.trust = true}), ErrorCode::file_failed));
  for (const auto& lines : std::vector<std::vector<std::string>>{
           {}, {""}, {"nonsense"}, {R"({"key":"k","text":"v"})"}, {R"({"entries":0})"}}) {
    EXPECT_TRUE(fails_with(import(lines, {.trust = true}), ErrorCode::file_refused));
  }
}

TEST_F(Import, AForgedLineIsRejectedByItsNumber) {
  auto lines = exported(3);
  const auto at = lines[2].find("value");
  ASSERT_NE(at, std::string::npos);
  lines[2].replace(at, 5, "VALUE");
  const auto report = import(lines).value();
  EXPECT_EQ(report.stored, 2U);
  EXPECT_EQ(report.rejected, 1U);
  ASSERT_EQ(report.rejected_lines.size(), 1U);
  EXPECT_EQ(report.rejected_lines[0].line, 3U);
  EXPECT_EQ(report.rejected_lines[0].fault, LineFault::forged);
  EXPECT_FALSE(report.complete);
}

TEST_F(Import, AMovedLineIsForged) {
  // Under another key …
  auto lines = exported(2);
  auto moved = lines[1];
  moved.replace(moved.find("ns/key"), 6, "ns/kex");
  lines.insert(lines.begin() + 2, moved);
  // … and without its MAC.
  auto bare = lines[1];
  bare.replace(bare.find(",\"mac\""), std::string::npos, "}");
  lines.insert(lines.begin() + 2, bare);
  const auto report = import(lines).value();
  EXPECT_EQ(report.stored, 2U);
  EXPECT_EQ(count_of(report, LineFault::forged), 2U);
}

TEST_F(Import, OnlyOfItsPrefix) {
  const auto lines = exported(2);
  ValkeyCacheOptions options;
  options.prefix = "other:";
  const auto other = empty_cache(options);
  EXPECT_TRUE(
      fails_with(import_entries(other, file(), {.secret = secret}), ErrorCode::file_refused));
  EXPECT_TRUE(fails_with(import_entries(other, file(), {.trust = true}), ErrorCode::file_refused));
  // The head alone does not make it so.
  auto renamed = lines;
  renamed[0].replace(renamed[0].find("llm_cache:"), 10, "other:");
  write_lines(file("renamed"), renamed);
  EXPECT_TRUE(fails_with(import_entries(other, file("renamed"), {.secret = secret}),
                         ErrorCode::file_refused));
  // Asked for it goes, under the cache's own prefix.
  const auto report =
      import_entries(other, file(), {.secret = secret, .from_prefix = "llm_cache:"}).value();
  EXPECT_EQ(report.stored, 2U);
  EXPECT_EQ(other.wire_key(key_of("key1")), "other:ns/key1");
  EXPECT_EQ(value_of(other, key_of("key1")), "value1");
}

TEST_F(Import, OnlyKeysThatAreKeys) {
  const auto report = import({head, R"({"key":"","text":"v"})", R"({"key":"a/","text":"v"})",
                              R"({"key":"/a","text":"v"})", R"({"key":"a//b","text":"v"})",
                              R"({"key":"a/b","text":"v"})", R"({"entries":5})"},
                             {.trust = true})
                          .value();
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(count_of(report, LineFault::bad_key), 4U);
  EXPECT_FALSE(report.complete);
}

TEST_F(Import, TheFirstOfTwoCounts) {
  const auto report = import({head, R"({"key":"a","text":"1"})", R"({"key":"a","text":"2"})",
                              R"({"key_base64":"YQ==","text":"3"})", R"({"entries":1})"},
                             {.trust = true})
                          .value();
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(count_of(report, LineFault::duplicate), 2U);
  EXPECT_EQ(report.rejected_lines[0].line, 3U);
  EXPECT_TRUE(report.complete);
  EXPECT_EQ(value_of(to, key_of("a", {})), "1");
}

TEST_F(Import, InvalidLinesAreCountedAndTheRestGoesOn) {
  const auto report = import({head, "nonsense", "", R"({"key":"a","text":"1"})", "{", head,
                              R"({"entries":1})", R"({"key":"b","text":"1"})", R"({"entries":1})"},
                             {.trust = true, .max_rejected = 2})
                          .value();
  EXPECT_EQ(report.stored, 1U) << "what comes behind the end is none of it";
  EXPECT_EQ(count_of(report, LineFault::malformed), 6U);
  EXPECT_EQ(report.rejected_lines.size(), 2U);
  EXPECT_TRUE(report.complete);
}

TEST_F(Import, AFileCutShortIsNotComplete) {
  const auto lines = exported(5);
  std::string text;
  for (const auto& line : lines) text += line + '\n';
  for (const std::size_t cut :
       {text.size() - 2, text.size() - 100, text.size() / 2, lines[0].size()}) {
    std::ofstream(file(), std::ios::binary | std::ios::trunc) << text.substr(0, cut);
    const auto cache = empty_cache();
    const auto report = import_entries(cache, file(), {.secret = secret}).value();
    EXPECT_FALSE(report.complete) << cut;
    EXPECT_TRUE(sums(report));
    EXPECT_LE(report.rejected, 1U);
  }
  // A line is missing in the middle.
  auto fewer = lines;
  fewer.erase(fewer.begin() + 2);
  const auto report = import(fewer).value();
  EXPECT_EQ(report.stored, 4U);
  EXPECT_EQ(report.rejected, 0U);
  EXPECT_FALSE(report.complete);
}

TEST_F(Import, Bounds) {
  const auto lines = exported(10);
  const auto few = import(lines, {.secret = secret, .max_entries = 3}).value();
  EXPECT_EQ(few.stopped, ErrorCode::too_large);
  EXPECT_EQ(few.stored, 3U);
  EXPECT_FALSE(few.complete);
  EXPECT_EQ(entries_there(), 3U);
  EXPECT_FALSE(import(lines, {.secret = secret, .max_entries = 10}).value().stopped);
  EXPECT_EQ(entries_there(), 10U);

  const auto short_of = import(lines, {.secret = secret, .max_bytes = 600}).value();
  EXPECT_EQ(short_of.stopped, ErrorCode::too_large);
  EXPECT_LT(short_of.stored, 10U);
  EXPECT_EQ(entries_there(), short_of.stored);

  auto with_long = lines;
  with_long.insert(with_long.begin() + 1,
                   R"({"key":"k","text":")" + std::string(2000, 'x') + "\"}");
  const auto skipped = import(with_long, {.secret = secret, .max_line_bytes = 1000}).value();
  EXPECT_EQ(skipped.stored, 10U);
  EXPECT_EQ(count_of(skipped, LineFault::too_large), 1U);
  EXPECT_EQ(skipped.rejected_lines[0].line, 2U);
  EXPECT_TRUE(skipped.complete) << "the export had not written it";
}

TEST_F(Import, WhatTheCacheDoesNotTakeIsRejected) {
  ValkeyCacheOptions options;
  options.max_value_bytes = 10;
  const auto small = empty_cache(options);
  write_lines(file(), {head, R"({"key":"a","text":"12345678901"})", R"({"key":"b","text":"1"})",
                       R"({"entries":2})"});
  const auto report = import_entries(small, file(), {.trust = true}).value();
  EXPECT_EQ(report.stored, 1U);
  EXPECT_EQ(count_of(report, LineFault::too_large), 1U);
  EXPECT_TRUE(sums(report));
}

TEST_F(Import, WhatIsThereStaysUnlessToldOtherwise) {
  const auto lines = exported(2);
  ASSERT_TRUE(ok(to.set(key_of("key0"), "mine").get()));
  const auto kept = import(lines).value();
  EXPECT_EQ(kept.stored, 1U);
  EXPECT_EQ(kept.present, 1U);
  EXPECT_EQ(value_of(to, key_of("key0")), "mine");
  EXPECT_EQ(import(lines, {.secret = secret, .overwrite = true}).value().stored, 2U);
  EXPECT_EQ(value_of(to, key_of("key0")), "value0");
}

TEST_F(Import, Cancelled) {
  const auto lines = exported(3000);
  std::stop_source stop;
  ImportOptions options{.secret = secret, .stop_token = stop.get_token()};
  options.progress = [&](const ImportReport&) {
    stop.request_stop();
  };
  const auto report = import(lines, options).value();
  EXPECT_EQ(report.stopped, ErrorCode::cancelled);
  EXPECT_LT(report.stored, 3000U);
  EXPECT_GT(report.stored, 0U);
  EXPECT_EQ(entries_there(), report.stored);
  EXPECT_EQ(import(lines, options).value().entries, 0U);
}

TEST(LineFaults, HaveNames) {
  EXPECT_STREQ(to_string(LineFault::forged), "forged");
  EXPECT_STREQ(to_string(LineFault::duplicate), "duplicate");
}

}  // namespace
}  // namespace valkeycache
