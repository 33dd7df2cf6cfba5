// A pipeline, the commands given to it, and the server at the other end, as one thing that is moved
// from state to state. It knows which moves are possible, checks after each that nothing is wrong,
// and has a name for its state, so that all states can be visited.
#pragma once

#include <array>
#include <cstdint>
#include <optional>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "valkey/pipeline.hpp"

namespace valkeycache::testing {

struct Move {
  enum class What : std::uint8_t {
    submit_read,
    submit_change,
    submit_store,
    submit_pair,  // a read that is answered by two replies
    connect,
    lose,           // the connection
    stage,          // ask what to send; the socket is full
    send_some,      // up to the middle or the end of a request
    send_all,       // all that there is
    reply_some,     // up to the next place where replies are cut
    reply_one,      // the rest of one
    reply_all,      // to all that was sent, at once
    reply_wrong,    // of a type that no command here can have; then the connection is lost
    reply_large,    // beyond the limit; then the connection is lost
    reply_unasked,  // though nothing was asked; then the connection is lost
    push,           // something out of band between two replies
    cancel,         // of the command that is named
    expire,         // likewise: its deadline passes
    expire_all,     // all deadlines pass at once
    publish,
    close,  // all but stores are given up
  };
  What what;
  std::uint8_t command = 0;
};
std::string to_string(const std::vector<Move>& path);

// What to enumerate.
struct Plan {
  std::size_t commands;
  std::vector<Move::What> kinds;  // which submissions there are
  bool every_byte = false;        // replies are cut at each byte, else at two places
  bool late_publish = false;      // outcomes may pile up, else each move publishes
};

class World {
 public:
  static constexpr std::size_t most_commands = 4;

  // The path that will be walked. It is known beforehand for the deadlines' sake: those that pass
  // on the way pass in its order.
  World(const Plan& plan, std::span<const Move> path);
  ~World();
  World(const World&) = delete;
  World& operator=(const World&) = delete;

  void make(Move move);
  // All of a path that was checked before, to get to where it leads.
  void retrace(std::span<const Move> path);
  [[nodiscard]] std::vector<Move> moves() const;
  // Two worlds with the same name have the same future.
  [[nodiscard]] std::string name() const;
  // What is wrong; empty while all is well.
  [[nodiscard]] const std::string& wrong() const { return wrong_; }

  // The two ways out of any state, each of which ends all that is left: the server answers
  // everything, or the pipeline is destroyed.
  void drain();
  void destroy();

 private:
  class Probe;
  struct Given {
    detail::Command::Effect effect = detail::Command::Effect::none;
    std::string request;
    std::string reply;           // the right one, or two
    std::size_t early_size = 0;  // of two: the first's
    detail::SteadyTime deadline;
    detail::Command* command = nullptr;
    std::uint64_t store_mark = 0;
    int touched = 0;  // connections on which a byte of it was sent
    bool staged_ever = false;
    // What it was told.
    int replies = 0;
    int errors = 0;
    int published = 0;
    std::string text;
    std::int64_t number = -1;
    Error error;

    [[nodiscard]] bool live() const { return replies + errors == 0; }
  };
  // A request in this connection's stream.
  struct Asked {
    std::size_t command;
    std::size_t begin;
    std::size_t end;
  };

  void make_unchecked(Move move);
  void submit(detail::Command::Effect effect, bool pair = false);
  void stage();
  void send(std::size_t bytes);
  void reply(std::size_t bytes);
  void reply_with(std::string_view text, detail::Pipeline::Fed expected);
  void lose();
  void end(std::size_t number, ErrorCode code);
  void expect_ended(std::size_t number, ErrorCode code);
  void check();
  void require(bool condition, std::string_view what);

  [[nodiscard]] std::size_t answerable() const;  // requests that the server has whole
  [[nodiscard]] std::vector<std::size_t> cuts(std::size_t request) const;
  [[nodiscard]] bool between_replies() const;
  [[nodiscard]] bool waiting(std::size_t number) const;
  [[nodiscard]] bool anything_live() const;

  const Plan& plan_;
  const detail::SteadyTime begin_ = detail::SteadyTime() + std::chrono::hours(1);
  detail::SteadyTime now_ = begin_;
  std::vector<detail::SteadyTime> deadlines_;
  detail::Counters counters_;
  std::array<Given, most_commands> given_;
  std::size_t submitted_ = 0;
  int probes_ = 0;
  bool closing_ = false;

  bool up_ = false;
  std::string stream_;  // all requests of this connection, sent or not
  std::size_t sent_ = 0;
  std::vector<Asked> asked_;
  std::size_t answered_ = 0;
  std::size_t reply_fed_ = 0;  // bytes of the reply to asked_[answered_]
  std::string wrong_;
  std::optional<detail::Pipeline> pipeline_;  // destroyed first: its commands speak to given_
};

}  // namespace valkeycache::testing
