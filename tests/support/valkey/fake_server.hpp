// A scripted loopback server, for what a real Valkey cannot be made to do: answer late, wrong, in
// pieces, or in another protocol.
#pragma once

#include <atomic>
#include <chrono>
#include <condition_variable>
#include <cstdint>
#include <functional>
#include <memory>
#include <mutex>
#include <optional>
#include <string>
#include <string_view>
#include <thread>
#include <vector>

namespace valkeycache::test {

class FakeServer;
using Command = std::vector<std::string>;

// One accepted connection, used by its script's thread only.
class FakeConnection {
 public:
  FakeConnection(FakeServer& server, int socket, int number) noexcept
      : server_(server), socket_(socket), number_(number) {}
  ~FakeConnection();
  FakeConnection(const FakeConnection&) = delete;
  FakeConnection& operator=(const FakeConnection&) = delete;

  // 0 for the first connection that the server accepted, 1 for the next one, ...
  [[nodiscard]] int number() const noexcept { return number_; }
  // The next command; nullopt when the client has gone, the server is being destroyed, or the bytes
  // are not a RESP array of bulk strings.
  std::optional<Command> read_command();
  // Reads commands and answers those of the handshake as a good RESP3 server does; the first other
  // one is returned.
  std::optional<Command> read_after_handshake();
  // False when the client has gone.
  bool write(std::string_view bytes);
  // Each byte in a packet of its own.
  bool write_bytewise(std::string_view bytes);
  // Reads and drops at most 64 KiB; false when the client has gone.
  bool swallow_some();
  // Reads and drops what comes until the client closes: for a server that is silent.
  void swallow();
  // Closes with RST instead of FIN.
  void reset();

 private:
  bool fill();

  FakeServer& server_;
  int socket_;
  int number_;
  std::string buffer_;
};

class FakeServer {
 public:
  // Called on a thread of its own for each connection, which is closed when it returns.
  using Script = std::function<void(FakeConnection&)>;

  explicit FakeServer(Script script);
  // Ends all connections and waits for their scripts.
  ~FakeServer();
  FakeServer(const FakeServer&) = delete;
  FakeServer& operator=(const FakeServer&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  [[nodiscard]] std::string uri() const;
  // Connections accepted so far.
  [[nodiscard]] int connections() const;
  // All commands read so far by all connections.
  [[nodiscard]] std::vector<Command> commands() const;
  // Those that are no part of a handshake.
  [[nodiscard]] std::vector<Command> commands_after_handshake() const;

 private:
  friend class FakeConnection;
  void accept_all();
  void record(const Command& command);

  Script script_;
  int listener_ = -1;
  int stop_[2] = {-1, -1};  // becomes readable when the server is being destroyed
  std::uint16_t port_ = 0;
  mutable std::mutex mutex_;
  std::vector<Command> commands_;
  std::vector<std::thread> scripts_;
  int connections_ = 0;
  std::thread acceptor_;
};

// Takes the first command off what was received; nullopt: there is no whole one yet. Throws
// std::runtime_error for what is no RESP array of bulk strings.
std::optional<Command> take_command(std::string& buffer);

// What a good server answers to HELLO, AUTH, SELECT and CLIENT; nullopt for other commands.
std::optional<std::string> handshake_reply(const Command& command);
bool is_handshake(const Command& command);

// A script: after a good handshake every command is answered with what `answer` says.
FakeServer::Script answering(std::function<std::string(const Command&)> answer);

// RESP texts.
std::string bulk(std::string_view bytes);
std::string array(const std::vector<std::string>& encoded_items);

}  // namespace valkeycache::test
