// Processors that do not fall asleep. On a virtual machine waking one from its halt takes longer
// than the answers that are measured, and differs from minute to minute.
#pragma once

#include <csignal>
#include <vector>

#include <sched.h>
#include <sys/prctl.h>
#include <sys/wait.h>
#include <unistd.h>

namespace valkeycache::bench {

// A process for each processor turns for as long as this lives, and gives way to whatever else
// wants to run (SCHED_IDLE). Processes, so that their time is not counted as ours. To be made
// before any thread is.
class AwakeProcessors {
 public:
  explicit AwakeProcessors(unsigned processors) {
    for (unsigned i = 0; i < processors; ++i) {
      const pid_t child = fork();
      if (child == 0) turn();
      if (child > 0) children_.push_back(child);
    }
  }
  ~AwakeProcessors() {
    for (const auto child : children_) {
      kill(child, SIGKILL);
      waitpid(child, nullptr, 0);
    }
  }
  AwakeProcessors(const AwakeProcessors&) = delete;
  AwakeProcessors& operator=(const AwakeProcessors&) = delete;

 private:
  [[noreturn]] static void turn() {
    prctl(PR_SET_PDEATHSIG, SIGKILL);
    const sched_param none{};
    if (sched_setscheduler(0, SCHED_IDLE, &none) != 0) _exit(0);
    for (volatile bool for_ever = true; for_ever;) {
    }
    _exit(0);
  }

  std::vector<pid_t> children_;
};

}  // namespace valkeycache::bench
