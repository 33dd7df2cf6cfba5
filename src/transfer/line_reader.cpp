#include "transfer/line_reader.hpp"

#include <cerrno>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/file_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t read_bytes = std::size_t{64} << 10;

}  // namespace

Result<LineReader> LineReader::open(const std::string& path, std::size_t max_line_bytes) {
  const int descriptor = ::open(path.c_str(), O_RDONLY | O_CLOEXEC | O_NONBLOCK);
  if (descriptor < 0) return file_error("the file cannot be opened", errno);
  LineReader reader(descriptor, max_line_bytes);
  struct stat status = {};
  if (::fstat(descriptor, &status) != 0) return file_error("the file cannot be looked at", errno);
  if (!S_ISREG(status.st_mode)) {
    return Error{.code = ErrorCode::file_failed, .message = "that is no regular file"};
  }
  return reader;
}

LineReader::LineReader(int descriptor, std::size_t max_line_bytes)
    : descriptor_(descriptor), max_line_bytes_(max_line_bytes) {}

LineReader::LineReader(LineReader&& other) noexcept
    : descriptor_(std::exchange(other.descriptor_, -1)),
      max_line_bytes_(other.max_line_bytes_),
      buffer_(std::move(other.buffer_)),
      at_(other.at_),
      searched_(other.searched_),
      bytes_(other.bytes_),
      at_end_(other.at_end_),
      failed_(other.failed_),
      skipping_(other.skipping_) {}

LineReader::~LineReader() {
  if (descriptor_ >= 0) ::close(descriptor_);
}

bool LineReader::fill() {
  buffer_.erase(0, at_);
  searched_ -= at_;
  at_ = 0;
  const auto size = buffer_.size();
  buffer_.resize(size + read_bytes);
  ssize_t got = 0;
  do {
    got = ::read(descriptor_, buffer_.data() + size, read_bytes);
  } while (got < 0 && errno == EINTR);
  buffer_.resize(size + static_cast<std::size_t>(got > 0 ? got : 0));
  at_end_ = got == 0;
  failed_ = got < 0;
  return got > 0;
}

LineReader::Next LineReader::next(std::string_view& line) {
  for (;;) {
    const auto newline = buffer_.find('\n', searched_);
    const bool found = newline != std::string::npos;
    const auto end = found ? newline : buffer_.size();
    const auto size = end - at_;
    if (found || at_end_) {
      const bool too_long = std::exchange(skipping_, false);
      if (!found && size == 0 && !too_long) return Next::end;
      bytes_ += size + (found ? 1 : 0);
      line = std::string_view(buffer_).substr(at_, size);
      at_ = searched_ = end + (found ? 1 : 0);
      return too_long || size > max_line_bytes_ ? Next::too_long : Next::line;
    }
    if (size > max_line_bytes_ || skipping_) {
      // Nobody wants to see it.
      skipping_ = true;
      bytes_ += size;
      at_ = end;
    }
    searched_ = end;
    if (!fill() && failed_) return Next::failed;
    if (skipping_) return Next::skipping;
  }
}

}  // namespace detail
}  // namespace valkeycache::inline v0
