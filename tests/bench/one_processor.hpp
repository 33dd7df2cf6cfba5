// A program whose threads share one processor.
#pragma once

#include <sched.h>

namespace valkeycache::bench {

// The calling thread, and those that it starts, for as long as this lives. What two threads cost
// each other is the same every time then; on a virtual machine the price of waking one on another
// processor is the host's, and many times what is to be measured.
class OneProcessor {
 public:
  OneProcessor() {
    if (sched_getaffinity(0, sizeof all_, &all_) != 0) return;
    int last = CPU_SETSIZE - 1;
    while (last > 0 && !CPU_ISSET(last, &all_)) --last;
    cpu_set_t one;
    CPU_ZERO(&one);
    CPU_SET(last, &one);
    moved_ = sched_setaffinity(0, sizeof one, &one) == 0;
  }
  ~OneProcessor() {
    if (moved_) sched_setaffinity(0, sizeof all_, &all_);
  }
  OneProcessor(const OneProcessor&) = delete;
  OneProcessor& operator=(const OneProcessor&) = delete;

 private:
  cpu_set_t all_{};
  bool moved_ = false;
};

}  // namespace valkeycache::bench
