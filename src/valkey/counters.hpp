// What a cache counts. Written by its I/O thread mostly, read by anybody.
#pragma once

#include "base/counter.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Counters {
  Counter gets, hits, misses, sets, erased;
  Counter errors, timeouts, cancelled, overloaded;
  Counter connects, connect_failures, bytes_sent, bytes_received;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
