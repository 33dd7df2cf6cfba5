// A certificate and its key as PEM files.
#pragma once

#include <fstream>
#include <string>

#include "support/tls/certificates.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::test {

class CertificateFiles {
 public:
  explicit CertificateFiles(const std::string& names = "DNS:localhost,IP:127.0.0.1") {
    const auto made = make_self_signed({.names = names});
    std::ofstream(certificate()) << made.certificate;
    std::ofstream(key()) << made.key;
  }
  [[nodiscard]] std::string certificate() const { return folder_.path() + "/cert.pem"; }
  [[nodiscard]] std::string key() const { return folder_.path() + "/key.pem"; }

 private:
  TemporaryFolder folder_;
};

}  // namespace valkeycache::test
