// AWS's shared files, ~/.aws/config and ~/.aws/credentials.
//
// Rules: "Shared config and credentials files" in the AWS SDKs and tools guide; where that is
// silent, what the official JavaScript SDK does.
#pragma once

#include <valkeycache/result.hpp>

#include <map>
#include <optional>
#include <string>
#include <string_view>

#include "aws/environment.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Settings of one section, by name in lower case. A nested setting, an indented line below one
// without a value, is "outer.inner".
using ProfileSettings = std::map<std::string, std::string, std::less<>>;

// Both files, read once and never changed: safe to share between threads.
class ProfileFiles {
 public:
  ProfileFiles() = default;

  // From the files' texts. Lines that cannot be understood are passed over, as AWS's tools do.
  static ProfileFiles parse(std::string_view config, std::string_view credentials);

  // From AWS_CONFIG_FILE and AWS_SHARED_CREDENTIALS_FILE, else from HOME. Files that are not there
  // count as empty; one that cannot be read, or is over 1 MiB, is an error that names it. Blocks
  // while it reads.
  static Result<ProfileFiles> load(const Environment& environment);

  // The profile's settings, those of the credentials file before those of the config file; nullptr
  // where neither has it.
  [[nodiscard]] const ProfileSettings* profile(std::string_view name) const;
  // A setting of a profile; nothing where the profile or the setting is absent or empty.
  [[nodiscard]] std::optional<std::string> setting(std::string_view profile,
                                                   std::string_view name) const;
  // The "[services name]" section of the config file.
  [[nodiscard]] const ProfileSettings* services(std::string_view name) const;

 private:
  std::map<std::string, ProfileSettings, std::less<>> profiles_;
  std::map<std::string, ProfileSettings, std::less<>> services_;
};

// The profile to use: the one asked for, else AWS_PROFILE, else "default".
struct ProfileName {
  std::string name;
  // Somebody named it, so that it has to exist.
  bool asked_for = false;
};
ProfileName choose_profile(std::string_view option, const Environment& environment);

// The error where a profile that was asked for is in neither file; nothing otherwise.
std::optional<Error> check_profile(const ProfileFiles& files, const ProfileName& profile);

}  // namespace detail
}  // namespace valkeycache::inline v0
