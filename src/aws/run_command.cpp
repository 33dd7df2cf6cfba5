#include "aws/run_command.hpp"

#include <algorithm>
#include <array>
#include <cerrno>
#include <csignal>
#include <optional>
#include <utility>

#include <fcntl.h>
#include <poll.h>
#include <spawn.h>
#include <sys/wait.h>
#include <unistd.h>

extern char** environ;  // NOLINT(readability-redundant-declaration): not every system declares it

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Clock = std::chrono::steady_clock;
using End = CommandResult::End;

// How soon it is seen that the command has ended, though something in the background holds its
// output, or that the client was closed.
constexpr int tick_ms = 20;

class Descriptor {
 public:
  Descriptor() = default;
  explicit Descriptor(int value) noexcept : value_(value) {}
  ~Descriptor() { reset(); }
  Descriptor(const Descriptor&) = delete;
  Descriptor& operator=(const Descriptor&) = delete;
  void reset(int value = -1) noexcept {
    if (value_ >= 0) close(value_);
    value_ = value;
  }
  [[nodiscard]] int get() const noexcept { return value_; }

 private:
  int value_ = -1;
};

bool open_pipe(Descriptor& reader, Descriptor& writer) noexcept {
  std::array<int, 2> ends{};
#if defined(__linux__)
  if (pipe2(ends.data(), O_CLOEXEC) != 0) return false;
#else
  if (pipe(ends.data()) != 0) return false;
  for (const int end : ends) fcntl(end, F_SETFD, FD_CLOEXEC);
#endif
  reader.reset(ends[0]);
  writer.reset(ends[1]);
  return fcntl(ends[0], F_SETFL, O_NONBLOCK) == 0;
}

struct Actions {
  Actions() { good = posix_spawn_file_actions_init(&value) == 0; }
  ~Actions() {
    if (good) posix_spawn_file_actions_destroy(&value);
  }
  Actions(const Actions&) = delete;
  Actions& operator=(const Actions&) = delete;
  posix_spawn_file_actions_t value{};
  bool good = false;
};
struct Attributes {
  Attributes() { good = posix_spawnattr_init(&value) == 0; }
  ~Attributes() {
    if (good) posix_spawnattr_destroy(&value);
  }
  Attributes(const Attributes&) = delete;
  Attributes& operator=(const Attributes&) = delete;
  posix_spawnattr_t value{};
  bool good = false;
};

std::optional<pid_t> start(const std::string& command, int output) {
  Actions actions;
  Attributes attributes;
  if (!actions.good || !attributes.good) return std::nullopt;
  // The output first: it may itself be 0 or 2, in a program that has closed those.
  bool good = posix_spawn_file_actions_adddup2(&actions.value, output, 1) == 0 &&
              posix_spawn_file_actions_addopen(&actions.value, 0, "/dev/null", O_RDONLY, 0) == 0 &&
              posix_spawn_file_actions_addopen(&actions.value, 2, "/dev/null", O_WRONLY, 0) == 0;
#if defined(__GLIBC__) && __GLIBC_PREREQ(2, 34)
  // What the rest of the program has open, and forgot to mark, is none of the command's business.
  good = good && posix_spawn_file_actions_addclosefrom_np(&actions.value, 3) == 0;
#endif
  // Threads of this library have all signals blocked; a child would inherit that.
  sigset_t none;
  sigset_t all;
  sigemptyset(&none);
  sigfillset(&all);
  good =
      good && posix_spawnattr_setsigmask(&attributes.value, &none) == 0 &&
      posix_spawnattr_setsigdefault(&attributes.value, &all) == 0 &&
      posix_spawnattr_setpgroup(&attributes.value, 0) == 0 &&
      posix_spawnattr_setflags(&attributes.value, POSIX_SPAWN_SETSIGMASK | POSIX_SPAWN_SETSIGDEF |
                                                      POSIX_SPAWN_SETPGROUP) == 0;
  std::string shell = "sh";
  std::string flag = "-c";
  std::string text = command;
  const std::array<char*, 4> arguments{shell.data(), flag.data(), text.data(), nullptr};
  pid_t child = 0;
  good = good && posix_spawn(&child, "/bin/sh", &actions.value, &attributes.value, arguments.data(),
                             environ) == 0;
  if (!good) return std::nullopt;
  return child;
}

// Also where somebody else in the process has taken its status.
bool has_ended(pid_t child) noexcept {
  siginfo_t information{};
  const int result =
      waitid(P_PID, static_cast<id_t>(child), &information, WEXITED | WNOHANG | WNOWAIT);
  return result != 0 ? errno == ECHILD : information.si_pid == child;
}

// Reads what there is. False once there will be no more, or too much came.
bool read_some(int reader, CommandResult& result, std::size_t max_output) {
  std::array<char, 4096> buffer{};
  for (;;) {
    const auto size = read(reader, buffer.data(), buffer.size());
    if (size < 0 && errno == EINTR) continue;
    if (size < 0) return errno == EAGAIN || errno == EWOULDBLOCK;
    if (size == 0) return false;
    result.output.append(buffer.data(), static_cast<std::size_t>(size));
    if (result.output.size() > max_output) {
      result.end = End::too_large;
      return false;
    }
  }
}

// Until the command has ended and its output was read; `end` says why where that is not so.
std::optional<End> follow(pid_t child, int reader, CommandResult& result,
                          const CommandLimits& limits, const std::stop_token& stop) {
  const auto deadline = Clock::now() + limits.timeout;
  bool open = true;
  for (;;) {
    const bool ended = has_ended(child);  // before the read, which then sees all that it wrote
    if (open) open = read_some(reader, result, limits.max_output);
    if (result.end == End::too_large) return result.end;
    if (ended) return std::nullopt;
    if (stop.stop_requested()) return End::stopped;
    const auto remaining =
        std::chrono::ceil<std::chrono::milliseconds>(deadline - Clock::now()).count();
    if (remaining <= 0) return End::timed_out;
    pollfd watched{.fd = open ? reader : -1, .events = POLLIN, .revents = 0};
    poll(&watched, 1, static_cast<int>(std::min<decltype(remaining)>(remaining, tick_ms)));
  }
}

}  // namespace

CommandResult run_command(const std::string& command, const CommandLimits& limits,
                          const std::stop_token& stop) {
  CommandResult result;
  Descriptor reader;
  Descriptor writer;
  if (!open_pipe(reader, writer)) return result;
  const auto child = start(command, writer.get());
  if (!child) return result;
  writer.reset();
  const auto early_end = follow(*child, reader.get(), result, limits, stop);
  if (early_end) kill(-*child, SIGKILL);
  int status = 0;
  pid_t reaped = 0;
  do {
    reaped = waitpid(*child, &status, 0);
  } while (reaped < 0 && errno == EINTR);
  if (early_end) {
    result.end = *early_end;
  } else if (reaped < 0 || WIFEXITED(status)) {
    // Without its status (the program ignores SIGCHLD) its output alone must tell.
    result.end = End::exited;
    result.exit_status = reaped < 0 ? 0 : WEXITSTATUS(status);
  } else {
    result.end = End::signalled;
  }
  return result;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
