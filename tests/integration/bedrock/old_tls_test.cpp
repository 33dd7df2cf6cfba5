// TLS before 1.2 is refused by our own setting, wherever the machine's OpenSSL would allow it.
#include <cstdlib>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>

#include "integration/bedrock/certificate_files.hpp"
#include "support/bedrock/simulated_bedrock.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

class OldTls : public testing::Test {
 protected:
  OldTls() {
    std::ofstream(folder_.path() + "/openssl.cnf") << "openssl_conf = all\n"
                                                      "[all]\nssl_conf = ssl\n"
                                                      "[ssl]\nsystem_default = tls\n"
                                                      "[tls]\n"
                                                      "MinProtocol = TLSv1\n"
                                                      "CipherString = DEFAULT@SECLEVEL=0\n";
  }

  // What old_tls_caller says of the server, in a process whose OpenSSL allows anything: the
  // configuration is read once per process.
  std::string called(const SimulatedBedrock& server) {
    std::vector<std::string> argv = {"/usr/bin/env", "-i",
                                     "OPENSSL_CONF=" + folder_.path() + "/openssl.cnf"};
    for (const auto* kept : {"ASAN_OPTIONS", "TSAN_OPTIONS", "UBSAN_OPTIONS"}) {
      if (const char* value = std::getenv(kept)) argv.push_back(std::string(kept) + "=" + value);
    }
    argv.insert(argv.end(), {VALKEYCACHE_OLD_TLS_CALLER, server.url(), files_.certificate()});
    const auto file = folder_.path() + "/printed" + std::to_string(++runs_);
    ChildProcess program(argv, file);
    EXPECT_EQ(program.wait(patience), 0);
    return read_text(file);
  }

  SimulatedBedrockOptions https() const {
    return {.certificate_file = files_.certificate(), .key_file = files_.key()};
  }

 private:
  CertificateFiles files_;
  TemporaryFolder folder_;
  int runs_ = 0;
};

TEST_F(OldTls, IsRefusedWhateverOpenSslAllows) {
  auto options = https();
  options.old_tls = true;
  const SimulatedBedrock old(options);
  EXPECT_EQ(called(old), "libcurl: 200\nclient: transport\nfetch: refused\n");
  EXPECT_EQ(old.calls(), 0u);
  // It was nothing but the version.
  const SimulatedBedrock newer(https());
  EXPECT_EQ(called(newer), "libcurl: 200\nclient: answered\nfetch: 200\n");
}

}  // namespace
}  // namespace valkeycache::test
