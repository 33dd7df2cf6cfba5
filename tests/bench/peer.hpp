// Another client library as one more side. Each is a program of its own, since two versions of
// hiredis in one process would not do; it takes its turns by command.
#pragma once

#include <memory>
#include <string>
#include <vector>

#include "bench/measure.hpp"
#include "bench/stage.hpp"
#include "support/valkey/child_process.hpp"

namespace valkeycache::bench {

class Peer {
 public:
  // Starts it; it will ask for these entries.
  Peer(const std::string& program, const Stage& stage, const Entries& entries);
  ~Peer();
  Peer(const Peer&) = delete;
  Peer& operator=(const Peer&) = delete;

  [[nodiscard]] const std::string& name() const noexcept { return name_; }
  [[nodiscard]] bool can(const std::string& work) const;  // "W1" ... "W4"
  [[nodiscard]] Side side(const std::string& work);

 private:
  void write_line(const std::string& line) const;
  std::string read_line();

  test::TemporaryFolder folder_;
  int to_ = -1;
  int from_ = -1;
  std::unique_ptr<test::ChildProcess> process_;
  std::string read_;  // but not yet used
  std::string name_;
  std::vector<std::string> works_;
};

// Those that were there when this was built and can do this work.
std::vector<std::unique_ptr<Peer>> peers(const Stage& stage, const Entries& entries,
                                         const std::string& work);
void add_sides(std::vector<Side>& sides, const std::vector<std::unique_ptr<Peer>>& peers,
               const std::string& work);
// A row for each peer, the first of which is this side.
void add_rows(std::vector<Row>& rows, const std::vector<std::unique_ptr<Peer>>& peers,
              const Rounds& rounds, const std::string& name, const std::string& unit,
              std::size_t first);

}  // namespace valkeycache::bench
