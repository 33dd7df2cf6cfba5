// Connection: one server, reached again and again. Resolves, connects, shakes hands, carries a
// pipeline's bytes, and after a loss starts over with backoff.
#pragma once

#include <valkeycache/valkey_cache.hpp>

#include <atomic>
#include <cstdint>
#include <memory>
#include <optional>
#include <string>

#include "base/errors.hpp"
#include "valkey/backend.hpp"
#include "valkey/backoff.hpp"
#include "valkey/handshake.hpp"
#include "valkey/login.hpp"
#include "valkey/near_commands.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/password_asker.hpp"
#include "valkey/pipeline.hpp"
#include "valkey/poller.hpp"
#include "valkey/resolver.hpp"
#include "valkey/tls_context.hpp"
#include "valkey/transport.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What a connection that is one of many has to do with the others.
struct ConnectionTies {
  NearFeed* near = nullptr;  // in place of a near cache of its own
  PipelineTies pipeline = {};
  Poller::Watched* watched = nullptr;
  bool to_replica = false;
};

class Connection final : public Backend {
 public:
  // The options are checked ones; they, the poller and the counters outlive the connection.
  Connection(const ValkeyCacheOptions& options, Poller& poller, Counters& counters,
             std::shared_ptr<TlsContext> tls = nullptr, Resolve resolve = resolve_by_system,
             ConnectionTies ties = {});
  ~Connection() override;

  void accept(Ref<Command> command) override { pipeline_.add(std::move(command)); }
  void cancel(Command& command) override { pipeline_.fail(command, error_cancelled()); }
  void drive(SteadyTime now, Poller::Ready ready) override;
  [[nodiscard]] bool steerable() const override { return state_ == State::ready; }
  void send_early() override;
  [[nodiscard]] bool owes_replies() const override;
  bool take_replies() override;
  bool await_replies() override;
  [[nodiscard]] std::optional<SteadyTime> next_time() const override;
  void publish() override { pipeline_.publish(); }
  void begin_closing() override;
  void finish_closing() override;
  [[nodiscard]] bool idle() const override { return pipeline_.idle(); }
  std::uint64_t mark_stores() override { return pipeline_.close_store_epoch(); }
  [[nodiscard]] bool stores_done(std::uint64_t mark) const override {
    return pipeline_.stores_done_until(mark);
  }
  [[nodiscard]] Load load() const override { return {pipeline_.load(), pipeline_.load_bytes()}; }
  [[nodiscard]] NearTier* near() noexcept override { return near_ ? &*near_ : nullptr; }
  [[nodiscard]] bool connected() const noexcept override { return protocol() != 0; }
  [[nodiscard]] int protocol() const noexcept override {
    return protocol_.load(std::memory_order_relaxed);
  }

  // --- for one of many ---
  // A wake-up may be for it that no descriptor tells of.
  [[nodiscard]] bool resolving() const {
    return state_ == State::resolving || (asker_ && asker_->under_way());
  }
  // What went wrong when it was last tried or lost; null while all is well.
  [[nodiscard]] const Error* trouble() const noexcept { return trouble_ ? &*trouble_ : nullptr; }
  [[nodiscard]] std::vector<Ref<Command>> take_waiting() { return pipeline_.take_waiting(); }
  // Since when it has owed replies and sent nothing; nullopt: it owes none.
  [[nodiscard]] std::optional<SteadyTime> silent_since() const {
    if (state_ != State::ready || pipeline_.slots_in_flight() == 0) return std::nullopt;
    return last_progress_;
  }
  // Counts what has come from the server: to take bytes without a word is no answer.
  [[nodiscard]] std::uint64_t times_heard() const noexcept { return times_heard_; }
  // Gives up the connection that stands, for this reason, and makes another.
  void restart(const char* why, SteadyTime now);

 private:
  enum class State : std::uint8_t { pausing, resolving, connecting, asking, handshaking, ready };

  void begin_attempt(SteadyTime now);
  void take_addresses(SteadyTime now);
  void try_next_address(SteadyTime now);
  void carry_connecting(SteadyTime now);
  void ask_password(SteadyTime now);
  void take_password(SteadyTime now);
  void begin_handshake(const std::string& password);
  void carry_handshake(SteadyTime now, Poller::Ready ready);
  void carry_commands(SteadyTime now, Poller::Ready ready);
  enum class Took : std::uint8_t { none, some, lost };
  Took take_replies(Transport::Moved moved);
  bool read_replies();
  bool write_commands(SteadyTime now);
  Result<std::unique_ptr<Transport>> made_secure(std::unique_ptr<Transport> socket);
  void adopt(std::unique_ptr<Transport> transport, SteadyTime now);
  void drop_transport();
  void want_write(bool wanted);
  // The attempt failed. A refusal by the server itself also ends the calls that wait.
  void attempt_failed(Error why, SteadyTime now, bool refused);
  void lost(Error why, SteadyTime now);
  // Sends AUTH with a fresh password when that is due.
  void stay_logged_in(SteadyTime now);
  // Asks the server for a sign of life when the near cache needs one.
  void keep_near_honest(SteadyTime now);
  void log(LogLevel level, const std::string& message) const;

  const ValkeyCacheOptions& options_;
  Poller& poller_;
  Counters& counters_;
  const ConnectionTies ties_;
  std::optional<NearTier> near_;  // before the pipeline, whose commands refer to it
  NearFeed* const feed_;          // that, or another's, or null
  Login login_;                   // likewise
  Pipeline pipeline_;
  Ref<Heartbeat> heartbeat_;                // the last one
  Ref<Reauthentication> reauthentication_;  // the last one
  std::optional<PasswordAsker> asker_;      // where there is a provider
  Resolver resolver_;
  Backoff backoff_;
  std::shared_ptr<TlsContext> tls_;  // null: plain text

  State state_ = State::pausing;
  SteadyTime next_attempt_{};      // while pausing
  SteadyTime attempt_deadline_{};  // until ready
  SteadyTime address_deadline_{};  // while connecting
  Addresses addresses_;
  std::size_t next_address_ = 0;
  std::unique_ptr<Transport> transport_;
  bool wants_write_ = false;
  std::optional<Handshake> handshake_;
  std::size_t handshake_sent_ = 0;
  std::unique_ptr<char[]> buffer_;
  // Of the last failed attempt or loss; none while all is well.
  std::optional<Error> trouble_;
  bool trouble_told_ = false;
  // When bytes last arrived, room was last made for more, or replies first had to be waited for.
  SteadyTime last_progress_{};
  std::uint64_t times_heard_ = 0;
  bool proven_ = false;  // this connection has answered a command
  std::atomic<int> protocol_{0};
};

}  // namespace detail
}  // namespace valkeycache::inline v0
