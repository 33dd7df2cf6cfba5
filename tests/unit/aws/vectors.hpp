// Reading the JSON test vectors.
#pragma once

#include <fstream>
#include <optional>
#include <string>

#include <nlohmann/json.hpp>

namespace valkeycache::test {

// The parsed file; nothing where there is no such file.
inline std::optional<nlohmann::json> read_json(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  if (!file) return std::nullopt;
  return nlohmann::json::parse(file);
}

}  // namespace valkeycache::test
