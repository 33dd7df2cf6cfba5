// An HTTP proxy on a loopback port that connects, by CONNECT, to one other loopback port whatever
// it is asked for.
#pragma once

#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>
#include <vector>

namespace valkeycache::test {

// Runs from construction to destruction on a thread of its own. All members are thread-safe.
class ConnectProxy {
 public:
  // `refusal`: the status that it answers in place of connecting; 0: none.
  explicit ConnectProxy(std::uint16_t target_port, int refusal = 0);
  ~ConnectProxy();
  ConnectProxy(const ConnectProxy&) = delete;
  ConnectProxy& operator=(const ConnectProxy&) = delete;

  // "http://127.0.0.1:PORT".
  [[nodiscard]] std::string url() const;
  // The heads of the requests, "CONNECT host:port HTTP/1.1 ...".
  [[nodiscard]] std::vector<std::string> requests() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace valkeycache::test
