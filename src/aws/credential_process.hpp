// A profile's credential_process: a command that writes credentials as JSON.
//
// Rule: "Sourcing credentials with an external process" in the AWS CLI user guide.
#pragma once

#include <string>

#include "aws/credentials_source.hpp"
#include "aws/run_command.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Runs it and reads its answer. Nothing of the command's text or output gets into `why`.
SourceAnswer process_credentials(const std::string& command, const SourceContext& context,
                                 const CommandLimits& limits = {});

}  // namespace detail
}  // namespace valkeycache::inline v0
