#include "valkey/tls_context.hpp"

#include <valkeycache/detail/future_state.hpp>

#include <algorithm>
#include <cstdlib>
#include <optional>
#include <sstream>
#include <utility>

#include <sys/stat.h>

#include <openssl/err.h>
#include <openssl/x509v3.h>

#include "valkey/resolver.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

// What OpenSSL says about a file never quotes the file.
std::string last_reason() {
  const auto code = ERR_peek_last_error();
  const char* reason = code == 0 ? nullptr : ERR_reason_error_string(code);
  ERR_clear_error();
  return reason ? std::string(": ") + reason : std::string();
}

Error unusable(const std::string& what) {
  return {.code = ErrorCode::invalid_argument, .message = what + last_reason()};
}

// Without one of ours OpenSSL would ask for the password on the terminal.
int give_password(char* into, int size, int /*writing*/, void* password) {
  const auto& text = *static_cast<const std::string*>(password);
  if (text.size() > static_cast<std::size_t>(size)) return -1;
  std::copy(text.begin(), text.end(), into);
  return static_cast<int>(text.size());
}

// Where SSL_CTX_set_default_verify_paths() looks.
std::string file_of_system() {
  const char* const set = std::getenv(X509_get_default_cert_file_env());
  return set ? set : X509_get_default_cert_file();
}
std::vector<std::string> folders_of_system() {
  const char* const set = std::getenv(X509_get_default_cert_dir_env());
  std::istringstream list(set ? set : X509_get_default_cert_dir());
  std::vector<std::string> folders;
  for (std::string folder; std::getline(list, folder, ':');) folders.push_back(folder);
  return folders;
}

std::optional<Error> load_authorities(SSL_CTX* context, const TlsOptions& options) {
  if (options.ca_file.empty() && options.ca_directory.empty()) {
    if (SSL_CTX_set_default_verify_paths(context) != 1) {
      return unusable("the system's trusted authorities cannot be read; name some in tls.ca_file");
    }
    return std::nullopt;
  }
  if (!options.ca_file.empty() &&
      SSL_CTX_load_verify_locations(context, options.ca_file.c_str(), nullptr) != 1) {
    return unusable("tls.ca_file is no readable file with certificates");
  }
  if (!options.ca_directory.empty()) {
    struct stat folder {};
    if (stat(options.ca_directory.c_str(), &folder) != 0 || !S_ISDIR(folder.st_mode) ||
        SSL_CTX_load_verify_locations(context, nullptr, options.ca_directory.c_str()) != 1) {
      return unusable("tls.ca_directory is no readable folder");
    }
  }
  return std::nullopt;
}

// Of the system's OpenSSL leaves out a file that it cannot read to the end, and says nothing.
bool holds_certificates(const std::string& file) {
  if (file.empty()) return false;
  struct Free {
    void operator()(X509_STORE* store) const noexcept { X509_STORE_free(store); }
  };
  const std::unique_ptr<X509_STORE, Free> store(X509_STORE_new());
  ERR_clear_error();
  return store && X509_STORE_load_locations(store.get(), file.c_str(), nullptr) == 1;
}

std::optional<Error> load_identity(SSL_CTX* context, const TlsOptions& options) {
  if (options.certificate_file.empty()) return std::nullopt;
  if (SSL_CTX_use_certificate_chain_file(context, options.certificate_file.c_str()) != 1) {
    return unusable("tls.certificate_file is no readable file with a certificate");
  }
  if (SSL_CTX_use_PrivateKey_file(context, options.key_file.c_str(), SSL_FILETYPE_PEM) != 1) {
    return unusable(
        "tls.key_file is no readable file with the certificate's key, or tls.key_password is not "
        "its password");
  }
  return std::nullopt;
}

}  // namespace

TlsContext::TlsContext(TlsOptions options) : options_(std::move(options)) {
  files_ = {options_.certificate_file, options_.key_file};
  if (options_.insecure_skip_verification) return;
  const bool of_system = options_.ca_file.empty() && options_.ca_directory.empty();
  if (!of_system) {
    files_.insert(files_.end(), {options_.ca_file, options_.ca_directory});
    return;
  }
  system_file_ = file_of_system();
  files_.push_back(system_file_);
  for (auto& folder : folders_of_system()) files_.push_back(std::move(folder));
}

Result<std::unique_ptr<TlsContext>> TlsContext::make(const TlsOptions& options) {
  std::unique_ptr<TlsContext> made(new TlsContext(options));
  made->state_ = made->state_of_files();
  auto context = read(made->options_);
  if (!context) return std::move(context).error();
  made->context_ = *std::move(context);
  // Where it is none, the folders alone may be what the system has.
  made->needs_system_file_ = holds_certificates(made->system_file_);
  ERR_clear_error();
  return made;
}

Result<TlsContext::Context> TlsContext::read(const TlsOptions& options) {
  ERR_clear_error();
  Context context(SSL_CTX_new(TLS_client_method()));
  if (!context) return unusable("OpenSSL has no TLS");
  auto* const raw = context.get();
  const bool newest = options.minimum_version == TlsVersion::v1_3;
  if (SSL_CTX_set_min_proto_version(raw, newest ? TLS1_3_VERSION : TLS1_2_VERSION) != 1) {
    return unusable("tls.minimum_version is not known to this OpenSSL");
  }
  SSL_CTX_set_options(raw, SSL_OP_NO_RENEGOTIATION | SSL_OP_NO_COMPRESSION);
  SSL_CTX_set_verify(raw, options.insecure_skip_verification ? SSL_VERIFY_NONE : SSL_VERIFY_PEER,
                     nullptr);
  SSL_CTX_set_default_passwd_cb(raw, &give_password);
  SSL_CTX_set_default_passwd_cb_userdata(raw, const_cast<std::string*>(&options.key_password));
  if (!options.insecure_skip_verification) {
    if (auto error = load_authorities(raw, options)) return *std::move(error);
  }
  if (auto error = load_identity(raw, options)) return *std::move(error);
  return context;
}

TlsContext::State TlsContext::state_of_files() const {
  State state;
  for (const auto& file : files_) {
    struct stat found {};
    if (file.empty() || stat(file.c_str(), &found) != 0) continue;
    state.insert(state.end(), {static_cast<std::int64_t>(found.st_mtim.tv_sec),
                               static_cast<std::int64_t>(found.st_mtim.tv_nsec),
                               static_cast<std::int64_t>(found.st_size),
                               static_cast<std::int64_t>(found.st_ino)});
  }
  return state;
}

void TlsContext::reread_if_changed(const LogHook& log) {
  auto state = state_of_files();
  if (state == state_) return;
  auto context = read(options_);
  const bool has_system_file = holds_certificates(system_file_);
  if (context && needs_system_file_ && !has_system_file) {
    context = unusable("the system's file of trusted authorities is no readable one");
  }
  if (!context) {
    // Not remembered: certificate and key may be replaced one after the other.
    report(log, LogLevel::warning, "valkey",
           "changed certificates are not used: " + context.error().message);
    return;
  }
  state_ = std::move(state);
  context_ = *std::move(context);
  needs_system_file_ = has_system_file;
  report(log, LogLevel::info, "valkey", "certificates were read again");
}

TlsContext::Connection TlsContext::connection(const std::string& host, const LogHook& log) {
  reread_if_changed(log);
  Connection connection(SSL_new(context_.get()));
  if (!connection) return nullptr;
  auto* const ssl = connection.get();
  const auto& name = options_.server_name.empty() ? host : options_.server_name;
  const bool address = is_numeric_address(name);
  bool good = address || SSL_set_tlsext_host_name(ssl, name.c_str()) == 1;
  if (!options_.insecure_skip_verification) {
    if (address) {
      good = good && X509_VERIFY_PARAM_set1_ip_asc(SSL_get0_param(ssl), name.c_str()) == 1;
    } else {
      // RFC 9525: names are in subjectAltName, and a wildcard stands for a whole label.
      SSL_set_hostflags(ssl,
                        X509_CHECK_FLAG_NO_PARTIAL_WILDCARDS | X509_CHECK_FLAG_NEVER_CHECK_SUBJECT);
      good = good && SSL_set1_host(ssl, name.c_str()) == 1;
    }
  }
  SSL_set_connect_state(ssl);
  return good ? std::move(connection) : nullptr;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
