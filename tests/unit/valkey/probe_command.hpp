// A command for tests of the sans-I/O parts: it remembers what became of it.
#pragma once

#include <optional>
#include <string>
#include <utility>
#include <vector>

#include "valkey/command.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::testing {

struct Outcome {
  std::vector<detail::Reply> early;
  std::optional<detail::Reply> reply;
  std::optional<Error> error;
  int published = 0;
};

class ProbeCommand final : public detail::CountedCommand {
 public:
  ProbeCommand(Outcome& outcome, Effect kind) : outcome_(outcome) { effect = kind; }
  bool on_early_reply(detail::Reply&& reply) override {
    outcome_.early.push_back(std::move(reply));
    return outcome_.early.back().type != detail::Reply::Type::integer;
  }
  bool on_reply(detail::Reply&& reply, detail::Counters& /*counters*/) override {
    outcome_.reply = std::move(reply);
    return outcome_.reply->type != detail::Reply::Type::integer;
  }
  void on_error(Error&& error) override { outcome_.error = std::move(error); }
  void publish() noexcept override { ++outcome_.published; }

 private:
  Outcome& outcome_;
};

// GET `key`, or SET for the other effects.
inline detail::Ref<detail::Command> probe(
    Outcome& outcome, const std::string& key,
    detail::Command::Effect effect = detail::Command::Effect::none,
    detail::SteadyTime deadline = detail::SteadyTime::max()) {
  auto command = detail::Ref<ProbeCommand>::adopt(new ProbeCommand(outcome, effect));
  command->request = effect == detail::Command::Effect::none
                         ? detail::make_request({"GET", key})
                         : detail::make_request({"SET", key, "v"});
  command->deadline = deadline;
  return command;
}

inline std::string bulk(const std::string& text) {
  return "$" + std::to_string(text.size()) + "\r\n" + text + "\r\n";
}

}  // namespace valkeycache::testing
