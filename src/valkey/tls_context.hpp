// What TLS connections of one cache share: trusted authorities, own certificate, least version.
#pragma once

#include <valkeycache/hooks.hpp>
#include <valkeycache/result.hpp>
#include <valkeycache/tls.hpp>

#include <cstdint>
#include <memory>
#include <string>
#include <vector>

#include <openssl/ssl.h>

namespace valkeycache::inline v0 {
namespace detail {

// Of one thread.
class TlsContext {
 public:
  // Reads the files. Errors: invalid_argument, naming the option.
  static Result<std::unique_ptr<TlsContext>> make(const TlsOptions& options);

  // For one connection to `host`, which the peer has to prove that it is. Null: no memory.
  // `log` hears of changed files that are of no use.
  struct Free {
    void operator()(SSL* ssl) const noexcept { SSL_free(ssl); }
  };
  using Connection = std::unique_ptr<SSL, Free>;
  Connection connection(const std::string& host, const LogHook& log);

 private:
  struct FreeContext {
    void operator()(SSL_CTX* context) const noexcept { SSL_CTX_free(context); }
  };
  using Context = std::unique_ptr<SSL_CTX, FreeContext>;
  // Of a file or folder: when it was changed, how long it is and which it is.
  using State = std::vector<std::int64_t>;

  explicit TlsContext(TlsOptions options);
  static Result<Context> read(const TlsOptions& options);
  [[nodiscard]] State state_of_files() const;
  void reread_if_changed(const LogHook& log);

  TlsOptions options_;
  std::vector<std::string> files_;  // and folders, all that is read
  std::string system_file_;         // one of them; empty: it does not matter
  bool needs_system_file_ = false;  // it was readable when it was last read
  State state_;
  Context context_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
