// TLS: who is trusted, who is let in, and that traffic survives it.
#include <atomic>
#include <cstdlib>
#include <mutex>
#include <thread>

#include <netinet/in.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/valkey/fake_server.hpp"
#include "support/valkey/tcp_proxy.hpp"
#include "tls_fixture.hpp"

using namespace valkeycache;
using namespace valkeycache::test;
using namespace std::chrono_literals;

namespace {

// Accepts one connection and says nothing.
class ListeningSocket {
 public:
  ListeningSocket() : listener_(socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    if (bind(listener_, reinterpret_cast<const sockaddr*>(&address), size) != 0 ||
        listen(listener_, 1) != 0 ||
        getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
      throw std::runtime_error("cannot listen on loopback");
    }
    port_ = ntohs(address.sin_port);
  }
  ~ListeningSocket() { close(listener_); }
  ListeningSocket(const ListeningSocket&) = delete;
  ListeningSocket& operator=(const ListeningSocket&) = delete;

  [[nodiscard]] std::uint16_t port() const noexcept { return port_; }
  // The first record that the client sends.
  [[nodiscard]] std::string first_record() const {
    const int client = accept(listener_, nullptr, nullptr);
    unsigned char header[5] = {};
    std::string record;
    if (recv(client, header, sizeof header, MSG_WAITALL) == sizeof header) {
      record.resize(header[3] * std::size_t{256} + header[4]);
      const auto came = recv(client, record.data(), record.size(), MSG_WAITALL);
      record.resize(came < 0 ? 0 : static_cast<std::size_t>(came));
    }
    close(client);
    return record;
  }

 private:
  int listener_;
  std::uint16_t port_ = 0;
};

// --- whom we trust -----------------------------------------------------------------------------

TEST_F(TlsServer, TheServersAuthorityIsEnough) {
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), trusting(server_))));
  EXPECT_TRUE(ok(try_out(at("127.0.0.1", server_.tls_port()), trusting(server_))));
  auto options = trusting(server_);
  options.tls.enabled = true;
  EXPECT_TRUE(ok(try_out("valkey://localhost:" + std::to_string(server_.tls_port()), options)));
}

TEST_F(TlsServer, AnotherAuthorityIsNot) {
  auto options = patient_options();
  options.tls.ca_file = file("other.pem", Authority("another").certificate());
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "tls.ca_file"));
  options.tls.ca_file.clear();  // those that the system trusts
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "tls.ca_file"));
}

TEST_F(TlsServer, AFolderOfAuthorities) {
  auto options = patient_options();
  options.tls.ca_directory = folder_.path();
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "tls.ca_file"));
  file("authority.pem", server_.authority().certificate());
  // The name that openssl-rehash would give it.
  ASSERT_EQ(std::system(("ln -s authority.pem " + folder_.path() +
                         "/$(openssl x509 -hash -noout -in " + folder_.path() + "/authority.pem).0")
                            .c_str()),
            0);
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), options)));
}

TEST_F(TlsServer, ThoseThatTheSystemTrustsUnlessOthersAreNamed) {
  setenv("SSL_CERT_FILE", server_.ca_file().c_str(), 1);  // what OpenSSL takes for the system's
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), patient_options())));
  auto options = patient_options();
  options.tls.ca_file = file("other.pem", Authority("another").certificate());
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "tls.ca_file"));
  unsetenv("SSL_CERT_FILE");
}

// It travels in plain text, in the first bytes that a client sends.
TEST_F(Tls, TheServerIsToldTheNameThatItIsCalledBy) {
  const auto hello_to = [](const std::string& host, const std::string& server_name) {
    ListeningSocket listener;
    auto options = patient_options();
    options.tls.server_name = server_name;
    const auto cache = ValkeyCache::open(at(host, listener.port()), options).value();
    return listener.first_record();
  };
  EXPECT_NE(hello_to("localhost", "").find("localhost"), std::string::npos);
  const auto other = hello_to("localhost", "one.cache.example");
  EXPECT_NE(other.find("one.cache.example"), std::string::npos);
  EXPECT_EQ(other.find("localhost"), std::string::npos);
  // RFC 6066: an address is no name.
  EXPECT_EQ(hello_to("127.0.0.1", "").find("127.0.0.1"), std::string::npos);
}

TEST_F(TlsServer, ACertificateForAnotherNameIsNot) {
  // The common name does not count.
  for (const std::string names : {"DNS:cache.example", "IP:127.0.0.2", ""}) {
    server_.show(server_.authority().issue({.names = names, .common_name = "localhost"}));
    EXPECT_TRUE(not_trusted(server_.tls_uri(), trusting(server_), "server_name")) << names;
    EXPECT_TRUE(not_trusted(at("127.0.0.1", server_.tls_port()), trusting(server_), "server_name"))
        << names;
  }
  server_.show(server_.authority().issue({.names = "DNS:*.cache.example"}));
  auto options = trusting(server_);
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "server_name"));
  options.tls.server_name = "one.cache.example";
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), options)));
  for (const char* name : {"deep.one.cache.example", "cache.example"}) {
    options.tls.server_name = name;
    EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "server_name")) << name;
  }
}

TEST_F(TlsServer, ExpiredOrNotYetValidIsNot) {
  server_.show(server_.authority().issue({.from = -2h, .until = -1h}));
  EXPECT_TRUE(not_trusted(server_.tls_uri(), trusting(server_), "expired"));
  server_.show(server_.authority().issue({.from = 1h, .until = 2h}));
  EXPECT_TRUE(not_trusted(server_.tls_uri(), trusting(server_), "not yet valid"));
}

TEST_F(TlsServer, SelfSignedIsNotUnlessItIsTheOneNamed) {
  const auto certificate = make_self_signed();
  server_.show(certificate);
  EXPECT_TRUE(not_trusted(server_.tls_uri(), trusting(server_), "self-signed"));
  auto options = patient_options();
  options.tls.ca_file = file("self.pem", certificate.certificate);
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), options)));
}

// By an authority that nobody trusts by itself, but for the one above it.
TEST_F(TlsServer, AChainIsFollowedToTheAuthority) {
  const auto between = server_.authority().intermediate("in between").intermediate("and once more");
  const auto certificate = between.issue();
  server_.show(certificate);
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), trusting(server_))));
  // Without those in between there is no way up.
  auto alone = certificate;
  const std::string end = "-----END CERTIFICATE-----\n";
  alone.certificate.resize(alone.certificate.find(end) + end.size());
  server_.show(alone);
  EXPECT_TRUE(not_trusted(server_.tls_uri(), trusting(server_), "tls.ca_file"));
}

TEST_F(TlsServer, VerificationIsSwitchedOffByNameOnlyAndWarnedOf) {
  std::mutex mutex;
  std::vector<std::string> warnings;
  auto options = patient_options();
  options.tls.insecure_skip_verification = true;
  options.log = [&](const LogRecord& record) {
    const std::lock_guard lock(mutex);
    if (record.level == LogLevel::warning) warnings.emplace_back(record.message);
  };
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), options)));
  const std::lock_guard lock(mutex);
  ASSERT_EQ(warnings.size(), 1U);
  EXPECT_NE(warnings[0].find("insecure_skip_verification"), std::string::npos);
}

TEST_F(TlsServer, OldVersionsAreRefused) {
  server_.command({"CONFIG", "SET", "tls-protocols", "TLSv1.2"});
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), trusting(server_))));
  auto options = trusting(server_);
  options.tls.minimum_version = TlsVersion::v1_3;
  EXPECT_TRUE(not_trusted(server_.tls_uri(), options, "agreed"));
  server_.command({"CONFIG", "SET", "tls-protocols", "TLSv1.3"});
  EXPECT_TRUE(ok(try_out(server_.tls_uri(), options)));
}

TEST_F(TlsServer, APasswordTravelsInsideOnly) {
  ValkeyServer server({.password = "hunter2", .tls = true});
  EXPECT_TRUE(ok(try_out(server.tls_uri(), trusting(server))));
  auto options = patient_options();
  EXPECT_TRUE(not_trusted(server.tls_uri(), options, "tls.ca_file"));
}

// --- who is no TLS server ----------------------------------------------------------------------

TEST_F(TlsServer, APlainServerIsToldFromATlsOne) {
  auto options = trusting(server_);
  options.connect_timeout = 300ms;
  const auto cache = ValkeyCache::open(at("127.0.0.1", server_.port()), options).value();
  // It waits for the rest of what it takes for a command of its own, or has seen enough of it.
  ASSERT_TRUE(wait_until([&] { return cache.stats().connect_failures != 0; }));
  const auto tried = cache.get(key_of("k"), {.timeout = 500ms}).get();
  ASSERT_TRUE(fails_with(tried, {ErrorCode::connect_failed, ErrorCode::tls_failed}));
  EXPECT_NE(tried.error().message.find("TLS"), std::string::npos) << described(tried.error());
}

TEST_F(Tls, NothingIsSentInPlainText) {
  std::atomic<bool> plain{false};
  FakeServer fake([&](FakeConnection& connection) {
    if (connection.read_command()) plain = true;
    connection.write("-ERR no\r\n");
    connection.swallow();
  });
  auto options = patient_options();
  options.tls.insecure_skip_verification = true;
  EXPECT_TRUE(not_trusted("rediss://:hunter2@localhost:" + std::to_string(fake.port()), options,
                          "does not speak TLS"));
  EXPECT_GE(fake.connections(), 1);
  EXPECT_FALSE(plain);
}

// --- who we are --------------------------------------------------------------------------------

TEST_F(Tls, ClientsWithACertificateAreLetIn) {
  ValkeyServer server({.tls_clients_need_certificates = true});
  const auto own = server.authority().issue({.names = {}, .common_name = "a client"});
  auto options = trusting(server);
  EXPECT_TRUE(not_trusted(server.tls_uri(), options, "certificate required"));

  options.tls.certificate_file = file("client.pem", own.certificate);
  options.tls.key_file = file("client.key", own.key);
  EXPECT_TRUE(ok(try_out(server.tls_uri(), options)));

  options.tls.key_file = file("locked.key", encrypted_key(own.key, "open sesame"));
  options.tls.key_password = "open sesame";
  EXPECT_TRUE(ok(try_out(server.tls_uri(), options)));

  // The server knows the authority above the one that has signed.
  const auto below = server.authority().intermediate("in between").issue({.names = {}});
  options.tls.certificate_file = file("chain.pem", below.certificate);
  options.tls.key_file = file("chain.key", below.key);
  EXPECT_TRUE(ok(try_out(server.tls_uri(), options)));

  const auto stranger = Authority("another").issue();
  options.tls.certificate_file = file("stranger.pem", stranger.certificate);
  options.tls.key_file = file("stranger.key", stranger.key);
  EXPECT_TRUE(fails_with(try_out(server.tls_uri(), options), ErrorCode::tls_failed));
}

TEST_F(Tls, UnusableFilesAreNamedWhenTheCacheIsOpened) {
  const auto own = make_self_signed();
  const auto certificate = file("own.pem", own.certificate);
  const auto key = file("own.key", own.key);
  const auto nonsense = file("nonsense.pem", "s3cret nonsense");
  const auto locked = file("locked.key", encrypted_key(own.key, "open sesame"));
  const auto message_of = [](TlsOptions tls) {
    auto options = patient_options();
    options.tls = std::move(tls);
    const auto opened = ValkeyCache::open("valkeys://localhost", options);
    EXPECT_TRUE(fails_with(opened, ErrorCode::invalid_argument));
    const auto message = opened ? std::string() : opened.error().message;
    EXPECT_EQ(message.find("s3cret"), std::string::npos) << message;
    return message;
  };
  EXPECT_NE(message_of({.ca_file = "/nowhere"}).find("tls.ca_file"), std::string::npos);
  EXPECT_NE(message_of({.ca_file = nonsense}).find("tls.ca_file"), std::string::npos);
  EXPECT_NE(message_of({.ca_directory = "/nowhere"}).find("tls.ca_directory"), std::string::npos);
  EXPECT_NE(message_of({.certificate_file = certificate}).find("tls.key_file"), std::string::npos);
  EXPECT_NE(message_of({.certificate_file = nonsense, .key_file = key}).find("certificate_file"),
            std::string::npos);
  EXPECT_NE(message_of({.certificate_file = certificate, .key_file = nonsense}).find("key_file"),
            std::string::npos);
  EXPECT_NE(message_of({.certificate_file = certificate, .key_file = locked}).find("key_password"),
            std::string::npos);
  EXPECT_NE(
      message_of(
          {.certificate_file = certificate, .key_file = locked, .key_password = "s3cret but wrong"})
          .find("key_password"),
      std::string::npos);
  EXPECT_NE(message_of({.certificate_file = certificate,
                        .key_file = file("other.key", make_self_signed().key)})
                .find("key_file"),
            std::string::npos);
  auto options = patient_options();
  options.unix_socket = "/tmp/s";
  options.tls.enabled = true;
  EXPECT_TRUE(fails_with(ValkeyCache::open(options), ErrorCode::invalid_argument));
}

// --- traffic -----------------------------------------------------------------------------------

TEST_F(TlsServer, MuchInBothDirectionsAtOnce) {
  auto options = trusting(server_);
  auto cache = ValkeyCache::open(server_.tls_uri(), options).value();
  // Of all sizes around those of records, more than the sockets hold.
  std::vector<std::string> values;
  for (std::size_t size :
       {std::size_t{0}, std::size_t{1}, std::size_t{16'383}, std::size_t{16'384},
        std::size_t{16'385}, std::size_t{65'536}, std::size_t{1'000'000}, std::size_t{9'000'000}}) {
    values.push_back(std::string(size, static_cast<char>('a' + values.size())));
  }
  std::vector<std::thread> threads;
  std::atomic<int> wrong{0};
  for (int t = 0; t < 3; ++t) {
    threads.emplace_back([&, t] {
      for (int round = 0; round < 4; ++round) {
        std::vector<Future<void>> sets;
        for (std::size_t i = 0; i < values.size(); ++i) {
          sets.push_back(cache.set(key_of(std::to_string(t) + "-" + std::to_string(i)), values[i]));
        }
        std::vector<Future<std::optional<std::string>>> gets;
        for (std::size_t i = 0; i < values.size(); ++i) {
          gets.push_back(cache.get(key_of(std::to_string(t) + "-" + std::to_string(i))));
        }
        for (auto& set : sets) wrong += !set.get().has_value();
        for (std::size_t i = 0; i < values.size(); ++i) {
          const auto got = gets[i].get();
          wrong += !got.has_value() || *got != values[i];
        }
      }
    });
  }
  for (auto& thread : threads) thread.join();
  EXPECT_EQ(wrong, 0);
  EXPECT_EQ(cache.stats().connects, 1U);
}

TEST_F(TlsServer, OneByOneByACallerWhoWaits) {
  auto cache = ValkeyCache::open(server_.tls_uri(), trusting(server_)).value();
  const std::string large(40'000, 'x');
  for (int i = 0; i < 500; ++i) {
    const auto key = key_of(std::to_string(i % 7));
    ASSERT_TRUE(ok(cache.set(key, large + std::to_string(i)).get()));
    ASSERT_EQ(cache.get(key).get().value(), large + std::to_string(i));
  }
}

TEST_F(TlsServer, PushesAreReadWhileNobodyCalls) {
  auto options = trusting(server_);
  options.near_cache.max_bytes = 1 << 20;
  auto cache = ValkeyCache::open(server_.tls_uri(), options).value();
  const auto key = key_of("k");
  ASSERT_TRUE(ok(cache.set(key, "old").get()));
  ASSERT_TRUE(wait_until([&] { return cache.get(key).get() && cache.find_near(key); }));
  auto other = ValkeyCache::open(server_.uri(), patient_options()).value();
  ASSERT_TRUE(ok(other.set(key, "new").get()));
  EXPECT_TRUE(wait_until([&] { return !cache.find_near(key); }));
  EXPECT_EQ(cache.get(key).get().value(), "new");
}

// A read whose reply breaks off is sent again, once; what has come of it is nobody's value.
TEST_F(TlsServer, ASessionThatEndsInAReplyIsALossAndMendsItself) {
  TcpProxy proxy(server_.tls_port());
  const auto cache = ValkeyCache::open(at("localhost", proxy.port()), trusting(server_)).value();
  const auto key = key_of("k");
  const std::string value(4'000'000, 'v');
  ASSERT_TRUE(ok(cache.set(key, value).get()));

  constexpr std::size_t part = 1'000'000;
  auto before = cache.stats().bytes_received;
  proxy.hold_replies(part);
  auto got = cache.get(key);
  for (int time = 0; time < 2; ++time) {
    ASSERT_TRUE(wait_until([&] { return cache.stats().bytes_received > before + part * 9 / 10; }));
    EXPECT_FALSE(got.ready());
    proxy.cut();
    before = cache.stats().bytes_received;
    if (time == 0) proxy.hold_replies(part);  // of the next one, as well
  }
  ASSERT_TRUE(wait_until([&] { return got.ready(); }, 15s)) << "not only when its time is over";
  const auto lost = got.get();
  ASSERT_TRUE(fails_with(lost, ErrorCode::connection_lost));
  EXPECT_TRUE(lost.error().retryable);
  EXPECT_FALSE(lost.error().maybe_applied);
  proxy.release_replies();
  EXPECT_EQ(cache.get(key).get().value(), value);
}

// Likewise, ended by the server, by TLS's own rules. More than sockets hold is left to be sent.
TEST_F(TlsServer, AServerThatEndsASessionInAReply) {
  TcpProxy proxy(server_.tls_port());
  const auto cache = ValkeyCache::open(at("localhost", proxy.port()), trusting(server_)).value();
  const auto key = key_of("k");
  const std::string value(60'000'000, 'v');
  ASSERT_TRUE(ok(cache.set(key, value).get()));
  constexpr std::size_t part = 1'000'000;
  const auto before = cache.stats().bytes_received;
  proxy.hold_replies(part);
  auto got = cache.get(key);
  ASSERT_TRUE(wait_until([&] { return cache.stats().bytes_received > before + part / 2; }));
  server_.connect().command({"CLIENT", "KILL", "TYPE", "normal", "SKIPME", "yes"});
  proxy.release_replies();
  EXPECT_EQ(got.get().value(), value);
  EXPECT_EQ(cache.stats().connects, 2U);
}

TEST_F(TlsServer, AServerThatComesBackIsFoundAgain) {
  auto options = trusting(server_);
  auto cache = ValkeyCache::open(server_.tls_uri(), options).value();
  ASSERT_TRUE(ok(cache.set(key_of("k"), "v").get()));
  server_.restart();
  EXPECT_TRUE(wait_until([&] { return cache.set(key_of("k"), "v").get().has_value(); }));
}

}  // namespace
