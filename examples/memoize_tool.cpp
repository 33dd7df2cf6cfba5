// Not only answers of models are dear: what a tool found out can be kept as well. CacheKey::raw
// names anything; its namespaces can be cleared by themselves.
#include <valkeycache/valkey_cache.hpp>

#include <cstdlib>
#include <iostream>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

std::string weather_from_far_away(const std::string& city) {
  std::cout << "(looking up the weather in " << city << ")\n";
  return "sunny in " + city;
}

std::string weather(const ValkeyCache& cache, const std::string& city) {
  const auto key = CacheKey::raw({"tools", "weather"}, city);
  // A name that cannot be a key ("Aix/Marseille" would be two) is looked up each time, and so is
  // every name while Valkey is down.
  if (key) {
    if (auto found = cache.get(*key).get(); found && *found) return **std::move(found);
  }
  auto report = weather_from_far_away(city);
  if (key) (void)cache.set(*key, report, 10min);  // not waited for
  return report;
}

}  // namespace

int main() {
  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379").value();
  for (const auto* city : {"Turku", "Aix/Marseille", "Turku"}) {
    std::cout << weather(cache, city) << '\n';
  }
  std::cout << cache.clear({"tools", "weather"}).get().value() << " report forgotten\n";
}
