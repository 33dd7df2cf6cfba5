// W3 by TLS: one thread with 1,024 gets in flight, beside hiredis with its own TLS.
#include <hiredis/hiredis.h>

// Needs the other.
#include <hiredis/hiredis_ssl.h>

#include "bench/measure.hpp"
#include "bench/stage.hpp"
#include "bench/windows.hpp"

namespace valkeycache::bench {
namespace {

struct FreeTls {
  void operator()(redisSSLContext* context) const noexcept { redisFreeSSLContext(context); }
};
using Tls = std::unique_ptr<redisSSLContext, FreeTls>;

Tls make_tls(const std::string& ca_file) {
  redisInitOpenSSL();
  redisSSLContextError error = REDIS_SSL_CTX_NONE;
  Tls tls(redisCreateSSLContext(ca_file.c_str(), nullptr, nullptr, nullptr, "localhost", &error));
  if (!tls) throw std::runtime_error("raw hiredis: no TLS context");
  return tls;
}

}  // namespace

std::vector<Row> tls(Stage& stage) {
  const test::ValkeyServer server({.tls = true});
  ValkeyCacheOptions options;
  options.tls.ca_file = server.ca_file();
  const auto cache = ValkeyCache::open(server.tls_uri(), options).value();
  static_cast<void>(cache.ping().get().value());
  const Entries entries(cache, 1000, 1024);

  const auto context = make_tls(server.ca_file());
  Raw raw(server.tls_port());
  if (redisInitiateSSLWithContext(raw.context(), context.get()) != REDIS_OK) {
    throw std::runtime_error("raw hiredis: no TLS");
  }
  std::vector<GetFuture> futures(window);
  const std::vector<Side> sides{
      {"raw hiredis", window_after_window(window, [&] { raw_window(raw, entries, window); })},
      {"get", window_after_window(window, [&] { get_window(cache, entries, futures); })}};
  const auto rate = rates(take_turns(stage.options(), sides));
  return {rate.row("tls.get", "1/s", 1, 0, "ratio >= 0.9")};
}

}  // namespace valkeycache::bench
