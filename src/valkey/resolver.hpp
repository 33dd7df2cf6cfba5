// Host names to addresses, off the I/O thread: getaddrinfo blocks for as long as it likes.
#pragma once

#include <valkeycache/result.hpp>

#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

// Numeric addresses, in the order in which they are to be tried.
using Addresses = std::vector<std::string>;

// How a host's addresses are found; blocks for as long as it likes. Called on a thread of its own.
using Resolve = std::function<Result<Addresses>(const std::string& host)>;
// getaddrinfo.
Result<Addresses> resolve_by_system(const std::string& host);

// One resolution at a time, on a thread of its own that nobody ever waits for: a resolver that
// hangs costs that thread and nothing else.
class Resolver {
 public:
  // `wake` is called on the resolving thread when there is an outcome; it must outlive the resolver
  // or be harmless afterwards.
  explicit Resolver(std::function<void()> wake, Resolve resolve = resolve_by_system);
  ~Resolver();
  Resolver(const Resolver&) = delete;
  Resolver& operator=(const Resolver&) = delete;

  // Begins, unless one is under way for the same host already (its outcome then serves).
  void start(const std::string& host);
  // The outcome, once.
  std::optional<Result<Addresses>> poll();
  // Forgets an outcome that comes later.
  void forget();

 private:
  struct Shared;
  const Resolve resolve_;
  std::shared_ptr<Shared> shared_;
};

// The address itself when the host is a numeric one.
[[nodiscard]] bool is_numeric_address(const std::string& host) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
