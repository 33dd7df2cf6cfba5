#include "aws/profile_files.hpp"

#include <algorithm>
#include <cstddef>
#include <utility>

#include "aws/small_file.hpp"
#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view blanks = " \t\r\f\v";
constexpr std::size_t max_file_size = std::size_t{1} << 20;

std::string_view trimmed(std::string_view text) noexcept {
  const auto first = text.find_first_not_of(blanks);
  if (first == std::string_view::npos) return {};
  return text.substr(first, text.find_last_not_of(blanks) - first + 1);
}

// Cuts what follows a "#" or ";" that begins the line or stands after a blank. (A secret key may
// hold a "#" elsewhere.)
std::string_view without_comment(std::string_view line) noexcept {
  for (std::size_t i = 0; i < line.size(); ++i) {
    const bool after_blank = i == 0 || blanks.find(line[i - 1]) != std::string_view::npos;
    if (after_blank && (line[i] == '#' || line[i] == ';')) return line.substr(0, i);
  }
  return line;
}

// What stands between the brackets of a section's line.
struct SectionName {
  std::string_view kind;  // "" for a lone name
  std::string_view name;
};
SectionName section_name(std::string_view inside) noexcept {
  inside = trimmed(inside);
  const auto blank = inside.find_first_of(blanks);
  if (blank == std::string_view::npos) return {{}, inside};
  auto name = trimmed(inside.substr(blank));
  for (const char quote : {'"', '\''}) {
    if (name.size() >= 2 && name.front() == quote && name.back() == quote) {
      name = name.substr(1, name.size() - 2);
    }
  }
  return {inside.substr(0, blank), name};
}

// Walks through a file's lines and tells a function of each section and setting.
template <class OnSection, class OnSetting>
void read_lines(std::string_view text, OnSection on_section, OnSetting on_setting) {
  if (text.starts_with("\xEF\xBB\xBF")) text.remove_prefix(3);
  std::string outer;  // the setting without a value that indented lines belong to
  std::size_t outer_indent = 0;
  while (!text.empty()) {
    const auto newline = std::min(text.find('\n'), text.size());
    const auto line = without_comment(text.substr(0, newline));
    text.remove_prefix(std::min(newline + 1, text.size()));
    const auto content = trimmed(line);
    if (content.empty()) continue;
    if (content.front() == '[') {
      outer.clear();
      on_section(content.back() == ']' ? section_name(content.substr(1, content.size() - 2))
                                       : SectionName{});
      continue;
    }
    const auto equals = content.find('=');
    if (equals == std::string_view::npos || equals == 0) continue;
    const auto indent = line.find_first_not_of(blanks);
    auto name = to_lower(trimmed(content.substr(0, equals)));
    const auto value = trimmed(content.substr(equals + 1));
    if (!outer.empty() && indent > outer_indent) {
      on_setting(std::string(outer).append(".").append(name), value);
      continue;
    }
    outer.clear();
    if (value.empty()) {
      outer = name;
      outer_indent = indent;
    }
    on_setting(std::move(name), value);
  }
}

// Absent files are empty.
Result<std::string> read_file(const std::string& path) {
  auto file = read_small_file(path, max_file_size);
  switch (file.state) {
    case SmallFile::State::read:
    case SmallFile::State::absent:
      break;
    case SmallFile::State::unreadable:
      return Error{.code = ErrorCode::credentials,
                   .message = "the AWS profile file " + path + " cannot be read"};
    case SmallFile::State::too_large:
      return Error{.code = ErrorCode::credentials,
                   .message = "the AWS profile file " + path + " is over 1 MiB"};
  }
  return std::move(file.text);
}

std::string file_path(const Environment& environment, std::string_view name,
                      std::string_view below_home) {
  auto path = variable(environment, name);
  const auto home = variable(environment, "HOME");
  if (!path) return home ? *home + "/" + std::string(below_home) : std::string();
  if (path->starts_with("~/") && home) return *home + path->substr(1);
  return *path;
}

}  // namespace

ProfileFiles ProfileFiles::parse(std::string_view config, std::string_view credentials) {
  ProfileFiles files;
  ProfileSettings* into = nullptr;
  const auto set = [&into](std::string name, std::string_view value) {
    if (into) into->insert_or_assign(std::move(name), std::string(value));
  };

  // "[profile default]" goes before "[default]".
  ProfileSettings plain_default;
  bool has_plain_default = false;
  read_lines(
      config,
      [&](const SectionName& section) {
        into = nullptr;
        if (section.name.empty()) return;
        if (section.kind == "profile") {
          into = &files.profiles_[std::string(section.name)];
        } else if (section.kind == "services") {
          into = &files.services_[std::string(section.name)];
        } else if (section.kind.empty() && section.name == "default") {
          into = &plain_default;
          has_plain_default = true;
        }
      },
      set);
  if (has_plain_default) files.profiles_.try_emplace("default", std::move(plain_default));

  into = nullptr;
  read_lines(
      credentials,
      [&](const SectionName& section) {
        const bool plain = section.kind.empty() && !section.name.empty();
        into = plain ? &files.profiles_[std::string(section.name)] : nullptr;
      },
      set);
  return files;
}

Result<ProfileFiles> ProfileFiles::load(const Environment& environment) {
  const auto config_path = file_path(environment, "AWS_CONFIG_FILE", ".aws/config");
  const auto credentials_path =
      file_path(environment, "AWS_SHARED_CREDENTIALS_FILE", ".aws/credentials");
  auto config = config_path.empty() ? std::string() : read_file(config_path);
  if (!config) return std::move(config).error();
  auto credentials = credentials_path.empty() ? std::string() : read_file(credentials_path);
  if (!credentials) return std::move(credentials).error();
  return parse(*config, *credentials);
}

const ProfileSettings* ProfileFiles::profile(std::string_view name) const {
  const auto found = profiles_.find(name);
  return found == profiles_.end() ? nullptr : &found->second;
}

std::optional<std::string> ProfileFiles::setting(std::string_view profile_name,
                                                 std::string_view name) const {
  const auto* settings = profile(profile_name);
  if (!settings) return std::nullopt;
  const auto found = settings->find(name);
  if (found == settings->end() || found->second.empty()) return std::nullopt;
  return found->second;
}

const ProfileSettings* ProfileFiles::services(std::string_view name) const {
  const auto found = services_.find(name);
  return found == services_.end() ? nullptr : &found->second;
}

ProfileName choose_profile(std::string_view option, const Environment& environment) {
  if (!option.empty()) return {std::string(option), true};
  if (auto named = variable(environment, "AWS_PROFILE")) return {*std::move(named), true};
  return {"default", false};
}

std::optional<Error> check_profile(const ProfileFiles& files, const ProfileName& profile) {
  if (!profile.asked_for || files.profile(profile.name)) return std::nullopt;
  return Error{.code = ErrorCode::credentials,
               .message = "there is no AWS profile '" + profile.name +
                          "' in the config and credentials files"};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
