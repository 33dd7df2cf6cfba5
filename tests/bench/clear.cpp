// Clearing a prefix of a million entries, beside SCAN COUNT 100 and DEL page by page; and what
// another client, which asks for a thousand entries a second, sees of it meanwhile.
#include <atomic>
#include <thread>

#include "bench/measure.hpp"
#include "bench/open_loop.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {
namespace {

void fill(Raw& raw, const std::string& prefix, std::size_t count) {
  const std::string value(100, 'v');
  std::vector<std::string> names;
  for (std::size_t i = 0; i < count;) {
    names.clear();
    for (; names.size() < 1000 && i < count; ++i) {
      names.push_back(prefix + "llm_responses/" + std::to_string(1000000000000000 + i));
      raw.append(RawCommand({"SET"}).add(names.back()).add(value));
    }
    for (std::size_t k = 0; k < names.size(); ++k) static_cast<void>(raw.reply());
  }
}

void clear_page_by_page(Raw& raw, const std::string& prefix) {
  const std::string pattern = prefix + "*";
  std::string cursor = "0";
  do {
    const auto page = raw.call(RawCommand({"SCAN"})
                                   .add(cursor)
                                   .add("MATCH", 5)
                                   .add(pattern)
                                   .add("COUNT", 5)
                                   .add("100", 3));
    if (page->elements != 2) throw std::runtime_error("raw hiredis: SCAN");
    const auto& names = *page->element[1];
    if (names.elements > 0) {
      RawCommand remove({"DEL"});
      for (std::size_t i = 0; i < names.elements; ++i) {
        remove.add(names.element[i]->str, names.element[i]->len);
      }
      static_cast<void>(raw.call(remove));
    }
    cursor.assign(page->element[0]->str, page->element[0]->len);
  } while (cursor != "0");
}

// Another client's gets, from its construction to stop().
class Bystander {
 public:
  Bystander(const Stage& stage, const Entries& entries)
      : raw_(stage.raw()), thread_([this, &entries] {
          raw_open_loop(
              raw_, entries, 1000, [this](auto) { return !stopping_ || tally_.operations == 0; },
              tally_);
        }) {}
  ~Bystander() { stop(); }
  Bystander(const Bystander&) = delete;
  Bystander& operator=(const Bystander&) = delete;

  Tally& stop() {
    stopping_ = true;
    if (thread_.joinable()) thread_.join();
    return tally_;
  }

 private:
  Raw raw_;
  Tally tally_;
  std::atomic<bool> stopping_ = false;
  std::thread thread_;
};

}  // namespace

std::vector<Row> clear(Stage& stage) {
  const auto& options = stage.options();
  const std::size_t count = options.smoke ? 2000 : options.quick ? 100000 : 1000000;
  const int rounds = options.smoke ? 1 : std::min(options.rounds, 3);
  const auto bystanders = stage.open({.prefix = "others:"});
  const auto cache = stage.open({.prefix = "to_clear:"});
  const Entries entries(bystanders, 1000, 1024);
  auto raw = stage.raw();

  std::vector<std::vector<double>> speed(2);
  std::vector<std::vector<double>> others(2);
  for (int round = 0; round < rounds; ++round) {
    for (const std::size_t side : {0U, 1U}) {
      fill(raw, cache.prefix(), count);
      Bystander bystander(stage, entries);
      const auto start = Clock::now();
      if (side == 0) {
        clear_page_by_page(raw, cache.prefix());
      } else if (cache.clear().get().value() != count) {
        throw std::runtime_error("clear: not all");
      }
      const std::chrono::duration<double> took = Clock::now() - start;
      speed[side].push_back(static_cast<double>(count) / took.count());
      others[side].push_back(bystander.stop().percentile_us(0.99) / 1000);
    }
  }
  return {Rounds(speed).row("clear.rate", "keys/s", 1, 0, "ratio >= 1.6"),
          Rounds(others).row("clear.others_p99", "ms", 1, 0, "value <= 5")};
}

}  // namespace valkeycache::bench
