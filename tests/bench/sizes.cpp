// Values from 100 B to 1 MiB: one get at a time, and as many in flight as make some MiB.
#include <algorithm>

#include "bench/measure.hpp"
#include "bench/stage.hpp"
#include "bench/windows.hpp"

namespace valkeycache::bench {
namespace {

struct Size {
  const char* name;
  std::size_t bytes;
};
constexpr Size all_sizes[] = {
    {"100B", 100}, {"1KiB", 1 << 10}, {"8KiB", 8 << 10}, {"64KiB", 64 << 10}, {"1MiB", 1 << 20}};

}  // namespace

std::vector<Row> sizes(Stage& stage) {
  const auto cache = stage.open();
  auto raw = stage.raw();
  auto options = stage.options();
  options.slices = std::max(1, options.slices / 2);
  std::vector<Row> rows;
  for (const auto& size : all_sizes) {
    const std::size_t count =
        std::clamp<std::size_t>((options.smoke ? 1U << 20 : 32U << 20) / size.bytes, 8, 1000);
    const std::size_t in_flight = std::clamp<std::size_t>((4U << 20) / size.bytes, 4, window);
    const Entries entries(cache, count, size.bytes);
    const auto turns = [&](std::size_t at_once) {
      std::vector<GetFuture> futures(at_once);
      return rates(take_turns(
          options, {{"raw hiredis",
                     window_after_window(at_once, [&] { raw_window(raw, entries, at_once); })},
                    {"ValkeyCache",
                     window_after_window(at_once, [&] { get_window(cache, entries, futures); })}}));
    };
    const std::string name = std::string("size.") + size.name;
    rows.push_back(turns(1).row(name + ".alone", "1/s", 1, 0));
    rows.push_back(turns(in_flight).row(name + ".many", "1/s", 1, 0));
  }
  return rows;
}

}  // namespace valkeycache::bench
