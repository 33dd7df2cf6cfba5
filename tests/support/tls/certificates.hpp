// Certificates, made anew for each test.
#pragma once

#include <chrono>
#include <string>
#include <utility>

namespace valkeycache::test {

// PEM.
struct Certificate {
  std::string certificate;
  std::string key;
};

struct CertificateOptions {
  // As in a subjectAltName extension; empty: none.
  std::string names = "DNS:localhost,IP:127.0.0.1";
  std::string common_name = "ValkeyCache tests";
  // From and until when it is valid, relative to now.
  std::chrono::seconds from = -std::chrono::hours(1);
  std::chrono::seconds until = std::chrono::hours(24);
};

// Everything here throws std::runtime_error where OpenSSL fails.
Certificate make_self_signed(const CertificateOptions& options = {});

// Who signs certificates.
class Authority {
 public:
  explicit Authority(const std::string& name = "ValkeyCache test authority");
  [[nodiscard]] const std::string& certificate() const noexcept { return own_.certificate; }
  // Another one, by the grace of this one.
  [[nodiscard]] Authority intermediate(const std::string& name) const;
  // Of an intermediate one with its own behind it.
  [[nodiscard]] Certificate issue(const CertificateOptions& options = {}) const;

 private:
  explicit Authority(Certificate own, std::string chain)
      : own_(std::move(own)), chain_(std::move(chain)) {}

  Certificate own_;
  std::string chain_;  // up to the first one, without that
};

// The same key, encrypted.
std::string encrypted_key(const std::string& key, const std::string& password);

}  // namespace valkeycache::test
