#include "bench/options.hpp"

#include <charconv>
#include <cstdlib>
#include <iostream>
#include <string>

namespace valkeycache::bench {
namespace {

[[noreturn]] void usage(int status) {
  (status ? std::cerr : std::cout)
      << "usage: valkeycache_bench [--quick] [--only W1,W3] [--rounds N] [--slices N]\n"
         "                         [--slice-ms N] [--awake] [--out FILE]\n"
         "       valkeycache_bench --table FILE\n"
         "  --quick       short slices: a first impression, in under a minute\n"
         "  --smoke       the shortest run there is, to see that it works\n"
         "  --only LIST   these groups\n"
         "  --rounds N    rounds, whose median counts (5)\n"
         "  --slices N    turns of each side in a round (5; quick: 2)\n"
         "  --slice-ms N  length of a turn (200; quick: 50)\n"
         "  --awake       processors are kept from halting: where waking one takes long\n"
         "  --out FILE    the results as JSON\n"
         "  --table FILE  measures nothing: such results as the README's table\n";
  std::exit(status);
}

int number(std::string_view text) {
  int value = 0;
  const auto* end = text.data() + text.size();
  const auto [stop, error] = std::from_chars(text.data(), end, value);
  if (error != std::errc{} || stop != end || value < 1) usage(2);
  return value;
}

std::vector<std::string> list(std::string_view text) {
  std::vector<std::string> items;
  while (!text.empty()) {
    const auto comma = text.find(',');
    if (comma != 0) items.emplace_back(text.substr(0, comma));
    if (comma == std::string_view::npos) break;
    text.remove_prefix(comma + 1);
  }
  return items;
}

}  // namespace

Options parse_options(int argc, char** argv) {
  Options options;
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--quick")
      options = {.quick = true,
                 .slice = std::chrono::milliseconds(50),
                 .slices = 2,
                 .only = options.only,
                 .out = options.out};
    if (name == "--smoke")
      options = {.smoke = true,
                 .rounds = 1,
                 .slice = std::chrono::milliseconds(2),
                 .slices = 1,
                 .only = options.only,
                 .out = options.out};
    if (name == "--help" || name == "-h") usage(0);
  }
  for (int i = 1; i < argc; ++i) {
    const std::string_view name = argv[i];
    if (name == "--quick" || name == "--smoke") continue;
    if (name == "--awake") {
      options.awake = true;
      continue;
    }
    if (i + 1 == argc) usage(2);
    const std::string_view value = argv[++i];
    if (name == "--only") {
      options.only = list(value);
    } else if (name == "--rounds") {
      options.rounds = number(value);
    } else if (name == "--slices") {
      options.slices = number(value);
    } else if (name == "--slice-ms") {
      options.slice = std::chrono::milliseconds(number(value));
    } else if (name == "--out") {
      options.out = value;
    } else if (name == "--table") {
      options.table = value;
    } else {
      usage(2);
    }
  }
  return options;
}

}  // namespace valkeycache::bench
