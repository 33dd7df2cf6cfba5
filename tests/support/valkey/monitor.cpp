#include "support/valkey/monitor.hpp"

#include <algorithm>
#include <stdexcept>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

int hex_digit(char c) {
  if (c >= '0' && c <= '9') return c - '0';
  if (c >= 'a' && c <= 'f') return c - 'a' + 10;
  return c - 'A' + 10;
}

// Undoes sdscatrepr(), as of the opening quote at `at`; leaves `at` behind the closing one.
std::string unquoted(const std::string& line, std::size_t& at) {
  std::string text;
  for (++at; at < line.size() && line[at] != '"'; ++at) {
    if (line[at] != '\\') {
      text += line[at];
      continue;
    }
    switch (const char c = line.at(++at); c) {
      case 'n':
        text += '\n';
        break;
      case 'r':
        text += '\r';
        break;
      case 't':
        text += '\t';
        break;
      case 'a':
        text += '\a';
        break;
      case 'b':
        text += '\b';
        break;
      case 'x':
        text += static_cast<char>(hex_digit(line.at(at + 1)) * 16 + hex_digit(line.at(at + 2)));
        at += 2;
        break;
      default:
        text += c;
    }
  }
  ++at;
  return text;
}

bool is_marker(const MonitoredCommand& command, const std::string& marker) {
  return command.arguments.size() == 2 && command.arguments[0] == "ECHO" &&
         command.arguments[1] == marker;
}

}  // namespace

MonitoredCommand parse_monitor_line(const std::string& line) {
  const auto open = line.find('[');
  const auto blank = line.find(' ', open);
  const auto close = line.find("] ", blank);
  if (open == std::string::npos || blank == std::string::npos || close == std::string::npos) {
    throw std::runtime_error("not a line of MONITOR: " + line);
  }
  MonitoredCommand command;
  command.database = std::stoi(line.substr(open + 1, blank - open - 1));
  command.client = line.substr(blank + 1, close - blank - 1);
  for (auto at = line.find('"', close); at < line.size(); at = line.find('"', at)) {
    command.arguments.push_back(unquoted(line, at));
  }
  return command;
}

Monitor::Monitor(const ValkeyServer& server)
    : listener_(server.connect()),
      speaker_(server.connect()),
      marker_prefix_("marker-" + std::to_string(reinterpret_cast<std::uintptr_t>(this)) + "-") {
  if (listener_.command({"MONITOR"}).is_error()) throw std::runtime_error("MONITOR is refused");
  thread_ = std::thread([this] { run(); });
}

Monitor::~Monitor() {
  listener_.shut_down();
  thread_.join();
}

void Monitor::run() {
  try {
    for (;;) {
      auto command = parse_monitor_line(listener_.read().text);
      const std::lock_guard lock(mutex_);
      record_.push_back(std::move(command));
      changed_.notify_all();
    }
  } catch (const std::exception& error) {
    const std::lock_guard lock(mutex_);
    failure_ = error.what();
    changed_.notify_all();
  }
}

std::vector<MonitoredCommand> Monitor::commands() {
  // The server shows commands in the order in which it runs them: once it shows this one, it has
  // shown all that came before.
  std::unique_lock lock(mutex_);
  const std::string marker = marker_prefix_ + std::to_string(++markers_);
  lock.unlock();
  speaker_.command({"ECHO", marker});
  lock.lock();
  const bool seen = changed_.wait_for(lock, patience, [&] {
    return !failure_.empty() || std::any_of(record_.begin(), record_.end(), [&](const auto& each) {
      return is_marker(each, marker);
    });
  });
  if (!seen || !failure_.empty()) throw std::runtime_error("MONITOR ended: " + failure_);
  std::vector<MonitoredCommand> seen_commands;
  for (const auto& command : record_) {
    if (is_marker(command, marker)) break;
    if (command.client != "lua" && command.arguments.at(0) != "ECHO") {
      seen_commands.push_back(command);
    }
  }
  return seen_commands;
}

std::vector<std::string> Monitor::lines() {
  std::vector<std::string> lines;
  for (const auto& command : commands()) {
    std::string line;
    for (const auto& argument : command.arguments) line += (line.empty() ? "" : " ") + argument;
    lines.push_back(std::move(line));
  }
  return lines;
}

void Monitor::clear() {
  commands();
  const std::lock_guard lock(mutex_);
  record_.clear();
}

}  // namespace valkeycache::test
