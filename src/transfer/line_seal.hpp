// LineSeal: the MACs that bind an export's lines to their file and its prefix. A line that was
// changed, or comes from elsewhere, has none that fits.
#pragma once

#include <valkeycache/config.hpp>

#include <optional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

class VALKEYCACHE_API LineSeal {
 public:
  // `id` is the file's. Without a secret nothing is sealed and every line passes.
  LineSeal(std::optional<std::string> secret, std::string prefix, std::string id);

  void seal(std::string& line) const;
  [[nodiscard]] bool holds(std::string_view line) const;

 private:
  std::optional<std::string> secret_;
  std::string prefix_;
  std::string id_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
