#include "aws/small_file.hpp"

#include <cerrno>
#include <cstdio>
#include <memory>

namespace valkeycache::inline v0 {
namespace detail {

SmallFile read_small_file(const std::string& path, std::size_t max_size) {
  using State = SmallFile::State;
  struct Close {
    void operator()(std::FILE* file) const noexcept { static_cast<void>(std::fclose(file)); }
  };
  const std::unique_ptr<std::FILE, Close> file(std::fopen(path.c_str(), "rbe"));
  if (!file) {
    const bool absent = errno == ENOENT || errno == ENOTDIR;
    return {.state = absent ? State::absent : State::unreadable};
  }
  SmallFile read;
  char buffer[4096];
  while (const auto size = std::fread(buffer, 1, sizeof buffer, file.get())) {
    read.text.append(buffer, size);
    if (read.text.size() > max_size) return {.state = State::too_large};
  }
  if (std::ferror(file.get())) return {.state = State::unreadable};
  return read;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
