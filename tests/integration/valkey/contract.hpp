// The contract of ValkeyCache holds alike over TCP, TLS, a Unix socket, RESP2, in a cluster and in
// memory: tests of class CacheContract run against each.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "support/valkey/expect.hpp"
#include "support/valkey/valkey_cluster.hpp"
#include "support/valkey/valkey_server.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

enum class Transport { tcp, tls, unix_socket, resp2, cluster, memory };

// Servers that all tests of a program share; started when they are first asked for.
ValkeyServer& shared_server();
// One that knows no HELLO and no CLIENT, as servers of old.
ValkeyServer& shared_resp2_server();
// Three primaries.
ValkeyCluster& shared_cluster();

// A prefix (or a name) that no other test uses.
std::string unique_prefix();

// Options with which nothing times out, with a prefix of the test's own.
ValkeyCacheOptions patient_options();

CacheKey key_of(const std::string& text, std::vector<std::string> namespaces = {"test"});
// Keys "<stem>0", "<stem>1", ...
std::vector<CacheKey> many_keys(std::size_t count, const std::string& stem = "key");

// What is really there, as an observer without the library sees it. Throws for what is no string.
std::optional<std::string> stored(const ValkeyServer& server, const std::string& wire_key);

class CacheContract : public testing::TestWithParam<Transport> {
 protected:
  // Another handle on the same place, with the same prefix unless told otherwise.
  [[nodiscard]] ValkeyCache open(ValkeyCacheOptions options = patient_options()) const;

  ValkeyCache cache = open();
};

inline const char* to_string(Transport transport) {
  switch (transport) {
    case Transport::tcp:
      return "tcp";
    case Transport::tls:
      return "tls";
    case Transport::unix_socket:
      return "unix_socket";
    case Transport::resp2:
      return "resp2";
    case Transport::cluster:
      return "cluster";
    default:
      return "memory";
  }
}
inline void PrintTo(Transport transport, std::ostream* out) {
  *out << to_string(transport);
}

inline constexpr auto transport_name = [](const testing::TestParamInfo<Transport>& info) {
  return to_string(info.param);
};

#define VALKEYCACHE_EVERY_TRANSPORT(suite)                                                      \
  INSTANTIATE_TEST_SUITE_P(                                                                     \
      Over, suite,                                                                              \
      testing::Values(Transport::tcp, Transport::tls, Transport::unix_socket, Transport::resp2, \
                      Transport::cluster, Transport::memory),                                   \
      transport_name)
#define VALKEYCACHE_EVERY_SERVER(suite)                                                            \
  INSTANTIATE_TEST_SUITE_P(Over, suite,                                                            \
                           testing::Values(Transport::tcp, Transport::tls, Transport::unix_socket, \
                                           Transport::resp2, Transport::cluster),                  \
                           transport_name)

}  // namespace valkeycache::test
