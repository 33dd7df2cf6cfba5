#include "valkey/resolver.hpp"

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include <arpa/inet.h>
#include <netdb.h>
#include <netinet/in.h>
#include <sys/socket.h>

#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct Resolver::Shared {
  std::mutex mutex;
  std::function<void()> wake;  // emptied when nobody is interested any more
  bool running = false;
  bool wanted = false;
  std::string host;
  std::optional<Result<Addresses>> outcome;
};

Result<Addresses> resolve_by_system(const std::string& host) {
  addrinfo hints{};
  hints.ai_socktype = SOCK_STREAM;
  hints.ai_flags = AI_ADDRCONFIG;
  addrinfo* found = nullptr;
  int rc = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  if (rc == EAI_NONAME || rc == EAI_ADDRFAMILY || rc == EAI_NODATA) {
    // A machine with loopback only: AI_ADDRCONFIG would rule out everything.
    hints.ai_flags = 0;
    rc = getaddrinfo(host.c_str(), nullptr, &hints, &found);
  }
  if (rc != 0) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = std::string("the host name cannot be resolved: ") + gai_strerror(rc),
                 .retryable = true};
  }
  Addresses addresses;
  for (const auto* at = found; at != nullptr; at = at->ai_next) {
    char text[NI_MAXHOST];
    if (getnameinfo(at->ai_addr, at->ai_addrlen, text, sizeof text, nullptr, 0, NI_NUMERICHOST) ==
        0) {
      addresses.emplace_back(text);
    }
  }
  freeaddrinfo(found);
  if (addresses.empty()) {
    return Error{.code = ErrorCode::connect_failed,
                 .message = "the host name has no address",
                 .retryable = true};
  }
  return addresses;
}

Resolver::Resolver(std::function<void()> wake, Resolve resolve)
    : resolve_(std::move(resolve)), shared_(std::make_shared<Shared>()) {
  shared_->wake = std::move(wake);
}

Resolver::~Resolver() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wake = nullptr;
}

void Resolver::start(const std::string& host) {
  const auto previous = shared_;
  {
    const std::lock_guard lock(previous->mutex);
    previous->outcome.reset();
    if (previous->running && previous->host == host) {
      previous->wanted = true;
      return;
    }
    if (previous->running) {  // for another host, and hanging: leave it to itself
      shared_ = std::make_shared<Shared>();
      shared_->wake = std::exchange(previous->wake, nullptr);
      previous->wanted = false;
    }
    shared_->wanted = true;
    shared_->running = true;
    shared_->host = host;
  }
  try {
    const AllSignalsBlocked blocked;
    std::thread([shared = shared_, resolve = resolve_, host] {
      name_this_thread("vkc-resolve");
      auto outcome = resolve(host);
      const std::lock_guard lock(shared->mutex);
      shared->running = false;
      if (!shared->wanted) return;
      shared->outcome.emplace(std::move(outcome));
      if (shared->wake) shared->wake();
    }).detach();
  } catch (const std::system_error&) {
    const std::lock_guard lock(shared_->mutex);
    shared_->running = false;
    shared_->outcome.emplace(Error{.code = ErrorCode::connect_failed,
                                   .message = "no thread could be started to resolve the host name",
                                   .retryable = true});
  }
}

std::optional<Result<Addresses>> Resolver::poll() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->outcome, std::nullopt);
}

void Resolver::forget() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wanted = false;
  shared_->outcome.reset();
}

bool is_numeric_address(const std::string& host) noexcept {
  in6_addr address{};
  return inet_pton(AF_INET, host.c_str(), &address) == 1 ||
         inet_pton(AF_INET6, host.c_str(), &address) == 1;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
