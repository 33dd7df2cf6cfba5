// Transport: the seam between a connection and what carries its bytes. Plain TCP and Unix sockets
// over hiredis stand behind it, and TLS over those (tls_transport.hpp).
#pragma once

#include <valkeycache/result.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <memory>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

// Non-blocking; of one thread. Errors name no peer data.
class Transport {
 public:
  virtual ~Transport() = default;
  Transport(const Transport&) = delete;
  Transport& operator=(const Transport&) = delete;

  [[nodiscard]] virtual int descriptor() const noexcept = 0;

  enum class Step : std::uint8_t { done, wants_read, wants_write, failed };
  // Carries connecting on; call again when the descriptor is ready for what it wants.
  virtual Step connect() = 0;

  struct Moved {
    Step step;          // done: bytes were moved; wants_…: not now; failed: see error()
    std::size_t bytes;  // at least one when done
  };
  virtual Moved read(char* into, std::size_t size) = 0;
  // The same, but may sleep in it for a few milliseconds until something comes: one system call
  // instead of two for a thread that has nothing else to wait for.
  virtual Moved read_patiently(char* into, std::size_t size) { return read(into, size); }
  // May keep what the socket does not take yet; flush() sends that.
  virtual Moved write(const char* from, std::size_t size) = 0;
  // done: nothing is kept. wants_write: call again when the descriptor is writable.
  virtual Step flush() { return Step::done; }
  // The last read() left something that does not make the descriptor readable.
  [[nodiscard]] virtual bool unread() const noexcept { return false; }

  [[nodiscard]] virtual Error error() const = 0;

 protected:
  Transport() = default;
};

// Numeric addresses only: nothing here resolves names.
Result<std::unique_ptr<Transport>> open_tcp(const std::string& address, std::uint16_t port);
Result<std::unique_ptr<Transport>> open_unix(const std::string& path);

}  // namespace detail
}  // namespace valkeycache::inline v0
