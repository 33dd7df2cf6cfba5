#include "aws/credential_process.hpp"

#include "aws/credentials_answer.hpp"

namespace valkeycache::inline v0 {
namespace detail {

SourceAnswer process_credentials(const std::string& command, const SourceContext& context,
                                 const CommandLimits& limits) {
  using End = CommandResult::End;
  const auto result = run_command(command, limits, context.stop);
  switch (result.end) {
    case End::exited:
      break;
    case End::signalled:
      return refusal("credential_process was ended by a signal");
    case End::not_started:
      return refusal("credential_process could not be started");
    case End::timed_out:
      return refusal("credential_process did not end within " +
                     std::to_string(limits.timeout.count()) + " ms");
    case End::too_large:
      return refusal("credential_process wrote more than " + std::to_string(limits.max_output) +
                     " bytes");
    case End::stopped:
      return refusal("the client was closed while credential_process ran");
  }
  if (result.exit_status != 0) {
    return refusal("credential_process ended with status " + std::to_string(result.exit_status));
  }
  auto credentials = credentials_of_json(result.output, CredentialsForm::process);
  if (!credentials) return refusal("credential_process: " + credentials.error().message);
  return {.credentials = *std::move(credentials)};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
