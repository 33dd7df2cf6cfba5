// The threads of this process, by name.
#pragma once

#include <cstddef>
#include <filesystem>
#include <fstream>
#include <string>

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

}  // namespace valkeycache::test
