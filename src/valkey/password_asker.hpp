// Asking a PasswordProvider off the I/O thread: it may block for as long as it likes.
#pragma once

#include <valkeycache/password.hpp>

#include <functional>
#include <memory>
#include <optional>

namespace valkeycache::inline v0 {
namespace detail {

// One question at a time, on a thread of its own that nobody ever waits for.
class PasswordAsker {
 public:
  // `wake` is called on the asking thread when there is an answer.
  PasswordAsker(PasswordProvider provider, std::function<void()> wake);
  ~PasswordAsker();
  PasswordAsker(const PasswordAsker&) = delete;
  PasswordAsker& operator=(const PasswordAsker&) = delete;

  // Begins, unless a question is under way already or was answered a moment ago (that answer then
  // serves).
  void start();
  [[nodiscard]] bool under_way() const;
  // The answer, once. An error is ErrorCode::authentication and says nothing that the provider
  // said, for that may be secret.
  std::optional<Result<Password>> poll();

 private:
  struct Shared;
  const PasswordProvider provider_;
  const std::shared_ptr<Shared> shared_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
