// A cluster's map of slots, as a scripted server tells it.
#pragma once

#include <cstdint>
#include <string>

#include "support/valkey/fake_server.hpp"

namespace valkeycache::test {

inline std::string slots_at(int first, int last, std::uint16_t port) {
  return array({":" + std::to_string(first) + "\r\n", ":" + std::to_string(last) + "\r\n",
                array({bulk("127.0.0.1"), ":" + std::to_string(port) + "\r\n"})});
}
// CLUSTER SLOTS: one node on loopback serves them all.
inline std::string map_to(std::uint16_t port) {
  return array({slots_at(0, 16383, port)});
}
// Likewise: two of them share the slots.
inline std::string map_to(std::uint16_t low, std::uint16_t high) {
  return array({slots_at(0, 8191, low), slots_at(8192, 16383, high)});
}

// A node that others may name in such a map. It serves every key, as `name` shows, though a scan
// finds none.
class NamedNode {
 public:
  explicit NamedNode(std::string name, std::function<std::string()> map)
      : server_(answering([name = std::move(name), map = std::move(map)](const Command& command) {
          if (command[0] == "CLUSTER") return map();
          if (command[0] == "SCAN") return array({bulk("0"), array({})});
          return command[0] == "GET" ? bulk(name) : std::string("+OK\r\n");
        })) {}
  [[nodiscard]] std::uint16_t port() const { return server_.port(); }
  [[nodiscard]] std::size_t asked_for(const std::string& command) const {
    std::size_t count = 0;
    for (const auto& one : server_.commands()) count += one[0] == command;
    return count;
  }

 private:
  FakeServer server_;
};

}  // namespace valkeycache::test
