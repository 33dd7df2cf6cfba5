// A Bedrock that costs next to nothing, so that the client is what is measured: every request gets
// the same answer, a model called "delay-N" takes N milliseconds over it. HTTP/1.1, one thread.
// Prints its port and ends with its parent.
#include <algorithm>
#include <charconv>
#include <chrono>
#include <cstdint>
#include <cstdio>
#include <map>
#include <string>
#include <string_view>

#include <netinet/in.h>
#include <netinet/tcp.h>
#include <sys/epoll.h>
#include <sys/socket.h>
#include <unistd.h>

namespace {

using Clock = std::chrono::steady_clock;

constexpr std::string_view body =
    R"({"metrics":{"latencyMs":200},"output":{"message":{"content":[{"text":"Amazon ElastiCache for Valkey is a managed, in-memory data store that is compatible with the open-source Valkey engine."}],"role":"assistant"}},"stopReason":"end_turn","usage":{"inputTokens":16,"outputTokens":31,"totalTokens":47}})";

std::string make_response() {
  return "HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nDate: Mon, 23 Nov 2026 12:00:00 "
         "GMT\r\n"
         "x-amzn-RequestId: 00000000-0000-4000-8000-000000000000\r\nContent-Length: " +
         std::to_string(body.size()) + "\r\n\r\n" + std::string(body);
}

struct Connection {
  std::string in;
  std::uint64_t number = 0;  // descriptors are used again, numbers are not
};

// The number after `mark`.
std::size_t number_after(std::string_view text, std::string_view mark) {
  const auto at = text.find(mark);
  std::size_t number = 0;
  if (at != std::string_view::npos) {
    const auto* begin = text.data() + at + mark.size();
    std::from_chars(begin, text.data() + text.size(), number);
  }
  return number;
}

class Server {
 public:
  Server()
      : epoll_(epoll_create1(EPOLL_CLOEXEC)),
        listener_(socket(AF_INET, SOCK_STREAM | SOCK_NONBLOCK, 0)) {
    sockaddr_in address{};
    address.sin_family = AF_INET;
    address.sin_addr.s_addr = htonl(INADDR_LOOPBACK);
    socklen_t size = sizeof address;
    auto* const generic = reinterpret_cast<sockaddr*>(&address);
    if (bind(listener_, generic, size) != 0 || listen(listener_, 1024) != 0) return;
    getsockname(listener_, generic, &size);
    port_ = ntohs(address.sin_port);
    watch(listener_);
  }

  [[nodiscard]] unsigned port() const { return port_; }

  [[noreturn]] void run() {
    for (;;) {
      epoll_event events[256];
      const int count = epoll_wait(epoll_, events, 256, time_to_next());
      for (int i = 0; i < count; ++i) {
        if (events[i].data.fd == listener_) {
          accept_all();
        } else {
          read(events[i].data.fd);
        }
      }
      answer_due();
    }
  }

 private:
  void watch(int descriptor) const {
    epoll_event event{};
    event.events = EPOLLIN;
    event.data.fd = descriptor;
    epoll_ctl(epoll_, EPOLL_CTL_ADD, descriptor, &event);
  }

  [[nodiscard]] int time_to_next() const {
    if (due_.empty()) return -1;
    const auto left =
        std::chrono::ceil<std::chrono::milliseconds>(due_.begin()->first - Clock::now());
    return static_cast<int>(std::max<std::int64_t>(left.count(), 0));
  }

  void accept_all() {
    for (;;) {
      const int accepted = accept4(listener_, nullptr, nullptr, SOCK_NONBLOCK);
      if (accepted < 0) return;
      const int yes = 1;
      setsockopt(accepted, IPPROTO_TCP, TCP_NODELAY, &yes, sizeof yes);
      connections_[accepted] = {{}, ++next_number_};
      watch(accepted);
    }
  }

  void read(int descriptor) {
    auto& connection = connections_[descriptor];
    char bytes[65536];
    const auto size = recv(descriptor, bytes, sizeof bytes, 0);
    if (size <= 0) {
      close(descriptor);
      connections_.erase(descriptor);
      return;
    }
    auto& in = connection.in;
    in.append(bytes, static_cast<std::size_t>(size));
    const auto end = in.find("\r\n\r\n");
    if (end == std::string::npos) return;
    const std::string_view head(in.data(), end);
    if (in.size() < end + 4 + number_after(head, "\r\nContent-Length: ")) return;
    const std::chrono::milliseconds delay(number_after(head, "/delay-"));
    in.clear();
    if (delay.count() == 0) {
      answer(descriptor);
    } else {
      due_.emplace(Clock::now() + delay, std::pair{descriptor, connection.number});
    }
  }

  void answer_due() {
    const auto now = Clock::now();
    while (!due_.empty() && due_.begin()->first <= now) {
      const auto [descriptor, number] = due_.begin()->second;
      due_.erase(due_.begin());
      const auto found = connections_.find(descriptor);
      if (found != connections_.end() && found->second.number == number) answer(descriptor);
    }
  }

  void answer(int descriptor) const {
    // A loopback socket that has been read empty has room for it.
    [[maybe_unused]] const auto sent =
        send(descriptor, response_.data(), response_.size(), MSG_NOSIGNAL);
  }

  const std::string response_ = make_response();
  int epoll_;
  int listener_;
  unsigned port_ = 0;
  std::uint64_t next_number_ = 0;
  std::map<int, Connection> connections_;
  std::multimap<Clock::time_point, std::pair<int, std::uint64_t>> due_;
};

}  // namespace

int main() {
  Server server;
  if (server.port() == 0) return 1;
  std::printf("%u\n", server.port());
  std::fflush(stdout);
  server.run();
}
