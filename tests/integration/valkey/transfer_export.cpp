// A program that exports and dies in the middle of it: SIGKILL at the first news of progress.
//
//   valkey_transfer_export <uri> <prefix> <file>
#include <valkeycache/transfer.hpp>

#include <csignal>

using namespace valkeycache;

int main(int argc, char** argv) {
  if (argc != 4) return 2;
  ValkeyCacheOptions options;
  options.prefix = argv[2];
  options.connect_timeout = options.command_timeout = std::chrono::seconds(30);
  auto cache = ValkeyCache::open(argv[1], options);
  if (!cache) return 3;
  ExportOptions out;
  out.progress = [](const ExportReport&) {
    static_cast<void>(std::raise(SIGKILL));
  };
  return export_entries(*cache, argv[3], out) ? 4 : 5;
}
