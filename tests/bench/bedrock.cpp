// Asking Bedrock, beside bare libcurl that posts the same bytes; many calls at once; and what a
// call under way holds. The server is a process of its own (bedrock_server_main.cpp).
#include <valkeycache/bedrock_client.hpp>

#include <algorithm>
#include <ctime>
#include <fstream>
#include <stdexcept>
#include <string>
#include <vector>

#include <unistd.h>

#include <curl/curl.h>

#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/one_processor.hpp"
#include "bench/stage.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::bench {
namespace {

using namespace std::chrono_literals;

constexpr std::size_t many = 500;
constexpr auto model_time = 200ms;

class Server {
 public:
  Server() : process_({VALKEYCACHE_BENCH_BEDROCK}, folder_.path() + "/port") {
    if (!test::wait_until([this] { return read().find('\n') != std::string::npos; })) {
      throw std::runtime_error("the Bedrock of the benchmarks did not start");
    }
    const auto port = read();
    url_ = "http://127.0.0.1:" + port.substr(0, port.find('\n'));
  }
  [[nodiscard]] const std::string& url() const { return url_; }

 private:
  [[nodiscard]] std::string read() const { return test::read_text(folder_.path() + "/port"); }

  test::TemporaryFolder folder_;
  test::ChildProcess process_;
  std::string url_;
};

BedrockClient connect(const Server& server, const std::string& model) {
  return BedrockClient::create({.model = model,
                                .region = "us-west-2",
                                .endpoint = server.url(),
                                .credentials = AwsCredentials{"AKIDEXAMPLE", "EXAMPLEKEY"},
                                .max_concurrent = many})
      .value();
}

ChatRequest question() {
  return ChatRequest(text(1000)).temperature(0.7);
}

std::size_t append(char* data, std::size_t size, std::size_t count, void* user) {
  static_cast<std::string*>(user)->append(data, size * count);
  return size * count;
}

// What a program without the library would do at the least.
class BareCurl {
 public:
  BareCurl(const Server& server, const std::string& model, std::string body)
      : body_(std::move(body)), easy_(curl_easy_init()) {
    for (const auto* line :
         {"Content-Type: application/json", "Accept:", "Expect:", "X-Amz-Date: 20261123T120000Z",
          "Authorization: AWS4-HMAC-SHA256 "
          "Credential=AKIDEXAMPLE/20261123/us-west-2/bedrock/aws4_request, "
          "SignedHeaders=content-type;host;x-amz-date, "
          "Signature=0123456789abcdef0123456789abcdef0123456789abcdef0123456789abcdef"}) {
      headers_ = curl_slist_append(headers_, line);
    }
    curl_easy_setopt(easy_, CURLOPT_URL, (server.url() + "/model/" + model + "/converse").c_str());
    curl_easy_setopt(easy_, CURLOPT_HTTPHEADER, headers_);
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDSIZE_LARGE, static_cast<curl_off_t>(body_.size()));
    curl_easy_setopt(easy_, CURLOPT_POSTFIELDS, body_.data());
    curl_easy_setopt(easy_, CURLOPT_NOSIGNAL, 1L);
    curl_easy_setopt(easy_, CURLOPT_NOPROXY, "*");
    curl_easy_setopt(easy_, CURLOPT_WRITEFUNCTION, append);
    curl_easy_setopt(easy_, CURLOPT_WRITEDATA, &answer_);
  }
  ~BareCurl() {
    curl_easy_cleanup(easy_);
    curl_slist_free_all(headers_);
  }
  BareCurl(const BareCurl&) = delete;
  BareCurl& operator=(const BareCurl&) = delete;

  void post() {
    answer_.clear();
    if (curl_easy_perform(easy_) != CURLE_OK || answer_.empty()) {
      throw std::runtime_error("bare libcurl got no answer");
    }
  }

 private:
  std::string body_;
  std::string answer_;
  CURL* easy_;
  curl_slist* headers_ = nullptr;
};

void require(const Result<Completion>& answer) {
  if (!answer) throw std::runtime_error("BedrockClient: " + answer.error().message);
}

std::vector<Future<Completion>> ask(BedrockClient& bedrock, const ChatRequest& request,
                                    std::size_t count) {
  std::vector<Future<Completion>> futures;
  futures.reserve(count);
  for (std::size_t i = 0; i < count; ++i) futures.push_back(bedrock.complete(request));
  return futures;
}

void require_all(std::vector<Future<Completion>>& futures) {
  for (auto& future : futures) require(future.get());
}

// Bytes of memory that the process really has.
double resident() {
  std::ifstream file("/proc/self/statm");
  double pages = 0;
  file >> pages >> pages;
  return pages * static_cast<double>(sysconf(_SC_PAGESIZE));
}

Row memory_of_a_call(const Stage& stage, const Server& server) {
  const std::size_t count = stage.options().smoke ? 50 : many;
  const auto model = stage.options().smoke ? "delay-200" : "delay-1500";
  auto bedrock = connect(server, model);
  const auto request = question();
  auto one = ask(bedrock, request, 1);
  require_all(one);  // what the first call alone takes is no matter of the others
  const auto before = resident();
  auto futures = ask(bedrock, request, count);
  std::this_thread::sleep_for(stage.options().smoke ? 100ms : 1000ms);
  const auto during = resident();
  require_all(futures);
  return {.name = "bedrock.memory",
          .value = (during - before) / static_cast<double>(count),
          .unit = "bytes"};
}

// `where`: behind the names of the rows.
std::vector<Row> cost_of_a_call(const Stage& stage, const Server& server,
                                const std::string& where) {
  const auto request = question();
  BareCurl bare(server, "delay-0", request.to_json());
  auto bedrock = connect(server, "delay-0");
  const auto tallies =
      take_turns(stage.options(), {{"libcurl",
                                    [&](Clock::time_point until, Tally& tally) {
                                      while (Clock::now() < until) {
                                        bare.post();
                                        ++tally.operations;
                                      }
                                    }},
                                   {"BedrockClient", [&](Clock::time_point until, Tally& tally) {
                                      while (Clock::now() < until) {
                                        require(bedrock.complete(request).get());
                                        ++tally.operations;
                                      }
                                    }}});
  const auto cpu = cpu_costs(tallies);
  const auto clock = costs(tallies);
  return {{.name = "bedrock.cpu_beyond_libcurl" + where,
           .value = (cpu.of(1) - cpu.of(0)) / 1e3,
           .unit = "us",
           .must = where.empty() ? "value <= 40" : ""},
          cpu.row("bedrock.cpu" + where, "ns", 1, 0),
          clock.row("bedrock.call" + where, "ns", 1, 0)};
}

Row calls_at_once(const Stage& stage, const Server& server) {
  const std::size_t count = stage.options().smoke ? 50 : many;
  auto bedrock = connect(server, "delay-" + std::to_string(model_time.count()));
  const auto request = question();
  std::vector<double> times;
  for (int round = 0; round <= (stage.options().smoke ? 1 : stage.options().rounds); ++round) {
    const auto began = Clock::now();
    auto futures = ask(bedrock, request, count);
    require_all(futures);
    const auto took = std::chrono::duration<double, std::milli>(Clock::now() - began).count();
    if (round > 0) times.push_back(took);  // the first one opens the connections
  }
  const double baseline = static_cast<double>(model_time.count());
  const double value = median(std::move(times));
  return {.name = "bedrock.500_at_once",
          .value = value,
          .unit = "ms",
          .baseline = baseline,
          .ratio = value / baseline,
          .must = "ratio <= 1.15"};
}

}  // namespace

std::vector<Row> bedrock(Stage& stage) {
  curl_global_init(CURL_GLOBAL_DEFAULT);
  const Server server;
  std::vector<Row> rows{memory_of_a_call(stage, server)};
  for (auto& row : cost_of_a_call(stage, server, "")) rows.push_back(std::move(row));
  {
    const OneProcessor together;
    for (auto& row : cost_of_a_call(stage, server, ".one_processor"))
      rows.push_back(std::move(row));
  }
  rows.push_back(calls_at_once(stage, server));
  return rows;
}

}  // namespace valkeycache::bench
