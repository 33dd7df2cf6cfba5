// The main program of a peer: it waits for "W1 nanoseconds", works that long and answers with the
// number of operations and, for W1, each one's nanoseconds. Standard headers only: a peer's program
// shares nothing with the library.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <fstream>
#include <functional>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <thread>
#include <vector>

namespace valkeycache::bench::peer {

using Clock = std::chrono::steady_clock;

inline constexpr std::size_t thread_count = 8;
inline constexpr std::size_t window = 1024;
inline constexpr std::size_t batch = 100;

struct Task {
  std::uint16_t port = 0;
  std::vector<std::string> names;
  std::size_t bytes = 0;

  [[nodiscard]] const std::string& name(std::size_t i) const { return names[i % names.size()]; }
};

struct Done {
  std::uint64_t operations = 0;
  std::vector<std::uint32_t> latencies_ns = {};
};

using Work = std::function<Done(Clock::time_point until)>;
using Works = std::map<std::string, Work>;

inline void require(bool hit) {
  if (!hit) throw std::runtime_error("not the value");
}

// W1 of get(i), which throws unless it was a hit.
template <class Get>
Work one_after_the_other(Get get) {
  return [get](Clock::time_point until) mutable {
    Done done;
    for (auto before = Clock::now(); before < until;) {
      get(done.operations++);
      const auto now = Clock::now();
      done.latencies_ns.push_back(static_cast<std::uint32_t>((now - before).count()));
      before = now;
    }
    return done;
  };
}

// W2 of get(thread, i).
template <class Get>
Work by_threads(Get get) {
  return [get](Clock::time_point until) mutable {
    std::vector<std::uint64_t> operations(thread_count);
    std::vector<std::thread> threads;
    for (std::size_t thread = 0; thread < thread_count; ++thread) {
      threads.emplace_back([&, thread] {
        std::uint64_t own = 0;
        while (Clock::now() < until) get(thread, thread * 131 + own++);
        operations[thread] = own;
      });
    }
    Done done;
    for (auto& thread : threads) thread.join();
    for (const auto own : operations) done.operations += own;
    return done;
  };
}

// W3 and W4 of run(i), which does so many operations from the i-th on.
template <class Run>
Work by_pieces(std::size_t size, Run run) {
  return [size, run](Clock::time_point until) mutable {
    Done done;
    for (; Clock::now() < until; done.operations += size) run(done.operations);
    return done;
  };
}

// make(task) gives the works. The library's name, then those, are said first.
template <class Make>
int run(int argc, char** argv, const std::string& name, const std::string& version, Make make) {
  try {
    if (argc == 2 && std::string(argv[1]) == "--version") {
      std::cout << name << ' ' << version << std::endl;
      return 0;
    }
    if (argc != 6) throw std::runtime_error("started by valkeycache_bench only");
    Task task;
    task.port = static_cast<std::uint16_t>(std::stoul(argv[1]));
    std::ifstream names(argv[2]);
    for (std::string line; std::getline(names, line);) task.names.push_back(line);
    task.bytes = std::stoul(argv[3]);
    std::ifstream requests(argv[4]);
    std::ofstream answers(argv[5]);
    auto works = make(task);
    answers << name;
    for (const auto& [work, how] : works) answers << ' ' << work;
    answers << std::endl;
    std::string work;
    for (std::int64_t nanoseconds = 0; requests >> work >> nanoseconds;) {
      const auto done = works.at(work)(Clock::now() + std::chrono::nanoseconds(nanoseconds));
      answers << done.operations;
      for (const auto latency : done.latencies_ns) answers << ' ' << latency;
      answers << std::endl;
    }
    return 0;
  } catch (const std::exception& error) {
    std::cerr << name << ": " << error.what() << '\n';
    return 1;
  }
}

}  // namespace valkeycache::bench::peer
