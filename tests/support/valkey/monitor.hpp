// What a server was told, by its own MONITOR.
#pragma once

#include <condition_variable>
#include <cstdint>
#include <functional>
#include <mutex>
#include <string>
#include <thread>
#include <vector>

#include "support/valkey/resp_client.hpp"
#include "support/valkey/valkey_server.hpp"

namespace valkeycache::test {

struct MonitoredCommand {
  int database = 0;
  std::string client;  // "127.0.0.1:40312", "unix:/path", or "lua" for what a script called
  std::vector<std::string> arguments;
};

// Records from construction on, on a thread of its own. Thread-safe.
class Monitor {
 public:
  explicit Monitor(const ValkeyServer& server);
  ~Monitor();
  Monitor(const Monitor&) = delete;
  Monitor& operator=(const Monitor&) = delete;

  // All that the server had run when this was called, in its order, without what scripts called and
  // without the observers' own ECHO.
  std::vector<MonitoredCommand> commands();
  // The same as one line each, blanks between the arguments: for comparing and for messages.
  std::vector<std::string> lines();
  // Forgets what is recorded.
  void clear();

 private:
  void run();

  RespClient listener_;
  RespClient speaker_;
  std::mutex mutex_;
  std::condition_variable changed_;
  std::vector<MonitoredCommand> record_;
  std::string failure_;
  std::uint64_t markers_ = 0;
  std::string marker_prefix_;
  std::thread thread_;
};

// A line of MONITOR: 1700000000.123456 [0 127.0.0.1:1234] "GET" "key"
MonitoredCommand parse_monitor_line(const std::string& line);

}  // namespace valkeycache::test
