// What a fleet asks a node about the fleet.
#pragma once

#include <string>
#include <utility>

#include "valkey/command.hpp"
#include "valkey/fleet_node.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

class FleetQuestion final : public CountedCommand {
 public:
  enum class About : std::uint8_t { slots, role, sentinel };

  FleetQuestion(About about, const FleetNode& asked, const std::string& sentinel_name)
      : about_(about), asked_(asked.endpoint) {
    switch (about) {
      case About::slots:
        append_request(request, {"CLUSTER", "SLOTS"});
        break;
      case About::role:
        append_request(request, {"ROLE"});
        break;
      case About::sentinel:
        append_request(request, {"SENTINEL", "GET-MASTER-ADDR-BY-NAME", sentinel_name});
        break;
    }
    internal = true;
    times_sent = 1;  // a lost connection is an answer, too
  }

  [[nodiscard]] About about() const noexcept { return about_; }
  [[nodiscard]] const ServerAddress& asked() const noexcept { return asked_; }
  [[nodiscard]] bool done() const noexcept { return done_; }
  [[nodiscard]] const Result<Reply>& answer() const noexcept { return answer_; }

  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    answer_ = std::move(reply);
    done_ = true;
    return true;
  }
  void on_error(Error&& error) override {
    answer_ = std::move(error);
    done_ = true;
  }
  void publish() noexcept override {}

 private:
  const About about_;
  const ServerAddress asked_;
  bool done_ = false;
  Result<Reply> answer_ = Reply{};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
