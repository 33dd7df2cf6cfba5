// The README's table: a line for each kind of work, a column for each library that was there.
#include <algorithm>
#include <cmath>
#include <iomanip>
#include <map>
#include <sstream>
#include <vector>

#include <nlohmann/json.hpp>

#include "bench/report.hpp"

namespace valkeycache::bench {
namespace {

struct Line {
  const char* row;
  const char* text;
  const char* unit;  // as it is printed
  double scale;      // from the row's unit
};

constexpr Line lines[] = {
    {"W1.p50", "one thread, one get at a time: median", "us", 1},
    {"W1.asleep.p50", "the same with `stay_awake` 0", "us", 1},
    {"cpu.W1", "processor time of one get at a time", "us", 1e-3},
    {"W2.rate", "8 threads, blocking gets, one shared client", "k/s", 1e-3},
    {"W2.asleep.rate", "the same with `stay_awake` 0", "k/s", 1e-3},
    {"cpu.W2", "processor time of such a get", "us", 1e-3},
    {"W3.get", "one thread, 1,024 gets in flight, `get()`", "k/s", 1e-3},
    {"W3.then", "the same, `then()`", "k/s", 1e-3},
    {"W3.co_await", "the same, `co_await`", "k/s", 1e-3},
    {"tls.get", "one thread, 1,024 gets in flight, TLS", "k gets/s", 1e-3},
    {"W4.keys", "batches of 100 keys", "k keys/s", 1e-3},
    {"latency.10%.p99", "p99 at 10 % of the maximum load", "us", 1},
    {"latency.50%.p99", "p99 at 50 %", "us", 1},
    {"latency.90%.p99", "p99 at 90 %", "us", 1},
    {"size.64KiB.many", "values of 64 KiB, 64 in flight", "k/s", 1e-3},
    {"near.4KiB.get",
     "near-cache hit, prompt of 4 KiB, key derivation included (beside SHA-256 of it)", "ns", 1},
    {"near.128B.get", "the same, prompt of 128 B", "ns", 1},
    {"tls.in_flight", "TLS, 1,024 gets in flight", "k/s", 1e-3},
    {"clear.rate", "clear a prefix of a million entries", "k keys/s", 1e-3},
    {"clear.others_p99", "p99 of another client meanwhile", "ms", 1},
    {"allocations.get", "allocations for a get", "", 1},
    {"memory.in_flight", "memory for a get in flight", "bytes", 1},
    {"memory.idle_client", "memory for an idle client", "KiB", 1.0 / 1024},
    {"ask.p50", "`ask()` on a hit: median (beside `get()`; ratio without the key)", "us", 1},
    {"flight.callbacks", "a flight of 1,000: from the answer to the last callback", "ms", 1},
    {"flight.threads", "the same, blocked threads", "ms", 1},
    {"warm.rate", "warm 500 entries a second (beside the limit)", "1/s", 1},
    {"sign.4KiB", "sign a request of 4 KiB (beside SHA-256 of it)", "ns", 1},
    {"bedrock.cpu", "a Bedrock call: processor time (beside libcurl alone)", "us", 1e-3},
    {"bedrock.cpu_beyond_libcurl", "the same, beyond libcurl alone", "us", 1},
    {"bedrock.cpu_beyond_libcurl.one_processor", "the same, all threads on one processor", "us", 1},
    {"bedrock.500_at_once", "500 Bedrock calls of 200 ms at once", "ms", 1},
    {"bedrock.memory", "memory for a Bedrock call under way", "KiB", 1.0 / 1024},
};

std::string number(const nlohmann::json& value, double scale, const std::string& unit) {
  if (!value.is_number()) return "";
  const double scaled = value.get<double>() * scale;
  std::ostringstream text;
  text << std::fixed << std::setprecision(scaled >= 100 ? 0 : scaled >= 10 ? 1 : 2) << scaled;
  if (!unit.empty()) text << ' ' << unit;
  return text.str();
}

std::string in_words(std::string must) {
  for (const auto& [sign, word] : {std::pair{"<=", "≤"}, std::pair{">=", "≥"}}) {
    if (const auto at = must.find(sign); at != std::string::npos) must.replace(at, 2, word);
  }
  if (must.starts_with("ratio ")) return must.substr(6) + " ×";
  return must.starts_with("value ") ? must.substr(6) : must;
}

}  // namespace

std::string to_markdown(const std::string& json) {
  std::map<std::string, nlohmann::json> rows;
  std::vector<std::string> peers;  // a peer's row is named like the library's, then "/" and itself
  for (auto& row : nlohmann::json::parse(json)) {
    const auto name = row.at("name").get<std::string>();
    if (const auto slash = name.find('/'); slash != std::string::npos) {
      const auto peer = name.substr(slash + 1);
      if (std::find(peers.begin(), peers.end(), peer) == peers.end()) peers.push_back(peer);
    }
    rows[name] = std::move(row);
  }

  std::ostringstream out;
  out << "| work | ValkeyCache | raw hiredis |";
  for (const auto& peer : peers) out << ' ' << peer << " |";
  out << " ratio to raw | must |\n| --- | --- | --- |";
  for (std::size_t i = 0; i < peers.size(); ++i) out << " --- |";
  out << " --- | --- |\n";
  for (const auto& line : lines) {
    const auto found = rows.find(line.row);
    if (found == rows.end()) continue;
    const auto& row = found->second;
    out << "| " << line.text << " | " << number(row.at("value"), line.scale, line.unit) << " | "
        << number(row.at("baseline"), line.scale, line.unit) << " |";
    for (const auto& peer : peers) {
      const auto of_peer = rows.find(std::string(line.row) + "/" + peer);
      out << ' '
          << (of_peer == rows.end() ? ""
                                    : number(of_peer->second.at("value"), line.scale, line.unit))
          << " |";
    }
    out << ' ' << number(row.at("ratio"), 1, "") << " | ";
    if (row.at("must").is_string()) {
      auto unit = row.at("must").get<std::string>().starts_with("value")
                      ? " " + row.at("unit").get<std::string>()
                      : std::string();
      out << in_words(row.at("must").get<std::string>()) << unit
          << (row.at("held") == true ? "" : ", **not held**");
    }
    out << " |\n";
  }
  return out.str();
}

}  // namespace valkeycache::bench
