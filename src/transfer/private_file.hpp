// PrivateFile: a file for its owner's eyes alone that is there as a whole or not at all.
#pragma once

#include <valkeycache/config.hpp>
#include <valkeycache/result.hpp>

#include <cstdint>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Written under a name of its own in the same folder. Errors are file_failed.
class VALKEYCACHE_API PrivateFile {
 public:
  // Nothing stands at `path` yet, or what did stays as it is.
  static Result<PrivateFile> create(std::string path);
  PrivateFile(PrivateFile&& other) noexcept;
  PrivateFile& operator=(PrivateFile&&) = delete;
  // Without commit(): nothing is left.
  ~PrivateFile();

  Result<void> append(std::string_view bytes);
  [[nodiscard]] std::uint64_t size() const noexcept { return size_; }
  // On disk, and then at `path`; once. After an error the file is not there; save that one of the
  // disk itself, when the folder is synced, leaves it there but perhaps not for good.
  Result<void> commit();

 private:
  PrivateFile(std::string path, std::string partial, int descriptor, int folder);
  Result<void> write_out();
  void close() noexcept;

  std::string path_;
  std::string partial_;  // empty: there is none
  int descriptor_;
  int folder_;
  std::string buffer_;
  std::uint64_t size_ = 0;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
