// A real sentinel for a test, which looks after one primary under the name "main".
#pragma once

#include <chrono>
#include <cstdint>
#include <string>

#include "support/valkey/child_process.hpp"
#include "support/valkey/loopback_port.hpp"
#include "support/valkey/valkey_server.hpp"

namespace valkeycache::test {

// Like ValkeyServer, construct it on a thread that outlives it. Not thread-safe.
class Sentinel {
 public:
  // A primary with a certificate is looked after by TLS, and so are this one's callers.
  explicit Sentinel(const ValkeyServer& primary, bool tls = false);
  // When the test has failed by then, what it logged is shown.
  ~Sentinel();
  Sentinel(const Sentinel&) = delete;
  Sentinel& operator=(const Sentinel&) = delete;

  // As in valkey+sentinel://<address>/main.
  [[nodiscard]] std::string address() const;
  // Waits until it has heard of a replica. From now on it looks ten times a second, instead of
  // every few seconds, and takes for fallen who is silent for so long. Not before: a busy machine
  // is not to be taken for a fall.
  void watch_closely(std::chrono::milliseconds until_fallen) const;
  // Whom it names.
  [[nodiscard]] std::uint16_t primary_port() const;
  // May be refused until the replica has been seen, and while one is under way.
  void ask_for_failover() const;

 private:
  RespReply ask(const std::vector<std::string>& arguments) const;

  TemporaryFolder folder_;
  LoopbackPort port_ = LoopbackPort::reserve();
  LoopbackPort tls_port_ = LoopbackPort::reserve();
  bool tls_;
  ChildProcess process_;
};

}  // namespace valkeycache::test
