// LineReader: a file's lines, one after the other, none longer than a bound.
#pragma once

#include <valkeycache/config.hpp>
#include <valkeycache/result.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

class VALKEYCACHE_API LineReader {
 public:
  // A regular file; what only blocks or never ends is none. Errors: file_failed.
  static Result<LineReader> open(const std::string& path, std::size_t max_line_bytes);
  LineReader(LineReader&& other) noexcept;
  LineReader& operator=(LineReader&&) = delete;
  ~LineReader();

  enum class Next : std::uint8_t {
    line,
    skipping,  // some of a line over the bound was read, and there is more
    too_long,  // the rest of it
    end,
    failed,  // the file cannot be read on
  };
  // The line stays until the next call. What follows the last line's end is a line if it is not
  // empty.
  Next next(std::string_view& line);
  [[nodiscard]] std::uint64_t bytes() const noexcept { return bytes_; }  // of the lines so far

 private:
  LineReader(int descriptor, std::size_t max_line_bytes);
  bool fill();

  int descriptor_;
  std::size_t max_line_bytes_;
  std::string buffer_;
  std::size_t at_ = 0;        // of what has not been given out
  std::size_t searched_ = 0;  // no line's end in front of this
  std::uint64_t bytes_ = 0;
  bool at_end_ = false;
  bool failed_ = false;
  bool skipping_ = false;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
