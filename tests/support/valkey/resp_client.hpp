// A plain blocking client for observers: it shares no code with the library, so that it can testify
// about it. RESP2, one command at a time or pipelined by hand.
#pragma once

#include <chrono>
#include <cstdint>
#include <string>
#include <vector>

namespace valkeycache::test {

struct RespReply {
  enum class Kind { status, error, integer, bulk, nil, array };
  Kind kind = Kind::nil;
  std::string text;  // of a status, an error or a bulk string
  std::int64_t integer = 0;
  std::vector<RespReply> items;

  [[nodiscard]] bool is_error() const noexcept { return kind == Kind::error; }
  [[nodiscard]] bool is_nil() const noexcept { return kind == Kind::nil; }
};

// Not thread-safe. Everything throws std::runtime_error when the connection fails or a reply takes
// longer than the timeout.
class RespClient {
 public:
  static RespClient tcp(std::uint16_t port, std::chrono::milliseconds timeout = default_timeout);
  static RespClient unix_socket(const std::string& path,
                                std::chrono::milliseconds timeout = default_timeout);
  RespClient(RespClient&& other) noexcept;
  RespClient& operator=(RespClient&& other) noexcept;
  ~RespClient();

  RespReply command(const std::vector<std::string>& arguments);
  // The two halves of it, for pipelines.
  void send(const std::vector<std::string>& arguments);
  RespReply read();
  // Makes a read() under way on another thread fail.
  void shut_down() noexcept;

  static constexpr std::chrono::milliseconds default_timeout{30000};

 private:
  explicit RespClient(int socket) noexcept : socket_(socket) {}
  void fill();
  std::string read_line();
  std::string read_bytes(std::size_t count);

  int socket_ = -1;
  std::string buffer_;
  std::size_t start_ = 0;  // what lies before it in the buffer is used up
};

// A command as RESP has it.
std::string encode_command(const std::vector<std::string>& arguments);

}  // namespace valkeycache::test
