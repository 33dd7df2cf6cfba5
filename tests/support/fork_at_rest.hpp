// fork(), under a sanitizer between two moves of the other threads. The child has none of them, but
// whatever they held: a sanitizer's allocator lets go of its locks only in the parent.
#pragma once

#include <filesystem>
#include <fstream>
#include <string>
#include <system_error>

#include <unistd.h>

#include "support/sanitized.hpp"
#include "support/valkey/wait.hpp"

namespace valkeycache::test {

// Whether all threads of this process but the calling one sleep.
inline bool others_sleep() {
  const auto own = std::to_string(gettid());
  std::error_code error;
  for (const auto& task : std::filesystem::directory_iterator("/proc/self/task", error)) {
    if (task.path().filename() == own) continue;
    std::ifstream file(task.path() / "stat");
    std::string stat;
    std::getline(file, stat);
    const auto name_ends = stat.rfind(") ");
    if (name_ends != std::string::npos && stat[name_ends + 2] != 'S') return false;
  }
  return true;
}

inline pid_t fork_at_rest() {
  if (sanitized) (void)wait_until(others_sleep);
  return fork();
}

}  // namespace valkeycache::test
