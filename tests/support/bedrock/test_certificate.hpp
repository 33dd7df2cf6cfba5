// A self-signed certificate for "localhost" and 127.0.0.1, made anew for each test.
#pragma once

#include <string>

namespace valkeycache::test {

struct TestCertificate {
  std::string certificate_pem;
  std::string key_pem;
};
// Throws std::runtime_error where OpenSSL fails. `names` as in a subjectAltName extension.
TestCertificate make_test_certificate(const std::string& names = "DNS:localhost,IP:127.0.0.1");

}  // namespace valkeycache::test
