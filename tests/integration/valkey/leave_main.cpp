// A program that stores a value and leaves at once, in one of several ways. The test looks whether
// the value arrived.
//
//   leave_main <uri> <prefix> return|exit|static|thread
#include <valkeycache/valkey_cache.hpp>

#include <cstdlib>
#include <optional>
#include <string>
#include <thread>

using namespace valkeycache;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  const std::string how = argv[3];
  ValkeyCacheOptions options;
  options.prefix = argv[2];
  options.close_timeout = std::chrono::seconds(30);
  options.command_timeout = std::chrono::seconds(30);
  options.connect_timeout = std::chrono::seconds(30);
  auto opened = ValkeyCache::open(argv[1], options);
  if (!opened) return 3;
  auto cache = *std::move(opened);
  const auto key = CacheKey::raw({}, how).value();

  if (how == "thread") {
    std::thread([cache, key] { (void)cache.set(key, "stored"); }).join();
    return 0;
  }
  (void)cache.set(key, "stored");
  if (how == "static" || how == "exit") {
    static std::optional<ValkeyCache> kept;
    kept.emplace(std::move(cache));
    // With "exit" nothing of main's own is destroyed; what is static still is.
    if (how == "exit") std::exit(0);
  }
  return 0;
}
