// A question about an image: image [<file>]
//
// The file's bytes are part of the key, so the same picture is a hit under whatever name, and any
// other one a miss. VALKEY_URI and AWS's own variables as in quickstart.
#include <valkeycache/valkeycache.hpp>

#include <cstdlib>
#include <fstream>
#include <iostream>
#include <iterator>
#include <string>

using namespace valkeycache;
using namespace std::chrono_literals;

namespace {

// A red dot.
constexpr unsigned char dot[] = {
    0x89, 0x50, 0x4e, 0x47, 0x0d, 0x0a, 0x1a, 0x0a, 0x00, 0x00, 0x00, 0x0d, 0x49, 0x48,
    0x44, 0x52, 0x00, 0x00, 0x00, 0x01, 0x00, 0x00, 0x00, 0x01, 0x08, 0x02, 0x00, 0x00,
    0x00, 0x90, 0x77, 0x53, 0xde, 0x00, 0x00, 0x00, 0x0c, 0x49, 0x44, 0x41, 0x54, 0x78,
    0xda, 0x63, 0xf8, 0xcf, 0xc0, 0x00, 0x00, 0x03, 0x01, 0x01, 0x00, 0xf7, 0x03, 0x41,
    0x43, 0x00, 0x00, 0x00, 0x00, 0x49, 0x45, 0x4e, 0x44, 0xae, 0x42, 0x60, 0x82};

std::string read(const std::string& path) {
  std::ifstream file(path, std::ios::binary);
  return {std::istreambuf_iterator<char>(file), {}};
}

std::string format_of(const std::string& path) {
  const auto format = path.substr(path.find_last_of('.') + 1);
  return format == "jpg" ? "jpeg" : format;
}

}  // namespace

int main(int argc, char** argv) {
  const std::string path = argc > 1 ? argv[1] : "dot.png";
  const auto bytes =
      argc > 1 ? read(path) : std::string(reinterpret_cast<const char*>(dot), sizeof dot);

  const char* uri = std::getenv("VALKEY_URI");
  const auto cache = ValkeyCache::open(uri ? uri : "valkey://localhost:6379", {.ttl = 24h}).value();
  const auto claude = BedrockClient::create({.model = "us.anthropic.claude-sonnet-4-20250514-v1:0",
                                             .region = "us-west-2"})
                          .value();
  const CachedLlm llm{cache, claude};

  const auto request =
      ChatRequest()
          .user({Content::text("What is on this picture?"), Content::image(format_of(path), bytes)})
          .temperature(0);
  // Whatever was unusable, an unreadable file or a format that Converse has not, is told here.
  const auto answer = llm.ask(request).get();
  if (!answer) {
    std::cerr << "image: " << answer.error().message << '\n';
    return 1;
  }
  std::cout << (answer->cached ? "HIT  " : "MISS ") << answer->response << '\n';
}
