#include "valkey/password_asker.hpp"

#include <mutex>
#include <system_error>
#include <thread>
#include <utility>

#include "base/io_thread.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using Clock = std::chrono::steady_clock;
constexpr std::chrono::seconds freshness{5};

Error failure(std::string message, bool retryable) {
  return {.code = ErrorCode::authentication, .message = std::move(message), .retryable = retryable};
}

// The provider is foreign code.
Result<Password> ask(const PasswordProvider& provider) noexcept {
  try {
    auto password = provider.ask();
    if (!password) {
      return failure(
          std::string("the password provider failed with ") + to_string(password.error().code),
          password.error().retryable);
    }
    if (password->text.empty()) return failure("the password provider gave no password", false);
    if (password->life.count() < 0) {
      return failure("the password provider gave a password with a negative life", false);
    }
    return password;
  } catch (...) {
    return failure("the password provider threw an exception", false);
  }
}

}  // namespace

struct PasswordAsker::Shared {
  std::mutex mutex;
  std::function<void()> wake;  // emptied when nobody is interested any more
  bool running = false;
  std::optional<Result<Password>> answer;
  Clock::time_point answered{};
};

PasswordAsker::PasswordAsker(PasswordProvider provider, std::function<void()> wake)
    : provider_(std::move(provider)), shared_(std::make_shared<Shared>()) {
  shared_->wake = std::move(wake);
}

PasswordAsker::~PasswordAsker() {
  const std::lock_guard lock(shared_->mutex);
  shared_->wake = nullptr;
}

void PasswordAsker::start() {
  {
    const std::lock_guard lock(shared_->mutex);
    if (shared_->running) return;
    // One that came too late for an attempt just now.
    const bool fresh = Clock::now() - shared_->answered < freshness;
    if (fresh && shared_->answer && *shared_->answer) return;
    shared_->answer.reset();
    shared_->running = true;
  }
  try {
    const AllSignalsBlocked blocked;
    std::thread([shared = shared_, provider = provider_] {
      name_this_thread("vkc-password");
      auto answer = ask(provider);
      const std::lock_guard lock(shared->mutex);
      shared->running = false;
      shared->answer.emplace(std::move(answer));
      shared->answered = Clock::now();
      if (shared->wake) shared->wake();
    }).detach();
  } catch (const std::system_error&) {
    const std::lock_guard lock(shared_->mutex);
    shared_->running = false;
    shared_->answer.emplace(
        failure("no thread could be started to ask the password provider", true));
  }
}

bool PasswordAsker::under_way() const {
  const std::lock_guard lock(shared_->mutex);
  return shared_->running || shared_->answer;
}

std::optional<Result<Password>> PasswordAsker::poll() {
  const std::lock_guard lock(shared_->mutex);
  return std::exchange(shared_->answer, std::nullopt);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
