#include "valkey/connection.hpp"

#include <algorithm>
#include <random>
#include <utility>

#include "valkey/tls_transport.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t read_size = std::size_t{64} << 10;
// Worth a system call while the server is at work anyway.
constexpr std::size_t early_batch = std::size_t{16} << 10;
// Reads in one go; then what has arrived is published, and others have their turn.
constexpr int reads_in_a_row = 8;

// A server that owes replies and is silent for this long is taken for gone. Well above the time-out
// of a command: a slow answer must not cost everybody the connection.
std::chrono::milliseconds stall_limit(const ValkeyCacheOptions& options) {
  return std::max<std::chrono::milliseconds>(std::chrono::seconds(5), options.command_timeout * 3);
}

std::optional<NearTier> make_near(const ValkeyCacheOptions& options) {
  if (options.near_cache.max_bytes == 0) return std::nullopt;
  return std::optional<NearTier>(std::in_place, options.near_cache, options.prefix);
}

}  // namespace

Connection::Connection(const ValkeyCacheOptions& options, Poller& poller, Counters& counters,
                       std::shared_ptr<TlsContext> tls, Resolve resolve, ConnectionTies ties)
    : options_(options),
      poller_(poller),
      counters_(counters),
      ties_(ties),
      near_(ties.near ? std::nullopt : make_near(options)),
      feed_(near_ ? &*near_ : ties.near),
      pipeline_({.value_bytes = options.max_value_bytes, .reply_bytes = options.max_reply_bytes},
                counters, SteadyTime::clock::now(), feed_, ties.pipeline),
      resolver_([&poller] { poller.wake(); }, std::move(resolve)),
      backoff_(options.reconnect_base, options.reconnect_cap, std::random_device{}()),
      tls_(std::move(tls)),
      buffer_(std::make_unique<char[]>(read_size)) {
  if (options.password_provider.ask) {
    asker_.emplace(options.password_provider, [&poller] { poller.wake(); });
  }
}

Connection::~Connection() {
  drop_transport();
}

void Connection::drive(SteadyTime now, Poller::Ready ready) {
  if (state_ == State::pausing && now >= next_attempt_) begin_attempt(now);
  if (state_ == State::resolving) take_addresses(now);
  if (state_ == State::connecting) carry_connecting(now);
  if (state_ == State::asking) take_password(now);
  if (state_ == State::handshaking) carry_handshake(now, ready);
  if (state_ == State::ready) carry_commands(now, ready);
  pipeline_.expire(now, state_ == State::ready || !trouble_ ? nullptr : &*trouble_);
}

std::optional<SteadyTime> Connection::next_time() const {
  auto next = pipeline_.next_deadline().value_or(SteadyTime::max());
  switch (state_) {
    case State::pausing:
      next = std::min(next, next_attempt_);
      break;
    case State::resolving:
    case State::asking:
    case State::handshaking:
      next = std::min(next, attempt_deadline_);
      break;
    case State::connecting:
      next = std::min(next, address_deadline_);
      break;
    case State::ready:
      if (transport_->unread()) return SteadyTime{};  // nothing would wake us for it
      if (pipeline_.slots_in_flight() != 0) {
        next = std::min(next, last_progress_ + stall_limit(options_));
      }
      if (feed_ && !(heartbeat_ && heartbeat_->under_way())) {
        next = std::min(next, feed_->heartbeat_due().value_or(SteadyTime::max()));
      }
      next = std::min(next, login_.due());
      break;
  }
  if (next == SteadyTime::max()) return std::nullopt;
  return next;
}

// --- becoming connected ---

void Connection::begin_attempt(SteadyTime now) {
  attempt_deadline_ = now + options_.connect_timeout;
  next_address_ = 0;
  if (!options_.unix_socket.empty()) {
    addresses_ = {options_.unix_socket};
    state_ = State::connecting;
    try_next_address(now);
  } else if (is_numeric_address(options_.host)) {
    addresses_ = {options_.host};
    state_ = State::connecting;
    try_next_address(now);
  } else {
    state_ = State::resolving;
    resolver_.start(options_.host);
  }
}

void Connection::take_addresses(SteadyTime now) {
  auto outcome = resolver_.poll();
  if (!outcome) {
    if (now >= attempt_deadline_) {
      resolver_.forget();
      attempt_failed({.code = ErrorCode::connect_failed,
                      .message = "resolving the host name took longer than connect_timeout",
                      .retryable = true},
                     now, false);
    }
    return;
  }
  if (!*outcome) {
    attempt_failed(outcome->error(), now, false);
    return;
  }
  addresses_ = **std::move(outcome);
  state_ = State::connecting;
  try_next_address(now);
}

// Each address gets an equal part of what is left, so that one which swallows packets does not keep
// us from the next.
void Connection::try_next_address(SteadyTime now) {
  drop_transport();
  Error why{.code = ErrorCode::connect_failed,
            .message = tls_ ? "no TLS within connect_timeout; is it spoken on this port?"
                            : "no connection within connect_timeout",
            .retryable = true};
  while (next_address_ < addresses_.size() && now < attempt_deadline_) {
    const auto left = addresses_.size() - next_address_;
    address_deadline_ = now + (attempt_deadline_ - now) / static_cast<std::int64_t>(left);
    const auto& address = addresses_[next_address_++];
    auto opened = options_.unix_socket.empty() ? open_tcp(address, options_.port)
                                               : open_unix(options_.unix_socket);
    if (opened && tls_) opened = made_secure(*std::move(opened));
    if (opened) {
      adopt(*std::move(opened), now);
      return;
    }
    why = opened.error();
  }
  attempt_failed(std::move(why), now, false);
}

Result<std::unique_ptr<Transport>> Connection::made_secure(std::unique_ptr<Transport> socket) {
  auto session = tls_->connection(options_.host, options_.log);
  if (session) return secure(std::move(socket), std::move(session));
  return Error{.code = ErrorCode::connect_failed,
               .message = "no memory for a TLS connection",
               .retryable = true};
}

void Connection::adopt(std::unique_ptr<Transport> transport, SteadyTime now) {
  transport_ = std::move(transport);
  wants_write_ = true;
  if (!poller_.watch(transport_->descriptor(), true, ties_.watched)) {
    drop_transport();
    attempt_failed({.code = ErrorCode::connect_failed,
                    .message = "the connection's descriptor cannot be watched",
                    .retryable = true},
                   now, false);
  }
}

void Connection::carry_connecting(SteadyTime now) {
  switch (transport_->connect()) {
    case Transport::Step::done:
      if (asker_) {
        ask_password(now);
      } else {
        begin_handshake({});
      }
      return;
    case Transport::Step::failed: {
      auto why = transport_->error();
      if (next_address_ < addresses_.size()) {
        try_next_address(now);
      } else {
        // A certificate that is wrong stays so for as long as anybody waits.
        const bool refused = why.code == ErrorCode::tls_failed;
        attempt_failed(std::move(why), now, refused);
      }
      return;
    }
    case Transport::Step::wants_read:
      want_write(false);
      break;
    case Transport::Step::wants_write:
      want_write(true);
      break;
  }
  if (now >= address_deadline_) try_next_address(now);
}

void Connection::begin_handshake(const std::string& password) {
  handshake_.emplace(options_, ties_.to_replica, password);
  handshake_sent_ = 0;
  state_ = State::handshaking;
}

void Connection::ask_password(SteadyTime now) {
  // Nothing is read meanwhile, and what can be read would wake us again and again.
  poller_.forget(transport_->descriptor(), ties_.watched);
  state_ = State::asking;
  asker_->start();
  take_password(now);
}

void Connection::take_password(SteadyTime now) {
  auto answer = asker_->poll();
  if (answer && !*answer) {
    attempt_failed(answer->error(), now, true);
  } else if (answer) {
    login_.logged_in((*answer)->life, now);
    begin_handshake((*answer)->text);
    adopt(std::move(transport_), now);
  } else if (now >= attempt_deadline_) {
    attempt_failed({.code = ErrorCode::authentication,
                    .message = "the password provider did not answer within connect_timeout",
                    .retryable = true},
                   now, false);
  }
}

void Connection::carry_handshake(SteadyTime now, Poller::Ready ready) {
  const auto& requests = handshake_->requests();
  while (handshake_sent_ < requests.size()) {
    const auto moved =
        transport_->write(requests.data() + handshake_sent_, requests.size() - handshake_sent_);
    if (moved.step == Transport::Step::failed) {
      attempt_failed(transport_->error(), now, false);
      return;
    }
    if (moved.step != Transport::Step::done) break;
    handshake_sent_ += moved.bytes;
  }
  const auto flushed = transport_->flush();
  if (flushed == Transport::Step::failed) {
    attempt_failed(transport_->error(), now, false);
    return;
  }
  want_write(handshake_sent_ < requests.size() || flushed != Transport::Step::done);
  if (ready.readable || transport_->unread()) {
    const auto moved = transport_->read(buffer_.get(), read_size);
    if (moved.step == Transport::Step::failed) {
      auto why = transport_->error();
      why.message += " during the handshake";
      const bool refused = why.code == ErrorCode::tls_failed;
      attempt_failed(std::move(why), now, refused);
      return;
    }
    if (moved.step == Transport::Step::done) {
      counters_.bytes_received.add(moved.bytes);
      switch (handshake_->feed({buffer_.get(), moved.bytes})) {
        case Handshake::Progress::more:
          break;
        case Handshake::Progress::failed:
          attempt_failed(handshake_->error(), now, true);
          return;
        case Handshake::Progress::done:
          state_ = State::ready;
          protocol_.store(handshake_->protocol(), std::memory_order_relaxed);
          if (feed_) feed_->connected(handshake_->tracking(), now);
          handshake_.reset();
          trouble_.reset();
          trouble_told_ = false;
          proven_ = false;
          last_progress_ = now;
          pipeline_.connected();
          counters_.connects.add();
          log(LogLevel::info, "connected");
          return;
      }
    }
  }
  if (now >= attempt_deadline_) {
    attempt_failed({.code = ErrorCode::connect_failed,
                    .message = "the server did not finish the handshake within connect_timeout",
                    .retryable = true},
                   now, false);
  }
}

void Connection::attempt_failed(Error why, SteadyTime now, bool refused) {
  drop_transport();
  handshake_.reset();
  login_.logged_out();
  counters_.connect_failures.add();
  if (!trouble_told_) {
    trouble_told_ = true;
    log(LogLevel::warning, "no connection to the server (" + why.message + "); trying on");
  }
  if (refused) pipeline_.fail_waiting(why);
  trouble_ = std::move(why);
  state_ = State::pausing;
  next_attempt_ = now + backoff_.next();
}

// --- being connected ---

void Connection::carry_commands(SteadyTime now, Poller::Ready ready) {
  if (feed_) keep_near_honest(now);
  if (asker_) stay_logged_in(now);
  // Written first: the server works while we read. What a full socket refuses waits for EPOLLOUT.
  const bool was_waiting = pipeline_.slots_in_flight() != 0;
  if (!write_commands(now)) {
    lost(transport_->error(), now);
    return;
  }
  if (!was_waiting) last_progress_ = now;
  const bool readable = ready.readable || transport_->unread();
  if (readable && !read_replies()) return;
  const auto silent = [&] {
    return pipeline_.slots_in_flight() != 0 && now >= last_progress_ + stall_limit(options_);
  };
  // Perhaps it was this process that slept: what has come meanwhile counts.
  if (silent() && !readable && !read_replies()) return;
  if (silent()) {
    lost({.code = ErrorCode::connection_lost,
          .message = "the server owed replies and sent nothing for " +
                     std::to_string(stall_limit(options_).count()) + " ms",
          .retryable = true},
         now);
  }
}

// The first of several sets the server to work; those behind it travel together.
void Connection::send_early() {
  if (state_ != State::ready || wants_write_) return;
  const bool was_waiting = pipeline_.slots_in_flight() != 0;
  if (was_waiting && pipeline_.waiting_bytes() < early_batch) return;
  const auto now = SteadyTime::clock::now();
  if (!was_waiting) last_progress_ = now;
  if (!write_commands(now)) lost(transport_->error(), now);
}

bool Connection::write_commands(SteadyTime now) {
  // A peer that makes room in a full socket takes bytes, so it is not silent. That the socket has
  // room for what comes first says nothing: it is our own end of it.
  const bool was_full = wants_write_;
  for (;;) {
    const auto bytes = pipeline_.to_send();
    if (bytes.empty()) {
      const auto flushed = transport_->flush();
      want_write(flushed == Transport::Step::wants_write);
      return flushed != Transport::Step::failed;
    }
    const auto moved = transport_->write(bytes.data(), bytes.size());
    if (moved.step == Transport::Step::failed) return false;
    if (moved.step != Transport::Step::done) {
      want_write(true);
      return true;
    }
    pipeline_.sent(moved.bytes);
    if (was_full) last_progress_ = now;
    if (moved.bytes < bytes.size()) {  // the socket is full
      want_write(true);
      return true;
    }
  }
}

bool Connection::read_replies() {
  for (int i = 0; i < reads_in_a_row; ++i) {
    const auto moved = transport_->read(buffer_.get(), read_size);
    const auto took = take_replies(moved);
    if (took != Took::some) return took == Took::none;
    if (moved.bytes < read_size) return true;  // drained
  }
  return true;
}

bool Connection::take_replies() {
  if (!owes_replies()) return false;
  return take_replies(transport_->read(buffer_.get(), read_size)) != Took::none;
}

bool Connection::await_replies() {
  if (!owes_replies()) return false;
  return take_replies(transport_->read_patiently(buffer_.get(), read_size)) == Took::some;
}

bool Connection::owes_replies() const {
  return state_ == State::ready && !wants_write_ && pipeline_.slots_in_flight() != 0;
}

Connection::Took Connection::take_replies(Transport::Moved moved) {
  if (moved.step != Transport::Step::done && moved.step != Transport::Step::failed) {
    return Took::none;
  }
  const auto now = SteadyTime::clock::now();
  if (moved.step == Transport::Step::failed) {
    lost(transport_->error(), now);
    return Took::lost;
  }
  last_progress_ = now;
  ++times_heard_;
  if (!proven_) {
    proven_ = true;
    backoff_.reset();
  }
  switch (pipeline_.feed({buffer_.get(), moved.bytes})) {
    case Pipeline::Fed::fine:
      return Took::some;
    case Pipeline::Fed::too_large:
      lost({.code = ErrorCode::connection_lost,
            .message = "the connection was given up over a reply beyond the limits",
            .retryable = true},
           now);
      return Took::lost;
    case Pipeline::Fed::malformed:
    case Pipeline::Fed::unsolicited:
      break;
  }
  lost({.code = ErrorCode::protocol_error,
        .message = "the server sent something that is no reply; the connection was given up",
        .retryable = true},
       now);
  return Took::lost;
}

void Connection::keep_near_honest(SteadyTime now) {
  if (heartbeat_ && heartbeat_->under_way()) return;
  const auto due = feed_->heartbeat_due();
  if (!due || now < *due) return;
  heartbeat_ = Ref<Heartbeat>::adopt(new Heartbeat(*feed_, now));
  pipeline_.add(Ref<Command>::share(heartbeat_.get()));
}

void Connection::stay_logged_in(SteadyTime now) {
  const auto failed = [&](const Error& why) {
    log(LogLevel::warning, "not logged in again (" + why.message + "); trying on");
  };
  if (reauthentication_) {
    if (const auto why = reauthentication_->take_failure()) failed(*why);
    if (reauthentication_->under_way()) return;
  }
  if (auto answer = asker_->poll()) {
    if (!*answer) {
      login_.failed(now);
      failed(answer->error());
      return;
    }
    login_.logged_in((*answer)->life, now);
    reauthentication_ = Ref<Reauthentication>::adopt(new Reauthentication(
        login_, options_.username, (*answer)->text, now + stall_limit(options_)));
    pipeline_.add(Ref<Command>::share(reauthentication_.get()));
  } else if (now >= login_.due()) {
    login_.logged_out();  // until the answer is there
    asker_->start();
  }
}

void Connection::begin_closing() {
  if (feed_) feed_->disconnected();
  pipeline_.fail_all_but_stores(error_cache_closed());
}

void Connection::lost(Error why, SteadyTime now) {
  // First: nothing that it held may be served any more when others learn of the loss.
  if (feed_) feed_->disconnected();
  drop_transport();
  log(LogLevel::warning, "connection lost: " + why.message);
  if (reauthentication_) {
    pipeline_.fail(*reauthentication_, why);
    reauthentication_ = {};
  }
  login_.logged_out();
  pipeline_.disconnected(why);
  trouble_ = std::move(why);
  trouble_told_ = true;
  state_ = State::pausing;
  next_attempt_ = now + backoff_.next();
}

void Connection::restart(const char* why, SteadyTime now) {
  if (state_ != State::ready) return;
  lost({.code = ErrorCode::connection_lost, .message = why, .retryable = true}, now);
}

void Connection::drop_transport() {
  protocol_.store(0, std::memory_order_relaxed);
  if (!transport_) return;
  poller_.forget(transport_->descriptor(), ties_.watched);
  transport_.reset();
}

void Connection::finish_closing() {
  pipeline_.fail_all(error_cache_closed());
  drop_transport();
  state_ = State::pausing;
  next_attempt_ = SteadyTime::max();
}

void Connection::want_write(bool wanted) {
  if (wanted == wants_write_) return;
  wants_write_ = wanted;
  poller_.update(transport_->descriptor(), wanted, ties_.watched);
}

void Connection::log(LogLevel level, const std::string& message) const {
  report(options_.log, level, "valkey", message);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
