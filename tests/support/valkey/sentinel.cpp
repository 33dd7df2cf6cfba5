#include "support/valkey/sentinel.hpp"

#include <fstream>
#include <iostream>
#include <stdexcept>

#include <gtest/gtest.h>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

std::string config_file(const std::string& folder, const ValkeyServer& primary, std::uint16_t port,
                        std::uint16_t tls_port, bool tls) {
  const auto file = folder + "/sentinel.conf";
  std::ofstream config(file);
  config << "port " << port << "\nbind 127.0.0.1\ndir " << folder << "\n";
  if (tls) {
    config << "tls-port " << tls_port
           << "\ntls-replication yes\ntls-auth-clients no\ntls-ca-cert-file " << primary.ca_file()
           << "\ntls-cert-file " << primary.folder() << "/cert.pem\ntls-key-file "
           << primary.folder() << "/key.pem\n";
  }
  config << "sentinel monitor main 127.0.0.1 " << (tls ? primary.tls_port() : primary.port())
         << " 1\nsentinel failover-timeout main 2000\n";
  return file;
}

}  // namespace

Sentinel::Sentinel(const ValkeyServer& primary, bool tls)
    : tls_(tls),
      process_({valkey_server_program(),
                config_file(folder_.path(), primary, port_.number(), tls_port_.number(), tls),
                "--sentinel"},
               folder_.path() + "/log") {
  const bool answers = wait_until([this] {
    if (!process_.running()) return true;  // see below
    try {
      // Not somebody else who has taken the port.
      const auto itself = "process_id:" + std::to_string(process_.pid()) + "\r\n";
      return ask({"INFO", "server"}).text.find(itself) != std::string::npos;
    } catch (const std::runtime_error&) {
      return false;
    }
  });
  if (!answers || !process_.running()) {
    throw std::runtime_error("the sentinel does not start:\n" + read_text(folder_.path() + "/log"));
  }
}

Sentinel::~Sentinel() {
  if (testing::Test::HasFailure()) {
    std::cerr << "--- log of the sentinel\n" << read_text(folder_.path() + "/log") << "---\n";
  }
}

std::string Sentinel::address() const {
  return "127.0.0.1:" + std::to_string(tls_ ? tls_port_.number() : port_.number());
}

void Sentinel::watch_closely(std::chrono::milliseconds until_fallen) const {
  if (!wait_until([&] { return !ask({"SENTINEL", "REPLICAS", "main"}).items.empty(); })) {
    throw std::runtime_error("the sentinel does not hear of the replica");
  }
  const auto have = [&](const std::vector<std::string>& setting) {
    const auto reply = ask(setting);
    if (reply.is_error()) throw std::runtime_error("the sentinel refuses it: " + reply.text);
  };
  // After a pause of its own, or a jump of the clock, it would look on for half a minute.
  have({"SENTINEL", "DEBUG", "INFO-PERIOD", "100", "PUBLISH-PERIOD", "100", "TILT-PERIOD", "100"});
  have(
      {"SENTINEL", "SET", "main", "down-after-milliseconds", std::to_string(until_fallen.count())});
}

std::uint16_t Sentinel::primary_port() const {
  const auto named = ask({"SENTINEL", "GET-MASTER-ADDR-BY-NAME", "main"});
  return static_cast<std::uint16_t>(std::stoi(named.items.at(1).text));
}

void Sentinel::ask_for_failover() const {
  ask({"SENTINEL", "FAILOVER", "main"});
}

RespReply Sentinel::ask(const std::vector<std::string>& arguments) const {
  return RespClient::tcp(port_.number()).command(arguments);
}

}  // namespace valkeycache::test
