#include "support/valkey/child_process.hpp"

#include <cerrno>
#include <csignal>
#include <cstdlib>
#include <cstring>
#include <filesystem>
#include <fstream>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

#include "support/valkey/wait.hpp"

namespace valkeycache::test {
namespace {

// In the child: only calls that are safe after a fork() of a program with threads.
[[noreturn]] void become(char* const* argv, const char* output_file, pid_t parent, int failure) {
  prctl(PR_SET_PDEATHSIG, SIGKILL);
  if (getppid() != parent) _exit(126);  // it died before it could be asked to tell us
  sigset_t none;
  sigemptyset(&none);
  sigprocmask(SIG_SETMASK, &none, nullptr);

  const int input = open("/dev/null", O_RDONLY);
  if (input >= 0) dup2(input, STDIN_FILENO);
  if (*output_file != '\0') {
    const int output = open(output_file, O_WRONLY | O_CREAT | O_APPEND, 0600);
    if (output >= 0) {
      dup2(output, STDOUT_FILENO);
      dup2(output, STDERR_FILENO);
    }
  }
  execvp(argv[0], argv);
  const int error = errno;
  [[maybe_unused]] const auto written = write(failure, &error, sizeof error);
  _exit(127);
}

}  // namespace

ChildProcess::ChildProcess(std::vector<std::string> argv, std::string output_file) {
  std::vector<char*> pointers;
  pointers.reserve(argv.size() + 1);
  for (auto& argument : argv) pointers.push_back(argument.data());
  pointers.push_back(nullptr);

  // Closed by a successful exec; otherwise it brings the reason.
  int failure[2];
  if (pipe2(failure, O_CLOEXEC) != 0) throw std::runtime_error("pipe2 failed");
  const pid_t parent = getpid();
  pid_ = fork();
  if (pid_ == 0) become(pointers.data(), output_file.c_str(), parent, failure[1]);
  close(failure[1]);
  int error = 0;
  const auto got = pid_ < 0 ? -1 : read(failure[0], &error, sizeof error);
  close(failure[0]);
  if (pid_ < 0) throw std::runtime_error("fork failed");
  if (got > 0) {
    waitpid(pid_, nullptr, 0);
    throw std::runtime_error("cannot run " + argv[0] + ": " + std::strerror(error));
  }
}

ChildProcess::~ChildProcess() {
  if (!running()) return;
  signal(SIGKILL);
  wait(patience);
}

bool ChildProcess::running() {
  return !wait(std::chrono::milliseconds(0));
}

void ChildProcess::signal(int number) {
  if (!status_) kill(pid_, number);
}

std::optional<int> ChildProcess::wait(std::chrono::milliseconds timeout) {
  wait_until(
      [this] {
        int status = 0;
        if (!status_ && waitpid(pid_, &status, WNOHANG) == pid_) status_ = status;
        return status_.has_value();
      },
      timeout);
  return status_;
}

void ChildProcess::stop(std::chrono::milliseconds grace) {
  signal(SIGCONT);  // a stopped process would not notice
  signal(SIGTERM);
  if (wait(grace)) return;
  signal(SIGKILL);
  wait(patience);
}

TemporaryFolder::TemporaryFolder() {
  // Short, since the path of a Unix socket has room for 107 characters only.
  std::string name = (std::filesystem::temp_directory_path() / "vkc-XXXXXX").string();
  if (mkdtemp(name.data()) == nullptr) throw std::runtime_error("mkdtemp failed: " + name);
  path_ = name;
}

TemporaryFolder::~TemporaryFolder() {
  std::error_code ignored;
  std::filesystem::remove_all(path_, ignored);
}

std::string read_text(const std::string& path, std::size_t most) {
  std::ifstream file(path, std::ios::binary);
  std::ostringstream bytes;
  bytes << file.rdbuf();  // what vanishes while it is read, as files of /proc do, is short
  std::string text = std::move(bytes).str();
  if (text.size() > most) text.erase(0, text.size() - most);
  return text;
}

}  // namespace valkeycache::test
