// redis-plus-plus: its pool of blocking connections and, where it was built with that, AsyncRedis.
#include <iterator>
#include <memory>

#include <sw/redis++/redis++.h>
#include <sw/redis++/version.h>
#if __has_include(<sw/redis++/async_redis++.h>)
#include <sw/redis++/async_redis++.h>
#define VALKEYCACHE_BENCH_ASYNC_REDIS 1
#endif

#include "bench/peer_main.hpp"

namespace valkeycache::bench::peer {
namespace {

// The task outlives the works.
Works make(const Task& task) {
  sw::redis::ConnectionOptions options;
  options.host = "127.0.0.1";
  options.port = task.port;
  sw::redis::ConnectionPoolOptions pool;
  pool.size = thread_count;
  const auto redis = std::make_shared<sw::redis::Redis>(options, pool);
  const auto get = [redis, &task](std::size_t i) {
    const auto value = redis->get(task.name(i));
    require(value && value->size() == task.bytes);
  };
  Works works{{"W1", one_after_the_other(get)},
              {"W2", by_threads([get](std::size_t, std::size_t i) { get(i); })},
              {"W4", by_pieces(batch, [redis, &task](std::size_t i) {
                 const auto first = task.names.begin() + static_cast<std::ptrdiff_t>(
                                                             i % (task.names.size() - batch + 1));
                 std::vector<sw::redis::OptionalString> values;
                 values.reserve(batch);
                 redis->mget(first, first + batch, std::back_inserter(values));
                 require(values.size() == batch);
                 for (const auto& value : values) require(value && value->size() == task.bytes);
               })}};
#ifdef VALKEYCACHE_BENCH_ASYNC_REDIS
  const auto async = std::make_shared<sw::redis::AsyncRedis>(options);
  works["W3"] = by_pieces(window, [async, &task](std::size_t) {
    std::vector<sw::redis::Future<sw::redis::OptionalString>> futures;
    futures.reserve(window);
    for (std::size_t i = 0; i < window; ++i) futures.push_back(async->get(task.name(i)));
    for (auto& future : futures) {
      const auto value = future.get();
      require(value && value->size() == task.bytes);
    }
  });
#endif
  return works;
}

}  // namespace
}  // namespace valkeycache::bench::peer

int main(int argc, char** argv) {
  const auto version = std::to_string(sw::redis::VERSION_MAJOR) + "." +
                       std::to_string(sw::redis::VERSION_MINOR) + "." +
                       std::to_string(sw::redis::VERSION_PATCH);
  return valkeycache::bench::peer::run(argc, argv, "redis++", version,
                                       valkeycache::bench::peer::make);
}
