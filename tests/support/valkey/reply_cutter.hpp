// Where one reply of a RESP stream ends and the next begins. It shares no code with the library.
#pragma once

#include <cstddef>
#include <string_view>

namespace valkeycache::test {

// The length of the first reply (or push), with all that is nested in it; 0 when it is not whole
// yet. Bytes that are no RESP count as a line.
std::size_t first_reply_length(std::string_view bytes);

}  // namespace valkeycache::test
