// Runs a command and takes what it writes.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <stop_token>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

struct CommandLimits {
  std::chrono::milliseconds timeout{60000};
  std::size_t max_output = std::size_t{64} << 10;
};

struct CommandResult {
  enum class End : std::uint8_t {
    exited,     // by itself; see exit_status
    signalled,  // by a signal that was not ours
    not_started,
    timed_out,
    too_large,  // it wrote more than max_output
    stopped,
  };
  End end = End::not_started;
  int exit_status = 0;
  std::string output = {};  // of its standard output; whole where it exited
};

// By /bin/sh -c, with the process's environment. It reads from and complains to /dev/null, has no
// other descriptor than these and its output, default signal handling, and a process group of its
// own, which is killed where it does not end by itself. The call waits for it to end, so that no
// zombie stays behind. What it leaves running in the background is not waited for.
CommandResult run_command(const std::string& command, const CommandLimits& limits,
                          const std::stop_token& stop);

}  // namespace detail
}  // namespace valkeycache::inline v0
