#include "bench/peer.hpp"

#include <algorithm>
#include <cerrno>
#include <fstream>
#include <iterator>
#include <sstream>
#include <stdexcept>

#include <fcntl.h>
#include <poll.h>
#include <sys/stat.h>
#include <unistd.h>

namespace valkeycache::bench {
namespace {

// Opened for both directions, so that neither end waits for the other.
int open_pipe(const std::string& path) {
  if (mkfifo(path.c_str(), 0600) != 0) throw std::runtime_error("mkfifo");
  const int handle = open(path.c_str(), O_RDWR | O_CLOEXEC);
  if (handle < 0) throw std::runtime_error("cannot open a pipe");
  return handle;
}

std::vector<std::string> words_of(const std::string& line) {
  std::istringstream in(line);
  return {std::istream_iterator<std::string>(in), {}};
}

}  // namespace

Peer::Peer(const std::string& program, const Stage& stage, const Entries& entries) {
  const std::string names = folder_.path() + "/names";
  {
    std::ofstream file(names);
    for (std::size_t i = 0; i < entries.count(); ++i) file << entries.wire_key(i) << '\n';
  }
  to_ = open_pipe(folder_.path() + "/to");
  from_ = open_pipe(folder_.path() + "/from");
  process_ = std::make_unique<test::ChildProcess>(std::vector<std::string>{
      program, std::to_string(stage.server().port()), names, std::to_string(entries.bytes()),
      folder_.path() + "/to", folder_.path() + "/from"});
  works_ = words_of(read_line());
  name_ = works_.at(0);
  works_.erase(works_.begin());
}

Peer::~Peer() {
  process_.reset();
  close(to_);
  close(from_);
}

bool Peer::can(const std::string& work) const {
  return std::find(works_.begin(), works_.end(), work) != works_.end();
}

Side Peer::side(const std::string& work) {
  return {name_, [this, work](Clock::time_point until, Tally& tally) {
            write_line(work + " " + std::to_string((until - Clock::now()).count()));
            std::istringstream answer(read_line());
            std::uint64_t operations = 0;
            answer >> operations;
            tally.operations += operations;
            for (std::uint32_t latency = 0; answer >> latency;) {
              tally.latencies_ns.push_back(latency);
            }
          }};
}

void Peer::write_line(const std::string& line) const {
  const auto bytes = line + "\n";  // short enough for one write
  if (write(to_, bytes.data(), bytes.size()) != static_cast<ssize_t>(bytes.size())) {
    throw std::runtime_error("cannot write to " + name_);
  }
}

std::string Peer::read_line() {
  for (;;) {
    if (const auto end = read_.find('\n'); end != std::string::npos) {
      auto line = read_.substr(0, end);
      read_.erase(0, end + 1);
      return line;
    }
    pollfd events{.fd = from_, .events = POLLIN, .revents = 0};
    if (poll(&events, 1, 500) > 0) {
      char bytes[65536];
      const auto count = read(from_, bytes, sizeof bytes);
      if (count > 0) read_.append(bytes, static_cast<std::size_t>(count));
    } else if (!process_->running()) {
      throw std::runtime_error("a peer ended: " + name_);
    }
  }
}

std::vector<std::unique_ptr<Peer>> peers([[maybe_unused]] const Stage& stage,
                                         [[maybe_unused]] const Entries& entries,
                                         [[maybe_unused]] const std::string& work) {
  std::vector<std::unique_ptr<Peer>> found;
#ifdef VALKEYCACHE_BENCH_PEERS
  std::istringstream programs(VALKEYCACHE_BENCH_PEERS);
  for (std::string program; std::getline(programs, program, ':');) {
    auto peer = std::make_unique<Peer>(program, stage, entries);
    if (peer->can(work)) found.push_back(std::move(peer));
  }
#endif
  return found;
}

void add_sides(std::vector<Side>& sides, const std::vector<std::unique_ptr<Peer>>& peers,
               const std::string& work) {
  for (const auto& peer : peers) sides.push_back(peer->side(work));
}

void add_rows(std::vector<Row>& rows, const std::vector<std::unique_ptr<Peer>>& peers,
              const Rounds& rounds, const std::string& name, const std::string& unit,
              std::size_t first) {
  for (std::size_t i = 0; i < peers.size(); ++i) {
    rows.push_back(rounds.row(name + "/" + peers[i]->name(), unit, first + i, 0));
  }
}

}  // namespace valkeycache::bench
