// What ConverseStream sends for an answer that Converse would give.
#pragma once

#include <optional>
#include <string>
#include <vector>

#include "support/bedrock/fault.hpp"

namespace valkeycache::test {

// The frames of a stream that amounts to the Converse response: text in pieces of a few characters,
// a tool's input in pieces of its JSON, padding in each event. Cuts and padding depend on the seed
// alone. Nothing where the text is no Converse response.
std::optional<std::vector<std::string>> simulated_stream(const std::string& converse_response,
                                                         unsigned seed);

// The same with what goes wrong.
std::vector<std::string> spoiled(std::vector<std::string> frames, const StreamFault& fault);

}  // namespace valkeycache::test
