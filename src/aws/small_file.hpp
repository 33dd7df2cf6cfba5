// Reading a file of which only little is expected.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>

namespace valkeycache::inline v0 {
namespace detail {

struct SmallFile {
  enum class State : std::uint8_t { read, absent, unreadable, too_large };
  State state = State::read;
  std::string text = {};  // whole where it was read, else empty
};

// Blocks while it reads. Never takes much more memory than `max_size`, whatever the file is.
SmallFile read_small_file(const std::string& path, std::size_t max_size);

}  // namespace detail
}  // namespace valkeycache::inline v0
