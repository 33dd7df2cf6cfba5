// The threads of this process, by name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

#include <pthread.h>

namespace valkeycache::test {

// How many threads of this process have the name.
inline std::size_t threads_named(const std::string& name) {
  std::size_t found = 0;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task")) {
    std::ifstream file(task.path() / "comm");
    std::string line;
    std::getline(file, line);
    found += line == name;
  }
  return found;
}

inline std::string own_thread_name() {
  char name[16] = {};
  pthread_getname_np(pthread_self(), name, sizeof name);
  return name;
}

}  // namespace valkeycache::test
