#include <cstddef>
#include <cstdint>
#include <cstdlib>
#include <iostream>

#include "fuzz/transfer_properties.hpp"

extern "C" int LLVMFuzzerTestOneInput(const std::uint8_t* data, std::size_t size) {
  const auto* broken =
      valkeycache_fuzz::check_export_line({reinterpret_cast<const char*>(data), size});
  if (broken) {
    std::cerr << broken << '\n';
    std::abort();
  }
  return 0;
}
