// What a program may plug in: an executor for continuations and a sink for log records; and what
// every call may be given.
#pragma once

#include <valkeycache/detail/unique_function.hpp>

#include <chrono>
#include <cstdint>
#include <functional>
#include <optional>
#include <stop_token>
#include <string_view>

namespace valkeycache::inline v0 {

// A piece of work, run at most once. Move-only.
using Task = detail::UniqueFunction<void()>;

// Runs tasks on threads of the program's own: an Asio io_context, a libuv loop, a pool. Called from
// any thread, with no lock of the library held; it must not run the task inside the call if that
// could block. Without one, continuations run on the library's I/O thread.
using Executor = std::function<void(Task)>;

enum class LogLevel : std::uint8_t { debug, info, warning, error };

// Valid only during the call. Never holds secrets, prompts or answers.
struct LogRecord {
  LogLevel level = LogLevel::info;
  std::string_view component;  // "valkey", "bedrock", "cached", "future"
  std::string_view message;
};

// Called from any thread, with no lock held; should return soon. What it throws is swallowed. It
// may be called for a little longer than its client lives, where the last handle is destroyed in a
// continuation: what it refers to has to be there still.
using LogHook = std::function<void(const LogRecord&)>;

// Accepted by every call that may wait.
struct CallOptions {
  // Everything in it: queueing, connecting, writing, reading and retries. Unset: the client's
  // default. Zero or less: the call fails with ErrorCode::timeout at once.
  std::optional<std::chrono::milliseconds> timeout = {};
  // Triggered: the call ends with ErrorCode::cancelled as soon as it is noticed.
  std::stop_token stop_token = {};
};

}  // namespace valkeycache::inline v0
