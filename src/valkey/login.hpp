// Login: when a connection's password comes to the end of its life, and the AUTH that renews it.
#pragma once

#include <valkeycache/password.hpp>

#include <algorithm>
#include <chrono>
#include <optional>
#include <random>
#include <string>

#include "valkey/command.hpp"
#include "valkey/server_error.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Sans-I/O; of one connection.
class Login {
 public:
  // AUTH has been sent, or is about to be, with a password of that life.
  void logged_in(std::chrono::milliseconds life, SteadyTime now) {
    life_ = std::min<std::chrono::milliseconds>(life, std::chrono::hours(24 * 365));
    due_ = SteadyTime::max();
    if (life_.count() == 0) return;
    std::uniform_int_distribution<std::int64_t> spread(0, life_.count() / 10);
    std::random_device random;
    due_ = now + life_ * 3 / 4 + std::chrono::milliseconds(spread(random));
  }
  void logged_out() { due_ = SteadyTime::max(); }
  // It did not work: again soon, but not all the time.
  void failed(SteadyTime now) {
    due_ = now + std::clamp<std::chrono::milliseconds>(life_ / 50, std::chrono::milliseconds(20),
                                                       std::chrono::minutes(1));
  }
  // When another password is to be asked for.
  [[nodiscard]] SteadyTime due() const noexcept { return due_; }

 private:
  std::chrono::milliseconds life_{0};
  SteadyTime due_ = SteadyTime::max();
};

// AUTH between other commands.
class Reauthentication final : public CountedCommand {
 public:
  Reauthentication(Login& login, const std::string& username, const std::string& password,
                   SteadyTime until)
      : login_(login) {
    if (username.empty()) {
      append_request(request, {"AUTH", password});
    } else {
      append_request(request, {"AUTH", username, password});
    }
    deadline = until;
    pinned = internal = true;
    times_sent = 1;  // a new connection has a log-in of its own
  }
  [[nodiscard]] bool under_way() const noexcept { return is_waiting || in_flight; }
  // Why it failed, once.
  std::optional<Error> take_failure() { return std::exchange(failure_, std::nullopt); }

  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    if (reply.type == Reply::Type::status) return true;
    on_error(reply_error("AUTH", reply));
    return reply.type == Reply::Type::error;
  }
  void on_error(Error&& error) override {
    failure_ = std::move(error);
    login_.failed(SteadyTime::clock::now());
  }
  void publish() noexcept override {}

 private:
  Login& login_;
  std::optional<Error> failure_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
