// Every example, as a program of its own, against a real Valkey and the simulated Bedrock.
#include <algorithm>
#include <csignal>
#include <cstdlib>
#include <fstream>
#include <map>
#include <regex>
#include <set>
#include <string>
#include <vector>

#include <sys/wait.h>

#include <gmock/gmock.h>
#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "support/bedrock/simulated_bedrock.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/monitor.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

using namespace valkeycache::test;

namespace {

using ::testing::AllOf;
using ::testing::ElementsAre;
using ::testing::EndsWith;
using ::testing::HasSubstr;
using ::testing::MatchesRegex;
using ::testing::Not;
using ::testing::StartsWith;

class Examples : public ::testing::Test {
 protected:
  // The program sees the server and the simulation by its environment, and nothing of whoever runs
  // the tests.
  std::vector<std::string> command(const std::string& name,
                                   const std::vector<std::string>& arguments = {},
                                   const std::string& input = {}) const {
    std::vector<std::string> argv = {"/usr/bin/env",
                                     "-i",
                                     "VALKEY_URI=" + uri_,
                                     "AWS_ENDPOINT_URL_BEDROCK_RUNTIME=" + bedrock_.url(),
                                     std::string("AWS_ACCESS_KEY_ID=") + simulated_access_key,
                                     std::string("AWS_SECRET_ACCESS_KEY=") + simulated_secret_key};
    for (const auto* kept : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
      if (const char* value = std::getenv(kept)) argv.push_back(std::string(kept) + "=" + value);
    }
    // The input as a file, since a child's own standard input is empty.
    if (!input.empty()) {
      argv.insert(argv.end(),
                  {"/bin/sh", "-c", "printf %s \"$1\" | { shift; \"$@\"; }", "sh", input});
    }
    argv.push_back(std::string(VALKEYCACHE_EXAMPLES) + "/" + name);
    argv.insert(argv.end(), arguments.begin(), arguments.end());
    return argv;
  }

  // Where the next run prints to.
  std::string output_file(const std::string& name) {
    return folder_.path() + "/" + name + std::to_string(++runs_);
  }

  // What the program printed.
  std::string run(const std::string& name, const std::vector<std::string>& arguments = {},
                  const std::string& input = {}) {
    const auto file = output_file(name);
    ChildProcess program(command(name, arguments, input), file);
    const auto status = program.wait(patience);
    const auto printed = read_text(file);
    EXPECT_EQ(status, 0) << name << " printed: " << printed;
    return printed;
  }

  ValkeyServer server_;
  std::string uri_ = server_.uri();
  SimulatedBedrock bedrock_;

 private:
  TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(Examples, QuickstartHitsTheSecondTime) {
  const auto first = run("quickstart");
  const auto second = run("quickstart");
  EXPECT_THAT(first, StartsWith("MISS "));
  EXPECT_THAT(second, StartsWith("HIT  "));
  EXPECT_EQ(first.substr(first.find('\n')), second.substr(second.find('\n'))) << "the same answer";
  EXPECT_EQ(bedrock_.calls(), 1U);
}

TEST_F(Examples, Guide) {
  bedrock_.set_delay(std::chrono::milliseconds(50));
  server_.command({"SET", "llm_cache2:x", "not ours"});
  Monitor monitor(server_);
  const auto printed = run("guide", {server_.uri(), bedrock_.url()});
  EXPECT_TRUE(std::regex_search(printed, std::regex("❌ Cache MISS: [0-9.]+ms\n"))) << printed;
  EXPECT_TRUE(std::regex_search(printed, std::regex("✅ Cache HIT:  [0-9.]+ms\n"))) << printed;
  EXPECT_TRUE(std::regex_search(printed, std::regex("🚀 Speedup:   [0-9]+x faster\n"))) << printed;
  EXPECT_THAT(printed,
              AllOf(HasSubstr("claude-sonnet|temp=0.7|What is Amazon ElastiCache for Valkey?\n"),
                    HasSubstr("llm_cache:llm_responses/7f6586356a4bc54a\n"),
                    HasSubstr("Same answer:  yes\n"), HasSubstr("Model calls:  1\n"),
                    HasSubstr("TTL by default: 3600 s\n"), HasSubstr("TTL of its own: 300 s\n"),
                    HasSubstr("Cleared:        2 entries\n"), Not(HasSubstr("expected"))));
  EXPECT_EQ(bedrock_.calls(), 1U);

  const std::string key = "llm_cache:llm_responses/7f6586356a4bc54a";
  const std::string news = "llm_cache:llm_responses/news-of-the-day";
  std::vector<std::string> seen;
  for (auto& command : monitor.commands()) {
    auto& words = command.arguments;
    if (words[0] == "SET") words[2] = "...";
    if (words[0] == "DEL") words.resize(1);
    std::string line;
    for (const auto& word : words) line += (line.empty() ? "" : " ") + word;
    // The handshake's.
    if (words[0] != "HELLO" && words[0] != "CLIENT") seen.push_back(line);
  }
  EXPECT_THAT(seen, ElementsAre("GET " + key, "SET " + key + " ... EX 3600", "GET " + key,
                                "PTTL " + key, "SET " + news + " ... EX 300", "PTTL " + news,
                                "SCAN 0 MATCH llm_cache:* COUNT 100", "DEL"));
  EXPECT_EQ(server_.command({"GET", "llm_cache2:x"}).text, "not ours");
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 1);
}

TEST_F(Examples, GuideSaysWhatIsWrong) {
  const auto file = server_.folder() + "/guide";
  ChildProcess program({std::string(VALKEYCACHE_EXAMPLES) + "/guide", "nonsense://localhost"},
                       file);
  const auto status = program.wait(patience);
  ASSERT_TRUE(status);
  EXPECT_TRUE(WIFEXITED(*status));
  EXPECT_EQ(WEXITSTATUS(*status), 1);
  EXPECT_THAT(read_text(file), StartsWith("guide: invalid_uri"));
}

TEST_F(Examples, StreamPrintsTheAnswer) {
  const auto printed = run("stream", {"What is a stream?"});
  EXPECT_THAT(printed,
              AllOf(StartsWith("Simulated answer of us.anthropic.claude-sonnet-4"),
                    HasSubstr("What is a stream?\n[end_turn, "), EndsWith(" tokens of output]\n")));
  EXPECT_EQ(bedrock_.calls(), 1U);
}

TEST_F(Examples, StreamPrintsAsItArrivesUntilItIsInterrupted) {
  const auto whole = run("stream", {"What is a stream?"});
  const auto answer = whole.substr(0, whole.rfind("\n["));
  bedrock_.add_fault(faults::stream_stalls_after(4));
  const auto file = output_file("stream");
  ChildProcess program(command("stream", {"What is a stream?"}), file);
  EXPECT_TRUE(wait_until([&] { return !read_text(file).empty(); })) << "while the service stalls";
  const auto pieces = read_text(file);
  EXPECT_LT(pieces.size(), answer.size());
  EXPECT_THAT(answer, StartsWith(pieces));
  EXPECT_TRUE(program.running());
  EXPECT_EQ(bedrock_.stats().in_flight, 1U);

  program.signal(SIGINT);
  const auto status = program.wait(patience);
  ASSERT_TRUE(status && WIFEXITED(*status)) << "ended by itself, not by the signal";
  EXPECT_EQ(WEXITSTATUS(*status), 1);
  const auto printed = read_text(file);
  EXPECT_THAT(printed, AllOf(StartsWith(pieces), HasSubstr("\n[cancelled: "), EndsWith("]\n")));
  EXPECT_THAT(answer, StartsWith(printed.substr(0, printed.rfind("\n["))));
  EXPECT_TRUE(wait_until([this] { return bedrock_.stats().aborted == 1; }));
}

TEST_F(Examples, AskSaysWhereAnAnswerCameFrom) {
  const auto printed = run("ask", {}, "hello\nhello\n \n");
  EXPECT_THAT(printed, HasSubstr("[miss, model, "));
  EXPECT_THAT(printed, HasSubstr("[hit, valkey, "));
  EXPECT_THAT(printed, HasSubstr("[failed, invalid_argument: "));
  EXPECT_EQ(bedrock_.calls(), 1U);
}

TEST_F(Examples, AskAnswersWithoutValkey) {
  server_.stop();
  const auto printed = run("ask", {}, "hello\n");
  EXPECT_THAT(printed, HasSubstr("[error, model, "));
  EXPECT_EQ(bedrock_.calls(), 1U);
}

TEST_F(Examples, Callbacks) {
  const auto printed = run("callbacks");
  EXPECT_THAT(printed, AllOf(HasSubstr("What is Valkey?\n  "), HasSubstr("What is a cache?\n  "),
                             HasSubstr("What is a TTL?\n  "), HasSubstr("' ' failed: ")));
  EXPECT_EQ(bedrock_.calls(), 3U);
}

TEST_F(Examples, Coroutines) {
  const auto printed = run("coroutines");
  EXPECT_EQ(std::count(printed.begin(), printed.end(), '\n'), 2);
  EXPECT_EQ(bedrock_.calls(), 4U);
  run("coroutines");
  EXPECT_EQ(bedrock_.calls(), 4U) << "all of it is in the cache";
}

TEST_F(Examples, ToolsAreAskedForAndAnswered) {
  const std::string call = "  get_weather {\"city\":\"Turku\"}\n";
  EXPECT_EQ(run("tools"), "MISS Let me ask get_weather.\n" + call +
                              "MISS The tool said: {\"celsius\":21,\"sky\":\"clear\"}.\n");
  EXPECT_EQ(bedrock_.calls(), 2U);
  EXPECT_EQ(run("tools"), "HIT  Let me ask get_weather.\n" + call +
                              "HIT  The tool said: {\"celsius\":21,\"sky\":\"clear\"}.\n");
  EXPECT_EQ(bedrock_.calls(), 2U);
}

TEST_F(Examples, ImageIsKnownByItsBytes) {
  const auto first = run("image");
  EXPECT_THAT(first, StartsWith("MISS I see an image (png, 69 bytes)."));
  EXPECT_THAT(run("image"), StartsWith("HIT  I see an image (png, 69 bytes)."));
  const auto file = server_.folder() + "/other.jpg";
  std::ofstream(file, std::ios::binary) << "another picture";
  EXPECT_THAT(run("image", {file}), StartsWith("MISS I see an image (jpeg, 15 bytes)."));
  EXPECT_EQ(bedrock_.calls(), 2U);
}

TEST_F(Examples, OwnModel) {
  EXPECT_EQ(run("own_model"), "MISS reward\nHIT  reward\n");
  EXPECT_EQ(bedrock_.calls(), 0U);
}

TEST_F(Examples, RecordedAnswers) {
  const auto file = server_.folder() + "/recorded.ndjson";
  EXPECT_EQ(run("recorded_answers", {"record", file}),
            "recorded  In short: Valkey …\nrecorded  In short: A cach …\n"
            "2 entries in the file\n");
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 2);
  server_.stop();
  EXPECT_EQ(run("recorded_answers", {"test", file}),
            "played    In short: Valkey …\nplayed    no summary: cache_miss\n");
}

TEST_F(Examples, MemoizeTool) {
  EXPECT_EQ(run("memoize_tool"),
            "(looking up the weather in Turku)\nsunny in Turku\n"
            "(looking up the weather in Aix/Marseille)\nsunny in Aix/Marseille\n"
            "sunny in Turku\n1 report forgotten\n");
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 0);
}

TEST_F(Examples, Cluster) {
  const ValkeyCluster cluster;
  uri_ = cluster.uri();
  EXPECT_EQ(run("cluster"),
            "sunny in Turku\nsunny in Marseille\nsunny in Seattle\nsunny in Nairobi\n"
            "4 forgotten\n");
  for (std::size_t i = 0; i < cluster.size(); ++i) {
    EXPECT_EQ(cluster.server(i).command({"DBSIZE"}).integer, 0);
  }
}

TEST_F(Examples, UnitTestYourApp) {
  const auto printed = run("unit_test_your_app");
  EXPECT_THAT(printed, Not(HasSubstr("FAILED")));
  EXPECT_THAT(printed, EndsWith("it greets without a model\n"));
  EXPECT_EQ(server_.command({"DBSIZE"}).integer, 0);
}

TEST_F(Examples, Spans) {
  const auto printed = run("spans");
  EXPECT_THAT(printed, Not(HasSubstr("ello")));
  const auto page = nlohmann::json::parse(printed);
  const auto& spans = page.at("resourceSpans").at(0).at("scopeSpans").at(0).at("spans");
  ASSERT_EQ(spans.size(), 3U);
  std::set<std::string> ids;
  std::vector<std::map<std::string, nlohmann::json>> attributes(spans.size());
  for (std::size_t i = 0; i < spans.size(); ++i) {
    const auto& span = spans[i];
    EXPECT_THAT(span.at("traceId").get<std::string>(), MatchesRegex("[0-9a-f]{32}"));
    EXPECT_THAT(span.at("spanId").get<std::string>(), MatchesRegex("[0-9a-f]{16}"));
    EXPECT_TRUE(ids.insert(span.at("spanId")).second);
    const auto start = std::stoll(span.at("startTimeUnixNano").get<std::string>());
    const auto end = std::stoll(span.at("endTimeUnixNano").get<std::string>());
    EXPECT_GT(start, 1'700'000'000'000'000'000);
    EXPECT_LE(start, end);
    for (const auto& one : span.at("attributes")) attributes[i][one.at("key")] = one.at("value");
  }
  EXPECT_EQ(attributes[0].at("valkeycache.source").at("stringValue"), "model");
  EXPECT_EQ(attributes[1].at("valkeycache.source").at("stringValue"), "valkey");
  EXPECT_EQ(attributes[2].at("error.type").at("stringValue"), "invalid_argument");
  EXPECT_EQ(spans[0].at("status").at("code"), 1);
  EXPECT_EQ(spans[2].at("status").at("code"), 2);
  // Both in the caller's trace, below the caller's span.
  for (std::size_t i = 0; i < 2; ++i) {
    EXPECT_EQ(spans[i].at("traceId"), "4bf92f35000000000000000000000000");
    EXPECT_EQ(spans[i].at("parentSpanId"), "00f0670000000000");
  }
  EXPECT_EQ(spans[2].at("parentSpanId"), "");
}

const std::string on_the_loop =
    "you said: question 1, on the loop\nyou said: question 2, on the loop\n"
    "you said: question 3, on the loop\n";

std::string sorted_lines(const std::string& text) {
  std::vector<std::string> lines;
  for (std::size_t from = 0; from < text.size();) {
    const auto to = text.find('\n', from);
    lines.push_back(text.substr(from, to - from + 1));
    from = to + 1;
  }
  std::sort(lines.begin(), lines.end());
  std::string joined;
  for (const auto& line : lines) joined += line;
  return joined;
}

#if defined(VALKEYCACHE_HAVE_ASIO_EXAMPLE)
TEST_F(Examples, AsioExecutor) {
  EXPECT_EQ(sorted_lines(run("asio_executor")), on_the_loop);
}
#endif

#if defined(VALKEYCACHE_HAVE_LIBUV_EXAMPLE)
TEST_F(Examples, LibuvExecutor) {
  EXPECT_EQ(sorted_lines(run("libuv_executor")), on_the_loop);
}
#endif

}  // namespace
