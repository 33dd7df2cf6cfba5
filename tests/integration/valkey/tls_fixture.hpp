// What the tests of TLS share.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <cstdio>
#include <fstream>
#include <string>

#include <gtest/gtest.h>

#include "contract.hpp"

namespace valkeycache::test {

class Tls : public testing::Test {
 protected:
  std::string file(const std::string& name, const std::string& text) const {
    const auto path = folder_.path() + "/" + name;
    // At once, as those who renew certificates do it.
    std::ofstream(path + ".new") << text;
    std::rename((path + ".new").c_str(), path.c_str());
    return path;
  }
  // Options that trust the server.
  [[nodiscard]] static ValkeyCacheOptions trusting(const ValkeyServer& server) {
    auto options = patient_options();
    options.tls.ca_file = server.ca_file();
    return options;
  }
  static Result<void> try_out(const std::string& uri, ValkeyCacheOptions options) {
    auto cache = ValkeyCache::open(uri, std::move(options));
    if (!cache) return cache.error();
    return cache->set(key_of("k"), "v").get();
  }
  // No call was answered, and the message says why.
  static testing::AssertionResult not_trusted(const std::string& uri, ValkeyCacheOptions options,
                                              const std::string& why) {
    const auto tried = try_out(uri, std::move(options));
    const auto failed = fails_with(tried, ErrorCode::tls_failed);
    if (!failed) return failed;
    if (tried.error().retryable) return testing::AssertionFailure() << "retryable";
    if (tried.error().message.find(why) != std::string::npos) return failed;
    return testing::AssertionFailure() << described(tried.error()) << "; wanted: " << why;
  }
  [[nodiscard]] static std::string at(const std::string& host, std::uint16_t port) {
    return "valkeys://" + host + ":" + std::to_string(port);
  }

  TemporaryFolder folder_;
};

class TlsServer : public Tls {
 protected:
  ValkeyServer server_{{.tls = true}};
};

}  // namespace valkeycache::test
