// A program started by a test, which cannot outlive it.
#pragma once

#include <chrono>
#include <optional>
#include <string>
#include <vector>

#include <sys/types.h>

namespace valkeycache::test {

// Start it on a thread that lives as long as it: the kernel kills the child when that thread ends,
// so that nothing survives a test that crashes. Not thread-safe.
class ChildProcess {
 public:
  // argv[0] is a path or is looked for on the PATH. Standard input is empty; output and errors are
  // appended to output_file ("" leaves them as they are). Throws std::runtime_error when the
  // program cannot be started.
  explicit ChildProcess(std::vector<std::string> argv, std::string output_file = {});
  // Kills it.
  ~ChildProcess();
  ChildProcess(const ChildProcess&) = delete;
  ChildProcess& operator=(const ChildProcess&) = delete;

  [[nodiscard]] pid_t pid() const noexcept { return pid_; }
  [[nodiscard]] bool running();
  void signal(int number);
  // The status as waitpid() gives it; nullopt when the program still runs after that time.
  std::optional<int> wait(std::chrono::milliseconds timeout);
  // SIGTERM, and SIGKILL if it takes longer than that.
  void stop(std::chrono::milliseconds grace = std::chrono::seconds(5));

 private:
  pid_t pid_ = -1;
  std::optional<int> status_;
};

// An empty folder that is removed with all that is in it.
class TemporaryFolder {
 public:
  TemporaryFolder();
  ~TemporaryFolder();
  TemporaryFolder(const TemporaryFolder&) = delete;
  TemporaryFolder& operator=(const TemporaryFolder&) = delete;
  [[nodiscard]] const std::string& path() const noexcept { return path_; }

 private:
  std::string path_;
};

// The file's text, or its last `most` bytes; empty when it cannot be read.
std::string read_text(const std::string& path, std::size_t most = std::size_t{1} << 20);

}  // namespace valkeycache::test
