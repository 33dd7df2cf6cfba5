// The samples that the fuzz targets begin with.
#pragma once

#include <algorithm>
#include <filesystem>
#include <fstream>
#include <iterator>
#include <string>
#include <vector>

namespace valkeycache::test {

// Those of one target. Sorted: a folder's order is not the same everywhere.
inline std::vector<std::string> corpus_of(const std::string& target) {
  std::vector<std::string> samples;
  for (const auto& file : std::filesystem::directory_iterator(
           std::string(VALKEYCACHE_TEST_DATA "/../fuzz/corpus/") + target)) {
    std::ifstream in(file.path(), std::ios::binary);
    samples.emplace_back(std::istreambuf_iterator<char>(in), std::istreambuf_iterator<char>());
  }
  std::sort(samples.begin(), samples.end());
  return samples;
}

}  // namespace valkeycache::test
