#include "transfer/private_file.hpp"

#include <cerrno>
#include <cstddef>
#include <cstdio>
#include <cstdlib>
#include <utility>

#include <fcntl.h>
#include <sys/stat.h>
#include <unistd.h>

#include "transfer/file_error.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::size_t buffer_bytes = std::size_t{256} << 10;

std::string folder_of(const std::string& path) {
  const auto slash = path.rfind('/');
  return slash == std::string::npos ? "." : slash == 0 ? "/" : path.substr(0, slash);
}

// The name in its folder counts once the folder is on disk, too. Some file systems do not know how.
Result<void> sync_folder(int folder) {
  if (::fsync(folder) == 0 || errno == EINVAL || errno == ENOTSUP || errno == EROFS) return {};
  return file_error("the file's folder cannot be synced", errno);
}

}  // namespace

Result<PrivateFile> PrivateFile::create(std::string path) {
  // Opened before anything is replaced: later would be too late to fail.
  const int folder = ::open(folder_of(path).c_str(), O_RDONLY | O_DIRECTORY | O_CLOEXEC);
  if (folder < 0) return file_error("the file's folder cannot be opened", errno);
  auto partial = path + ".partial-XXXXXX";
  // A file of its own making, O_EXCL: no link is followed. 0600, whatever the umask.
  const int descriptor = ::mkostemp(partial.data(), O_CLOEXEC);
  if (descriptor < 0) {
    const int why = errno;
    ::close(folder);
    return file_error("no file can be made there", why);
  }
  PrivateFile file(std::move(path), std::move(partial), descriptor, folder);
  if (::fchmod(descriptor, S_IRUSR | S_IWUSR) != 0) {
    return file_error("the file cannot be made private", errno);
  }
  return file;
}

PrivateFile::PrivateFile(std::string path, std::string partial, int descriptor, int folder)
    : path_(std::move(path)),
      partial_(std::move(partial)),
      descriptor_(descriptor),
      folder_(folder) {}

PrivateFile::PrivateFile(PrivateFile&& other) noexcept
    : path_(std::move(other.path_)),
      partial_(std::exchange(other.partial_, {})),
      descriptor_(std::exchange(other.descriptor_, -1)),
      folder_(std::exchange(other.folder_, -1)),
      buffer_(std::move(other.buffer_)),
      size_(other.size_) {}

PrivateFile::~PrivateFile() {
  close();
  if (!partial_.empty()) static_cast<void>(::unlink(partial_.c_str()));
}

void PrivateFile::close() noexcept {
  for (int* const open : {&descriptor_, &folder_}) {
    if (*open >= 0) ::close(std::exchange(*open, -1));
  }
}

Result<void> PrivateFile::append(std::string_view bytes) {
  buffer_ += bytes;
  size_ += bytes.size();
  return buffer_.size() < buffer_bytes ? Result<void>() : write_out();
}

Result<void> PrivateFile::write_out() {
  for (std::string_view left = buffer_; !left.empty();) {
    const auto written = ::write(descriptor_, left.data(), left.size());
    if (written < 0 && errno == EINTR) continue;
    if (written < 0) return file_error("the file cannot be written", errno);
    left.remove_prefix(static_cast<std::size_t>(written));
  }
  buffer_.clear();
  return {};
}

Result<void> PrivateFile::commit() {
  if (auto written = write_out(); !written) return written;
  if (::fsync(descriptor_) != 0) return file_error("the file cannot be synced", errno);
  // Where the disk is across a network, writing may fail here for the first time.
  if (::close(std::exchange(descriptor_, -1)) != 0) {
    return file_error("the file cannot be closed", errno);
  }
  // Replaces a link that stands there, and does not follow it.
  if (std::rename(partial_.c_str(), path_.c_str()) != 0) {
    return file_error("the file cannot be put into its place", errno);
  }
  partial_.clear();
  return sync_folder(folder_);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
