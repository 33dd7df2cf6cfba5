#include "contract.hpp"

#include <algorithm>
#include <cctype>
#include <memory>

#include <unistd.h>

namespace valkeycache::test {
namespace {

std::unique_ptr<ValkeyServer> the_server;
std::unique_ptr<ValkeyServer> the_resp2_server;
std::unique_ptr<ValkeyCluster> the_cluster;

class Servers : public testing::Environment {
 public:
  void TearDown() override {
    the_server.reset();
    the_resp2_server.reset();
    the_cluster.reset();
  }
};
[[maybe_unused]] const auto* const servers = testing::AddGlobalTestEnvironment(new Servers);

}  // namespace

ValkeyServer& shared_server() {
  if (!the_server) {
    the_server =
        std::make_unique<ValkeyServer>(ValkeyServerOptions{.unix_socket = true, .tls = true});
  }
  return *the_server;
}

ValkeyServer& shared_resp2_server() {
  if (!the_resp2_server) {
    the_resp2_server = std::make_unique<ValkeyServer>(
        ValkeyServerOptions{.config = {"rename-command HELLO \"\"", "rename-command CLIENT \"\""}});
  }
  return *the_resp2_server;
}

ValkeyCluster& shared_cluster() {
  if (!the_cluster) the_cluster = std::make_unique<ValkeyCluster>();
  return *the_cluster;
}

std::string unique_prefix() {
  const auto* info = testing::UnitTest::GetInstance()->current_test_info();
  std::string name = std::string(info->test_suite_name()) + "." + info->name();
  std::replace(name.begin(), name.end(), '/', '-');
  return name + ":";
}

ValkeyCacheOptions patient_options() {
  ValkeyCacheOptions options;
  options.prefix = unique_prefix();
  options.connect_timeout = patience;
  options.command_timeout = patience;
  return options;
}

CacheKey key_of(const std::string& text, std::vector<std::string> namespaces) {
  return CacheKey::raw(std::move(namespaces), text).value();
}

std::vector<CacheKey> many_keys(std::size_t count, const std::string& stem) {
  std::vector<CacheKey> keys;
  for (std::size_t i = 0; i < count; ++i) keys.push_back(key_of(stem + std::to_string(i)));
  return keys;
}

std::optional<std::string> stored(const ValkeyServer& server, const std::string& wire_key) {
  const auto reply = server.command({"GET", wire_key});
  if (reply.is_nil()) return std::nullopt;
  return reply.text;
}

ValkeyCache CacheContract::open(ValkeyCacheOptions options) const {
  switch (GetParam()) {
    case Transport::tcp:
      return ValkeyCache::open(shared_server().uri(), std::move(options)).value();
    case Transport::tls:
      options.tls.ca_file = shared_server().ca_file();
      return ValkeyCache::open(shared_server().tls_uri(), std::move(options)).value();
    case Transport::unix_socket:
      return ValkeyCache::open(shared_server().unix_uri(), std::move(options)).value();
    case Transport::resp2:
      return ValkeyCache::open(shared_resp2_server().uri(), std::move(options)).value();
    case Transport::cluster:
      return ValkeyCache::open(shared_cluster().uri(), std::move(options)).value();
    case Transport::memory:
      break;
  }
  // A store for each test.
  std::string name = unique_prefix();
  std::erase(name, ':');
  return ValkeyCache::open("memory://" + name, std::move(options)).value();
}

}  // namespace valkeycache::test
