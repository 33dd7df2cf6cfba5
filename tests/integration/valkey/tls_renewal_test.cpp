// Certificates that are renewed while a cache is open: the next connection is made with them.
#include <valkeycache/valkey_cache.hpp>

#include <cstdlib>
#include <filesystem>
#include <mutex>

#include "tls_fixture.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
namespace fs = std::filesystem;

namespace {

// Where OpenSSL looks for what the system trusts, for as long as it lives.
class Environment {
 public:
  Environment(std::string name, const std::string& value) : name_(std::move(name)) {
    setenv(name_.c_str(), value.c_str(), 1);
  }
  ~Environment() { unsetenv(name_.c_str()); }
  Environment(const Environment&) = delete;
  Environment& operator=(const Environment&) = delete;

 private:
  const std::string name_;
};

class TlsRenewal : public Tls {
 protected:
  // The name under which OpenSSL looks for it in a folder.
  std::string add_to_folder(const std::string& certificate) const {
    const auto path = file("authority.pem", certificate);
    EXPECT_EQ(std::system(("ln -s authority.pem " + folder_.path() +
                           "/$(openssl x509 -hash -noout -in " + path + ").0")
                              .c_str()),
              0);
    for (const auto& entry : fs::directory_iterator(folder_.path())) {
      if (entry.is_symlink()) return entry.path();
    }
    return {};
  }
  // What changes from now on has another time than what has been there: the clock of files ticks in
  // milliseconds.
  void await_tick() const {
    const TemporaryFolder other;
    const auto probe = other.path() + "/probe";
    ASSERT_TRUE(wait_until([&] {
      std::ofstream(probe, std::ios::trunc) << "x";
      return fs::last_write_time(probe) > fs::last_write_time(folder_.path());
    }));
  }
  static void end_connections(const ValkeyServer& server) {
    server.connect().command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  }
  // The next call that is answered at all.
  static Result<void> try_again(const ValkeyCache& cache) {
    Result<void> tried = error_lost();
    EXPECT_TRUE(wait_until([&] {
      tried = cache.set(key_of("k"), "v").get();
      return tried || tried.error().code != ErrorCode::connection_lost;
    }));
    return tried;
  }
  static Error error_lost() { return {.code = ErrorCode::connection_lost, .message = {}}; }
  // What has been logged goes there.
  LogHook log() {
    return [this](const LogRecord& record) {
      const std::lock_guard lock(mutex_);
      logged_ += std::string(record.message) + "\n";
    };
  }
  bool logged(const std::string& text) {
    const std::lock_guard lock(mutex_);
    return logged_.find(text) != logged_.npos;
  }

 private:
  std::mutex mutex_;
  std::string logged_;
};

TEST_F(TlsRenewal, AnAuthoritysFile) {
  const ValkeyServer server({.tls = true});
  auto options = patient_options();
  options.tls.ca_file = file("ca.pem", Authority("another").certificate());
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(), ErrorCode::tls_failed));
  file("ca.pem", server.authority().certificate());
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "v").get().has_value(); }));
}

// Who has gone is trusted no more, though they were believed before.
TEST_F(TlsRenewal, AFolderOfAuthorities) {
  const ValkeyServer server({.tls = true});
  auto options = patient_options();
  options.tls.ca_directory = folder_.path();
  const auto link = add_to_folder(server.authority().certificate());
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  await_tick();
  fs::rename(link, folder_.path() + "/not-a-hash");
  EXPECT_TRUE(ok(cache.set(key_of("k"), "v").get())) << "the one that stands goes on";
  end_connections(server);
  EXPECT_TRUE(fails_with(try_again(cache), ErrorCode::tls_failed));
  await_tick();
  fs::rename(folder_.path() + "/not-a-hash", link);
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "v").get().has_value(); }));
}

TEST_F(TlsRenewal, WhomTheSystemTrusts) {
  const ValkeyServer server({.tls = true});
  const Environment bundle("SSL_CERT_FILE", file("system.pem", Authority("another").certificate()));
  const auto cache = ValkeyCache::open(server.tls_uri(), patient_options()).value();
  EXPECT_TRUE(fails_with(cache.set(key_of("k"), "v").get(), ErrorCode::tls_failed));
  file("system.pem", server.authority().certificate());
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "v").get().has_value(); }));
}

// Its file may be gone for a moment, or there in part.
TEST_F(TlsRenewal, WhomTheSystemTrustsWhileThatIsRenewed) {
  const ValkeyServer server({.tls = true});
  const auto trusted = server.authority().certificate();
  const auto path = file("system.pem", trusted);
  const Environment bundle("SSL_CERT_FILE", path);
  auto options = patient_options();
  options.log = log();
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));

  file("system.pem", trusted + trusted.substr(0, trusted.size() / 2));
  end_connections(server);
  EXPECT_TRUE(ok(try_again(cache)));
  EXPECT_TRUE(logged("changed certificates are not used: the system's file"));
  fs::remove(path);
  end_connections(server);
  EXPECT_TRUE(ok(try_again(cache)));
  EXPECT_FALSE(logged("certificates were read again"));

  file("system.pem", Authority("another").certificate());
  end_connections(server);
  EXPECT_TRUE(fails_with(try_again(cache), ErrorCode::tls_failed));
  EXPECT_TRUE(logged("certificates were read again"));
}

TEST_F(TlsRenewal, TheSystemsFoldersAreSeveral) {
  const ValkeyServer server({.tls = true});
  const TemporaryFolder first;
  const auto link = add_to_folder(server.authority().certificate());
  const Environment bundle("SSL_CERT_FILE", first.path() + "/none");
  const Environment folders("SSL_CERT_DIR", first.path() + ":" + folder_.path());
  const auto cache = ValkeyCache::open(server.tls_uri(), patient_options()).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  await_tick();
  fs::rename(link, folder_.path() + "/not-a-hash");
  end_connections(server);
  EXPECT_TRUE(fails_with(try_again(cache), ErrorCode::tls_failed));
}

// Half of an identity is none: what was read before stays in force until the other half is there.
TEST_F(TlsRenewal, AnIdentityThatComesInTwoFiles) {
  // By TLS 1.2, where a certificate is refused within the handshake: by 1.3 the refusal races with
  // what the client says next, and may be lost.
  const ValkeyServer server(
      {.config = {"tls-protocols TLSv1.2"}, .tls_clients_need_certificates = true});
  const Authority successor("successor");
  const auto old_own = server.authority().issue({.names = {}});
  const auto new_own = successor.issue({.names = {}});
  auto options = trusting(server);
  options.tls.certificate_file = file("client.pem", old_own.certificate);
  options.tls.key_file = file("client.key", old_own.key);
  options.log = log();
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));

  file("client.pem", new_own.certificate);
  end_connections(server);
  EXPECT_TRUE(ok(try_again(cache)));
  EXPECT_TRUE(logged("changed certificates are not used: tls.key_file"));
  EXPECT_FALSE(logged("certificates were read again"));

  // Whom the server lets in from now on.
  const auto successors = file("successors.pem", successor.certificate());
  server.command({"CONFIG", "SET", "tls-ca-cert-file", successors});
  end_connections(server);
  EXPECT_TRUE(fails_with(try_again(cache), ErrorCode::tls_failed));
  file("client.key", new_own.key);
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "v").get().has_value(); }));
  EXPECT_TRUE(logged("certificates were read again"));
}

}  // namespace
