#include "support/valkey/valkey_server.hpp"

#include <csignal>
#include <cstdlib>
#include <fstream>
#include <iostream>
#include <mutex>
#include <stdexcept>

#include <unistd.h>

#include <gtest/gtest.h>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

bool is_program(const std::string& path) {
  return access(path.c_str(), X_OK) == 0;
}

std::string on_path(const std::string& name) {
  const char* path = std::getenv("PATH");
  std::string rest = path ? path : "/usr/bin:/bin";
  while (!rest.empty()) {
    const auto colon = rest.find(':');
    const std::string candidate = rest.substr(0, colon) + "/" + name;
    if (is_program(candidate)) return candidate;
    if (colon == std::string::npos) break;
    rest.erase(0, colon + 1);
  }
  return {};
}

std::string replaced(std::string text, const std::string& what, const std::string& by) {
  for (auto at = text.find(what); at != std::string::npos; at = text.find(what, at + by.size())) {
    text.replace(at, what.size(), by);
  }
  return text;
}

char process_state(pid_t pid) {
  const std::string stat = read_text("/proc/" + std::to_string(pid) + "/stat");
  const auto name_end = stat.rfind(')');
  return name_end == std::string::npos || name_end + 2 >= stat.size() ? '?' : stat[name_end + 2];
}

}  // namespace

std::string valkey_server_program() {
  if (const char* named = std::getenv("VALKEYCACHE_SERVER"); named && *named) return named;
#ifdef VALKEYCACHE_TEST_SERVER
  if (const std::string built_with = VALKEYCACHE_TEST_SERVER; is_program(built_with)) {
    return built_with;
  }
#endif
  for (const char* name : {"valkey-server", "redis-server"}) {
    if (auto path = on_path(name); !path.empty()) return path;
  }
  throw std::runtime_error(
      "this test needs a valkey-server and there is none: run scripts/setup, or name one in "
      "VALKEYCACHE_SERVER");
}

std::uint16_t ValkeyServer::free_port() {
  static std::mutex mutex;
  static std::vector<LoopbackPort> kept;
  const std::lock_guard lock(mutex);
  return kept.emplace_back(LoopbackPort::reserve()).number();
}

ValkeyServer::ValkeyServer(ValkeyServerOptions options) : options_(std::move(options)) {
  if (options_.tls || options_.tls_clients_need_certificates) {
    options_.tls = true;
    if (!options_.authority) options_.authority = std::make_shared<const Authority>();
    std::ofstream(ca_file()) << authority().certificate();
    write_certificate(authority().issue(options_.certificate));
  }
  for (int attempt = 0; attempt < 20; ++attempt) {
    port_ = LoopbackPort::reserve();
    if (options_.tls) tls_port_ = LoopbackPort::reserve();
    if (try_start()) return;
    if (log().find("Address already in use") == std::string::npos) break;
  }
  throw std::runtime_error("valkey-server does not start:\n" + log());
}

ValkeyServer::~ValkeyServer() {
  if (testing::Test::HasFailure()) {
    std::cerr << "--- log of the server on port " << port() << "\n" << log() << "---\n";
  }
  if (process_) process_->stop();
}

bool ValkeyServer::try_start() {
  const std::string config_file = folder() + "/valkey.conf";
  {
    std::ofstream config(config_file, std::ios::trunc);
    config << "port " << port() << "\n"
           << "bind 127.0.0.1" << (options_.ipv6 ? " -::1" : "") << "\n"
           << "dir " << folder() << "\n"
           << "daemonize no\n"
           << "save \"\"\n"
           << "appendonly no\n"
           << "databases 16\n";
    if (!options_.password.empty()) config << "requirepass \"" << options_.password << "\"\n";
    if (options_.unix_socket) config << "unixsocket " << unix_path() << "\nunixsocketperm 700\n";
    if (options_.tls) config << tls_config();
    for (const auto& line : options_.config) config << replaced(line, "{folder}", folder()) << "\n";
  }
  process_ = std::make_unique<ChildProcess>(
      std::vector<std::string>{valkey_server_program(), config_file}, folder() + "/log");
  return wait_until([this] { return answers() || !process_->running(); }) && process_->running();
}

std::string ValkeyServer::tls_config() {
  return "tls-port " + std::to_string(tls_port()) + "\ntls-ca-cert-file " + ca_file() +
         "\ntls-cert-file " + folder() + "/cert.pem\ntls-key-file " + folder() +
         "/key.pem\ntls-auth-clients " + (options_.tls_clients_need_certificates ? "yes" : "no") +
         "\n";
}

void ValkeyServer::write_certificate(const Certificate& certificate) const {
  std::ofstream(folder() + "/cert.pem", std::ios::trunc) << certificate.certificate;
  std::ofstream(folder() + "/key.pem", std::ios::trunc) << certificate.key;
}

void ValkeyServer::show(const Certificate& certificate) {
  write_certificate(certificate);
  command({"CONFIG", "SET", "tls-cert-file", folder() + "/cert.pem", "tls-key-file",
           folder() + "/key.pem"});
}

// It is this server that answers, and not another one which took the port before it.
bool ValkeyServer::answers() const {
  try {
    auto observer = connect();
    const auto info = observer.command({"INFO", "server"});
    return info.text.find("process_id:" + std::to_string(pid()) + "\r\n") != std::string::npos;
  } catch (const std::runtime_error&) {
    return false;
  }
}

std::string ValkeyServer::uri() const {
  const std::string login = options_.password.empty() ? "" : ":" + options_.password + "@";
  return "valkey://" + login + "127.0.0.1:" + std::to_string(port());
}
std::string ValkeyServer::tls_uri() const {
  const std::string login = options_.password.empty() ? "" : ":" + options_.password + "@";
  return "valkeys://" + login + "localhost:" + std::to_string(tls_port());
}
std::string ValkeyServer::unix_path() const {
  return folder() + "/socket";
}
std::string ValkeyServer::unix_uri() const {
  return "unix://" + unix_path();
}
pid_t ValkeyServer::pid() const {
  return process_->pid();
}
std::string ValkeyServer::log() const {
  return read_text(folder() + "/log");
}

RespClient ValkeyServer::connect() const {
  auto observer = RespClient::tcp(port());
  if (!options_.password.empty()) {
    const auto reply = observer.command({"AUTH", options_.password});
    if (reply.is_error()) throw std::runtime_error("observer: AUTH: " + reply.text);
  }
  return observer;
}

RespReply ValkeyServer::command(const std::vector<std::string>& arguments) const {
  auto reply = connect().command(arguments);
  if (reply.is_error()) {
    throw std::runtime_error("observer: " + arguments.at(0) + ": " + reply.text);
  }
  return reply;
}

void ValkeyServer::stop() {
  process_->stop();
}

void ValkeyServer::kill() {
  process_->signal(SIGKILL);
  process_->wait(patience);
}

void ValkeyServer::start() {
  // Somebody may hold the port for a moment: another test that looks for a free one.
  if (!wait_until([this] { return try_start(); })) {
    throw std::runtime_error("valkey-server does not start again:\n" + log());
  }
}

void ValkeyServer::restart() {
  stop();
  start();
}

void ValkeyServer::pause() {
  process_->signal(SIGSTOP);
  if (!wait_until([this] { return process_state(pid()) == 'T'; })) {
    throw std::runtime_error("valkey-server does not stop");
  }
}

void ValkeyServer::resume() {
  process_->signal(SIGCONT);
}

}  // namespace valkeycache::test
