// valkeycache_bench_probe PORT PID OPERATION COUNT: one number about one operation, in a process
// where nothing else went on before.
//
//   raw_alone, get_alone, ask_alone    allocations an operation; one at a time
//   raw_many, get_many, then_many, co_await_many
//                                      the same; 1,024 in flight
//   raw_idle, cache_idle               bytes a client that does nothing
//   raw_waiting, cache_waiting         bytes an operation that waits for its answer
//   cluster_alone, cluster_many        as get_alone and get_many, with a node of a cluster at PORT
#include <valkeycache/cached_llm.hpp>

#include <atomic>
#include <csignal>
#include <cstdlib>
#include <functional>
#include <iostream>
#include <map>
#include <thread>

#include <unistd.h>

#include "bench/computing.hpp"
#include "bench/windows.hpp"
#include "support/valkey/child_process.hpp"
#include "support/valkey/wait.hpp"

// Every allocation of the process is counted: of hiredis, of the library, of std.
namespace {
std::atomic<std::uint64_t> allocation_count = 0;
}

#if defined(__GLIBC__)
extern "C" {
void* __libc_malloc(std::size_t);                 // NOLINT
void* __libc_calloc(std::size_t, std::size_t);    // NOLINT
void* __libc_realloc(void*, std::size_t);         // NOLINT
void* __libc_memalign(std::size_t, std::size_t);  // NOLINT

void* malloc(std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return __libc_malloc(size);
}
void* calloc(std::size_t count, std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return __libc_calloc(count, size);
}
void* realloc(void* old, std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return __libc_realloc(old, size);
}
void* aligned_alloc(std::size_t alignment, std::size_t size) {
  allocation_count.fetch_add(1, std::memory_order_relaxed);
  return __libc_memalign(alignment, size);
}
}
#endif

namespace valkeycache::bench {
namespace {

struct Place {
  std::uint16_t port;
  pid_t server;

  [[nodiscard]] Raw raw() const { return Raw(port); }
  [[nodiscard]] ValkeyCache open(const std::string& scheme = "valkey") const {
    ValkeyCacheOptions patient;  // valgrind is slow, and a stopped server slower
    patient.connect_timeout = std::chrono::minutes(2);
    patient.command_timeout = std::chrono::minutes(2);
    patient.close_timeout = std::chrono::milliseconds(0);
    auto cache =
        ValkeyCache::open(scheme + "://127.0.0.1:" + std::to_string(port), std::move(patient))
            .value();
    static_cast<void>(cache.ping().get().value());
    return cache;
  }
};

double resident_bytes() {
  const auto text = test::read_text("/proc/self/statm");
  const auto resident = std::stod(text.substr(text.find(' ')));
  return resident * static_cast<double>(sysconf(_SC_PAGESIZE));
}

// Allocations in each of `count` operations, which go by windows; after some to warm up.
template <class Window>
double counted(std::size_t count, std::size_t in_flight, Window run_window) {
  for (std::size_t done = 0; done < 2 * window; done += in_flight) run_window();
  const auto before = allocation_count.load();
  std::size_t done = 0;
  for (; done < count; done += in_flight) run_window();
  return static_cast<double>(allocation_count.load() - before) / static_cast<double>(done);
}

double raw_gets(const Place& place, std::size_t count, std::size_t in_flight) {
  const Entries entries(place.open(), 100, 1024);
  auto raw = place.raw();
  return counted(count, in_flight, [&] { raw_window(raw, entries, in_flight); });
}

double cache_gets(const Place& place, std::size_t count, std::size_t in_flight) {
  const auto cache = place.open();
  const Entries entries(cache, 100, 1024);
  std::vector<Future<std::optional<std::string>>> futures(in_flight);
  return counted(count, in_flight, [&] { get_window(cache, entries, futures); });
}

// Enough of them that every node of a thousand has some.
double cluster_gets(const Place& place, std::size_t count, std::size_t in_flight) {
  const auto cache = place.open("valkey+cluster");
  const Entries entries(cache, 2 * window, 100);
  std::vector<Future<std::optional<std::string>>> futures(in_flight);
  std::size_t next = 0;
  return counted(count, in_flight, [&] {
    for (std::size_t i = 0; i < in_flight; ++i) futures[i] = cache.get(entries.key(next++));
    for (auto& future : futures) entries.require_hit(future.get());
  });
}

double asks(const Place& place, std::size_t count) {
  const auto cache = place.open();
  const auto model = make_text_llm({.model = "m"}, [](const ChatRequest&) { return text(1024); });
  CachedLlmOptions patient;
  patient.advanced.command_timeout = std::chrono::minutes(2);
  const CachedLlm llm(cache, model, patient);
  const auto prompt = text(128);
  static_cast<void>(llm.ask(prompt).get().value());
  static_cast<void>(cache.flush(std::chrono::minutes(2)).get().value());
  return counted(count, 1, [&] {
    if (!llm.ask(prompt).get().value().cached) throw std::runtime_error("ask: no hit");
  });
}

double then_gets(const Place& place, std::size_t count) {
  const auto cache = place.open();
  const Entries entries(cache, 100, 1024);
  Countdown countdown;
  return counted(count, window, [&] { then_window(cache, entries, window, countdown); });
}

double co_await_gets(const Place& place, std::size_t count) {
  const auto cache = place.open();
  const Entries entries(cache, 100, 1024);
  Countdown countdown;
  return counted(count, window, [&] { co_await_window(cache, entries, window, countdown); });
}

double raw_idle(const Place& place, std::size_t count) {
  const auto first = place.raw();
  std::vector<Raw> clients;
  clients.reserve(count);
  const auto before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) {
    clients.push_back(place.raw());
    static_cast<void>(clients.back().call(RawCommand({"PING"})));
  }
  return (resident_bytes() - before) / static_cast<double>(count);
}

double cache_idle(const Place& place, std::size_t count) {
  const auto first = place.open();
  std::vector<ValkeyCache> clients;
  clients.reserve(count);
  const auto before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) clients.push_back(place.open());
  return (resident_bytes() - before) / static_cast<double>(count);
}

// The server answers nothing while this lives.
class Stopped {
 public:
  explicit Stopped(pid_t server) : server_(server) {
    kill(server_, SIGSTOP);
    const std::string file = "/proc/" + std::to_string(server) + "/stat";
    if (!test::wait_until([&] {
          const auto stat = test::read_text(file);
          return stat.find(") T") != std::string::npos;
        })) {
      throw std::runtime_error("the server does not stop");
    }
  }
  ~Stopped() { kill(server_, SIGCONT); }
  Stopped(const Stopped&) = delete;
  Stopped& operator=(const Stopped&) = delete;

 private:
  pid_t server_;
};

double raw_waiting(const Place& place, std::size_t count) {
  const Entries entries(place.open(), 100, 1024);
  auto raw = place.raw();
  const Stopped stopped(place.server);
  const auto before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) raw.append(entries.raw_get(i));
  return (resident_bytes() - before) / static_cast<double>(count);
}

double cache_waiting(const Place& place, std::size_t count) {
  const auto cache = place.open();
  const Entries entries(cache, 100, 1024);
  std::vector<Future<std::optional<std::string>>> futures(count);
  const Stopped stopped(place.server);
  const auto before = resident_bytes();
  for (std::size_t i = 0; i < count; ++i) futures[i] = cache.get(entries.key(i));
  return (resident_bytes() - before) / static_cast<double>(count);
}

using Operation = std::function<double(const Place&, std::size_t)>;

const std::map<std::string, Operation>& operations() {
  static const std::map<std::string, Operation> all{
      {"raw_alone",
       [](const Place& place, std::size_t n) {
         return raw_gets(place, n, 1);
       }},
      {"get_alone",
       [](const Place& place, std::size_t n) {
         return cache_gets(place, n, 1);
       }},
      {"ask_alone", asks},
      {"raw_many",
       [](const Place& place, std::size_t n) {
         return raw_gets(place, n, window);
       }},
      {"get_many",
       [](const Place& place, std::size_t n) {
         return cache_gets(place, n, window);
       }},
      {"cluster_alone",
       [](const Place& place, std::size_t n) {
         return cluster_gets(place, n, 1);
       }},
      {"cluster_many",
       [](const Place& place, std::size_t n) {
         return cluster_gets(place, n, window);
       }},
      {"then_many", then_gets},
      {"co_await_many", co_await_gets},
      {"raw_idle", raw_idle},
      {"cache_idle", cache_idle},
      {"raw_waiting", raw_waiting},
      {"cache_waiting", cache_waiting},
  };
  return all;
}

}  // namespace
}  // namespace valkeycache::bench

int main(int argc, char** argv) {
  using namespace valkeycache::bench;
  try {
    if (argc != 5) throw std::runtime_error("usage: PORT PID OPERATION COUNT");
    const Place place{static_cast<std::uint16_t>(std::stoul(argv[1])),
                      static_cast<pid_t>(std::stol(argv[2]))};
    std::cout << operations().at(argv[3])(place, std::stoul(argv[4])) << std::endl;
    return 0;
  } catch (const std::exception& error) {
    std::cerr << error.what() << '\n';
    return 1;
  }
}
