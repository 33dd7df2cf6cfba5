#include "bench/probe.hpp"

#include <algorithm>
#include <stdexcept>
#include <vector>

#include "support/valkey/child_process.hpp"

namespace valkeycache::bench {
namespace {

std::string output_of(std::vector<std::string> argv) {
  const test::TemporaryFolder folder;
  const std::string file = folder.path() + "/output";
  const std::string name = argv.back();
  test::ChildProcess child(std::move(argv), file);
  const auto status = child.wait(std::chrono::minutes(5));
  auto output = test::read_text(file);
  if (!status || *status != 0) throw std::runtime_error("probe: " + output);
  return output;
}

// What it works on: a port, and the process behind it where that matters.
struct Target {
  std::uint16_t port;
  pid_t process = 0;
};

std::vector<std::string> command(const Target& target, const std::string& operation,
                                 std::size_t count) {
  return {VALKEYCACHE_BENCH_PROBE, std::to_string(target.port), std::to_string(target.process),
          operation, std::to_string(count)};
}

double number(const Target& target, const std::string& operation, std::size_t count) {
  return std::stod(output_of(command(target, operation, count)));
}

#ifdef VALKEYCACHE_BENCH_VALGRIND
double instructions(const Target& target, const std::string& operation, std::size_t count) {
  std::vector<std::string> argv{VALKEYCACHE_BENCH_VALGRIND, "--tool=callgrind",
                                "--callgrind-out-file=/dev/null"};
  for (auto& word : command(target, operation, count)) argv.push_back(std::move(word));
  const auto output = output_of(std::move(argv));
  const std::string label = "Collected :";
  const auto at = output.rfind(label);
  if (at == std::string::npos) throw std::runtime_error("callgrind: " + output);
  return std::stod(output.substr(at + label.size()));
}
#endif

std::optional<double> growth([[maybe_unused]] const Target& target,
                             [[maybe_unused]] const std::string& operation,
                             [[maybe_unused]] std::size_t count) {
#ifdef VALKEYCACHE_BENCH_VALGRIND
  const auto once = instructions(target, operation, count);
  return (instructions(target, operation, 2 * count) - once) / static_cast<double>(count);
#else
  return std::nullopt;
#endif
}

}  // namespace

double probe(const test::ValkeyServer& server, const std::string& operation, std::size_t count) {
  return number({server.port(), server.pid()}, operation, count);
}

double probe_cluster(std::uint16_t port, const std::string& operation, std::size_t count) {
  return number({port}, operation, count);
}

std::optional<double> probe_instructions(const test::ValkeyServer& server,
                                         const std::string& operation, std::size_t count) {
  return growth({server.port(), server.pid()}, operation, count);
}

std::optional<double> probe_cluster_instructions(std::uint16_t port, const std::string& operation,
                                                 std::size_t count) {
  return growth({port}, operation, count);
}

}  // namespace valkeycache::bench
