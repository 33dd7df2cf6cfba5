// A real valkey-server for a test, on a free loopback port, with a folder of its own.
//
// The program is $VALKEYCACHE_SERVER, else the one that CMake found, else valkey-server or
// redis-server on the PATH. Without one the constructor throws: a test that needs a server fails
// where there is none, it is never skipped.
#pragma once

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include "support/tls/certificates.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/loopback_port.hpp"
#include "support/valkey/resp_client.hpp"

namespace valkeycache::test {

struct ValkeyServerOptions {
  // Further lines of valkey.conf, such as "maxmemory 1mb". "{folder}" stands for the server's own.
  std::vector<std::string> config = {};
  // Set: requirepass, and what the observers log in with.
  std::string password = {};
  // Listens on a Unix socket too.
  bool unix_socket = false;
  // Listens on ::1 too, where the machine has that.
  bool ipv6 = false;
  // Listens for TLS too, on a port of its own, with a certificate by authority() that names
  // localhost and 127.0.0.1.
  bool tls = false;
  // Whoever comes by TLS has to show a certificate by authority().
  bool tls_clients_need_certificates = false;
  // Who signs its certificate, which names these; null: an authority of its own.
  std::shared_ptr<const Authority> authority = {};
  CertificateOptions certificate = {};
};

// Construct it on a thread that outlives it (see ChildProcess). Not thread-safe, but for the
// accessors that are const.
class ValkeyServer {
 public:
  // Starts it and waits until it answers.
  explicit ValkeyServer(ValkeyServerOptions options = {});
  // When the test has failed by then, what the server logged is shown.
  ~ValkeyServer();
  ValkeyServer(const ValkeyServer&) = delete;
  ValkeyServer& operator=(const ValkeyServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_.number(); }
  // valkey://127.0.0.1:port, with the password where there is one; percent-encode it yourself.
  [[nodiscard]] std::string uri() const;
  // valkeys://localhost:tls_port, likewise. Trust ca_file().
  [[nodiscard]] std::string tls_uri() const;
  [[nodiscard]] std::uint16_t tls_port() const noexcept { return tls_port_.number(); }
  [[nodiscard]] const Authority& authority() const { return *options_.authority; }
  [[nodiscard]] std::string ca_file() const { return folder() + "/ca.pem"; }
  // What the server shows to those who connect from now on.
  void show(const Certificate& certificate);
  [[nodiscard]] std::string unix_path() const;
  [[nodiscard]] std::string unix_uri() const;
  [[nodiscard]] const std::string& folder() const noexcept { return folder_.path(); }
  [[nodiscard]] pid_t pid() const;
  [[nodiscard]] std::string log() const;

  // An observer's connection, logged in.
  [[nodiscard]] RespClient connect() const;
  // One command over a connection of its own; throws on an error reply.
  RespReply command(const std::vector<std::string>& arguments) const;

  void stop();     // SIGTERM: as an operator does; what it held is gone
  void kill();     // SIGKILL: as the kernel does
  void start();    // on the same port again
  void restart();  // stop() and start()
  void pause();    // SIGSTOP: it accepts connections and answers nothing; waits until it is so
  void resume();   // SIGCONT

  // For a server of another kind: see LoopbackPort; kept until the process ends.
  static std::uint16_t free_port();

 private:
  bool try_start();
  [[nodiscard]] std::string tls_config();
  void write_certificate(const Certificate& certificate) const;
  [[nodiscard]] bool answers() const;

  ValkeyServerOptions options_;
  TemporaryFolder folder_;
  LoopbackPort port_;
  LoopbackPort tls_port_;
  std::unique_ptr<ChildProcess> process_;
};

// The program that ValkeyServer starts; throws when there is none.
std::string valkey_server_program();

}  // namespace valkeycache::test
