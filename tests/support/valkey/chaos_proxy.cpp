#include "support/valkey/chaos_proxy.hpp"

#include <algorithm>
#include <cerrno>
#include <deque>
#include <optional>
#include <stdexcept>
#include <string_view>

#include <arpa/inet.h>
#include <fcntl.h>
#include <netinet/in.h>
#include <netinet/tcp.h>
#include <poll.h>
#include <sys/socket.h>
#include <unistd.h>

#include "support/valkey/reply_cutter.hpp"

namespace valkeycache::test {
namespace {

using Clock = std::chrono::steady_clock;

// Beyond this a relay reads no more until it has written.
constexpr std::size_t most_kept = std::size_t{1} << 20;
// Of a large reply only the beginning is shredded: what follows teaches nothing new.
constexpr std::size_t most_shredded = 600;

sockaddr_in loopback(std::uint16_t port) {
  sockaddr_in address{};
  address.sin_family = AF_INET;
  address.sin_port = htons(port);
  address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
  return address;
}

void prepare(int socket) {
  const int on = 1;
  setsockopt(socket, IPPROTO_TCP, TCP_NODELAY, &on, sizeof on);
  fcntl(socket, F_SETFL, fcntl(socket, F_GETFL) | O_NONBLOCK);
}

}  // namespace

// A connection of a client and the one to the server that belongs to it.
class ChaosProxy::Link {
 public:
  Link(ChaosProxy& proxy, int client, int server)
      : proxy_(proxy), requests_{client, server}, replies_{server, client} {
    if (roll(proxy_.faults_.bad_start)) bad_reply_ = 1 + static_cast<int>(below(3));
  }
  ~Link() {
    close(replies_.to);
    close(requests_.to);
  }
  Link(const Link&) = delete;
  Link& operator=(const Link&) = delete;

  // False when both ends are done for.
  bool drive(Clock::time_point now) {
    take_requests();
    take_replies();
    return pass_on(requests_, now) && pass_on(replies_, now) && !over();
  }
  // What to poll for, on the client and on the server.
  void watch(pollfd* fds, Clock::time_point now) const {
    fds[0] = {replies_.to, events(requests_, replies_, now), 0};
    fds[1] = {requests_.to, events(replies_, requests_, now), 0};
  }
  // When to come back though nothing was heard.
  [[nodiscard]] Clock::time_point next() const {
    return std::min(requests_.not_before, replies_.not_before);
  }

 private:
  enum class Then { go_on, reset, half_close };
  struct Piece {
    std::string bytes;
    Clock::duration pause;  // before them
    Then then;              // after them
  };
  struct Relay {
    int from;
    int to;
    std::string arrived = {};
    std::deque<Piece> pieces = {};
    std::size_t kept = 0;  // bytes in the pieces
    bool paused = false;   // the first piece's pause has begun
    Clock::time_point not_before = Clock::time_point::max();
    bool ended = false;   // nothing more arrives
    bool closed = false;  // nothing more is sent
  };

  std::uint64_t below(std::uint64_t n) { return proxy_.random_() % n; }
  bool roll(unsigned one_of) { return one_of != 0 && !proxy_.calm_ && below(one_of) == 0; }

  [[nodiscard]] static short events(const Relay& in, const Relay& out, Clock::time_point now) {
    int wanted = 0;
    if (!in.ended && in.kept < most_kept) wanted |= POLLIN;
    if (!out.pieces.empty() && !(out.paused && out.not_before > now)) wanted |= POLLOUT;
    return static_cast<short>(wanted);
  }

  void receive(Relay& relay) {
    if (relay.ended || relay.kept >= most_kept) return;
    char bytes[65536];
    const auto count = recv(relay.from, bytes, sizeof bytes, 0);
    if (count > 0) {
      relay.arrived.append(bytes, static_cast<std::size_t>(count));
    } else if (count == 0 || (errno != EAGAIN && errno != EINTR)) {
      relay.ended = true;
    }
  }

  void add(Relay& relay, std::string_view bytes, Clock::duration pause = {},
           Then then = Then::go_on) {
    relay.kept += bytes.size();
    if (pause == Clock::duration() && then == Then::go_on && !relay.pieces.empty() &&
        relay.pieces.back().then == Then::go_on && relay.pieces.back().bytes.size() < 65536) {
      relay.pieces.back().bytes += bytes;
      return;
    }
    relay.pieces.push_back({std::string(bytes), pause, then});
  }
  void add_shredded(Relay& relay, std::string_view bytes) {
    std::size_t at = 0;
    while (at < std::min(bytes.size(), most_shredded)) {
      const auto size = std::min<std::size_t>(1 + below(8), bytes.size() - at);
      // The pause keeps the pieces apart.
      add(relay, bytes.substr(at, size), std::chrono::microseconds(1 + below(20)));
      at += size;
    }
    add(relay, bytes.substr(at));
  }
  Clock::duration random_delay() {
    return std::chrono::microseconds(
        1 + below(static_cast<std::uint64_t>(proxy_.faults_.max_delay.count())));
  }

  void take_requests() {
    receive(requests_);
    auto& arrived = requests_.arrived;
    if (arrived.empty()) return;
    // Requests are cut too, and may end in the middle; how often is up to the replies' odds.
    const auto& faults = proxy_.faults_;
    if (roll(faults.reset * 2)) {
      ++proxy_.counts_.resets;
      add(requests_, arrived.substr(0, below(arrived.size())), {}, Then::reset);
    } else if (roll(faults.shred)) {
      ++proxy_.counts_.shreds;
      add_shredded(requests_, arrived);
    } else {
      if (roll(faults.delay)) ++proxy_.counts_.delays, add(requests_, {}, random_delay());
      add(requests_, arrived);
    }
    arrived.clear();
  }

  void take_replies() {
    receive(replies_);
    std::string_view rest = replies_.arrived;
    while (const auto size = first_reply_length(rest)) {
      take_reply(rest.substr(0, size));
      rest.remove_prefix(size);
    }
    replies_.arrived.erase(0, replies_.arrived.size() - rest.size());
  }

  void take_reply(std::string_view reply) {
    auto& counts = proxy_.counts_;
    const auto& faults = proxy_.faults_;
    ++replies_seen_;
    const auto part = reply.substr(0, below(reply.size()));
    const auto bad = replies_seen_ == bad_reply_ ? below(4) : 4;
    if (bad == 0 || roll(faults.reset)) {
      ++counts.resets;
      add(replies_, part, {}, Then::reset);
    } else if (bad == 1 || roll(faults.half_close)) {
      ++counts.half_closes;
      add(replies_, part, {}, Then::half_close);
    } else if (bad == 2 || roll(faults.garbage)) {
      ++counts.garbage;
      constexpr std::string_view none_of_resp("?\0X\xff\n7 ", 7);
      add(replies_, none_of_resp.substr(below(none_of_resp.size()), 1));
      add(replies_, reply);
    } else if (reply[0] != '>' && (bad == 3 || roll(faults.wrong_type))) {
      ++counts.wrong_types;
      // What no command has that is answered as this one was.
      add(replies_, reply[0] == ':' ? "$3\r\nabc\r\n" : below(2) == 0 ? ":5\r\n" : "*1\r\n:5\r\n");
    } else if (roll(faults.stall)) {
      ++counts.stalls;
      add(replies_, part);
      add(replies_, reply.substr(part.size()), proxy_.faults_.stall_time);
    } else if (roll(faults.shred)) {
      ++counts.shreds;
      add_shredded(replies_, reply);
    } else {
      const bool late = roll(faults.delay);
      if (late) ++counts.delays;
      add(replies_, reply, late ? random_delay() : Clock::duration());
    }
  }

  // False when the link is to be closed at once.
  bool pass_on(Relay& relay, Clock::time_point now) {
    while (!relay.pieces.empty()) {
      auto& piece = relay.pieces.front();
      if (!relay.paused && piece.pause != Clock::duration() && !proxy_.calm_) {
        relay.paused = true;
        relay.not_before = now + piece.pause;
      }
      if (relay.paused && relay.not_before > now) return true;
      relay.not_before = Clock::time_point::max();
      while (!piece.bytes.empty() && !relay.closed) {
        const auto count = send(relay.to, piece.bytes.data(), piece.bytes.size(), MSG_NOSIGNAL);
        if (count < 0) {
          if (errno == EAGAIN || errno == EINTR) return true;
          relay.closed = true;
          break;
        }
        piece.bytes.erase(0, static_cast<std::size_t>(count));
        relay.kept -= static_cast<std::size_t>(count);
      }
      relay.kept -= piece.bytes.size();
      const auto then = piece.then;
      relay.pieces.pop_front();
      relay.paused = false;
      if (then == Then::reset) {
        // To the client: what it has not read yet is lost to it as well.
        const linger at_once{1, 0};
        setsockopt(replies_.to, SOL_SOCKET, SO_LINGER, &at_once, sizeof at_once);
        return false;
      }
      if (then == Then::half_close) {
        shutdown(relay.to, SHUT_WR);
        relay.closed = true;
      }
    }
    if (relay.ended && !relay.closed) {
      shutdown(relay.to, SHUT_WR);
      relay.closed = true;
    }
    return true;
  }

  // A client that is gone needs nothing more; a server that is gone was heard out.
  [[nodiscard]] bool over() const {
    return (requests_.ended && requests_.pieces.empty()) ||
           (replies_.ended && replies_.pieces.empty());
  }

  ChaosProxy& proxy_;
  Relay requests_;
  Relay replies_;
  int replies_seen_ = 0;
  int bad_reply_ = 0;
};

ChaosProxy::ChaosProxy(std::uint16_t server_port, ChaosFaults faults, std::uint64_t seed)
    : server_port_(server_port), faults_(faults), random_(seed) {
  listener_ = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC | SOCK_NONBLOCK, 0);
  auto address = loopback(0);
  socklen_t size = sizeof address;
  if (listener_ < 0 || pipe2(stop_, O_CLOEXEC) != 0 ||
      bind(listener_, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0 ||
      listen(listener_, 128) != 0 ||
      getsockname(listener_, reinterpret_cast<sockaddr*>(&address), &size) != 0) {
    throw std::runtime_error("cannot listen on loopback");
  }
  port_ = ntohs(address.sin_port);
  thread_ = std::thread([this] { run(); });
}

ChaosProxy::~ChaosProxy() {
  [[maybe_unused]] const auto written = ::write(stop_[1], "x", 1);
  thread_.join();
  links_.clear();
  close(listener_);
  close(stop_[0]);
  close(stop_[1]);
}

std::string ChaosProxy::uri() const {
  return "valkey://127.0.0.1:" + std::to_string(port_);
}

void ChaosProxy::accept_one() {
  const int client = accept4(listener_, nullptr, nullptr, SOCK_CLOEXEC);
  if (client < 0) return;
  const int server = socket(AF_INET, SOCK_STREAM | SOCK_CLOEXEC, 0);
  const auto address = loopback(server_port_);
  if (connect(server, reinterpret_cast<const sockaddr*>(&address), sizeof address) != 0) {
    close(server);
    close(client);
    return;
  }
  prepare(client);
  prepare(server);
  ++counts_.connections;
  links_.push_back(std::make_unique<Link>(*this, client, server));
}

void ChaosProxy::run() {
  std::vector<pollfd> fds;
  for (;;) {
    fds.assign({{stop_[0], POLLIN, 0}, {listener_, POLLIN, 0}});
    fds.resize(2 + links_.size() * 2);
    auto next = Clock::time_point::max();
    const auto now = Clock::now();
    for (std::size_t i = 0; i < links_.size(); ++i) {
      links_[i]->watch(&fds[2 + i * 2], now);
      next = std::min(next, links_[i]->next());
    }
    timespec wait{};
    if (next != Clock::time_point::max()) {
      const auto left = std::chrono::duration_cast<std::chrono::nanoseconds>(std::clamp(
          next - now, Clock::duration::zero(), Clock::duration(std::chrono::seconds(1))));
      wait.tv_sec = left.count() / 1'000'000'000;
      wait.tv_nsec = left.count() % 1'000'000'000;
    }
    ppoll(fds.data(), fds.size(), next == Clock::time_point::max() ? nullptr : &wait, nullptr);
    if (fds[0].revents != 0) return;
    const auto then = Clock::now();
    std::erase_if(links_, [&](const auto& link) { return !link->drive(then); });
    if (fds[1].revents != 0) accept_one();
  }
}

}  // namespace valkeycache::test
