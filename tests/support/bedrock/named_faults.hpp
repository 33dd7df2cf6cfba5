// Faults that a caller asks for by the model's id: for programs of other languages, which cannot
// reach into the simulated Bedrock.
#pragma once

#include <functional>
#include <optional>

#include "support/bedrock/fault.hpp"
#include "support/bedrock/simulated_bedrock.hpp"

namespace valkeycache::test {

// A rule for SimulatedBedrock::set_rule(). Every call of the model "fault.NAME" meets the fault of
// that name, the first call alone of the model "fault.once.NAME.ANYTHING". The names are in
// named_faults.cpp.
std::function<std::optional<Fault>(const RecordedRequest&)> named_faults();

}  // namespace valkeycache::test
