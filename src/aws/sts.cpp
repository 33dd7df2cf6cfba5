#include "aws/sts.hpp"

#include <algorithm>
#include <array>
#include <chrono>
#include <string_view>
#include <utility>
#include <vector>

#include "aws/credentials.hpp"
#include "aws/credentials_answer.hpp"
#include "aws/endpoint.hpp"
#include "aws/http_fetch.hpp"
#include "aws/percent.hpp"
#include "aws/sigv4.hpp"
#include "aws/small_file.hpp"
#include "base/ascii.hpp"
#include "base/number.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view content_type = "application/x-www-form-urlencoded; charset=utf-8";
constexpr std::chrono::seconds attempt_timeout{10};

// STS throttles, and tells that the identity's provider is out of reach, with status 400.
bool is_passing_error(const FetchAnswer& answer) {
  static constexpr std::array<std::string_view, 5> codes{"Throttling", "ThrottlingException",
                                                         "RequestLimitExceeded", "RequestTimeout",
                                                         "IDPCommunicationError"};
  return answer.status == 400 &&
         std::find(codes.begin(), codes.end(), sts_error_code(answer.body)) != codes.end();
}

constexpr FetchPatience sts_patience{
    .attempts = 3, .pause = std::chrono::milliseconds(200), .also_passing = is_passing_error};
constexpr std::size_t max_token_file = std::size_t{64} << 10;

bool is_name(std::string_view text, std::string_view further) noexcept {
  return std::all_of(text.begin(), text.end(), [further](char c) {
    return is_alphanumeric(c) || further.find(c) != std::string_view::npos;
  });
}

// What of a request is unusable; "" where all is well. STS would refuse it too, in words that may
// not be shown.
std::string fault_of(const RoleRequest& request) {
  if (!request.role_arn.starts_with("arn:") || request.role_arn.size() > 2048) {
    return "the role is not an ARN";
  }
  const auto& name = request.session_name;
  if (!name.empty() && (name.size() < 2 || name.size() > 64 || !is_name(name, "_+=,.@-"))) {
    return "the role's session name has to be 2 to 64 letters, digits or _+=,.@-";
  }
  const auto& duration = request.duration_seconds;
  if (!duration.empty()) {
    const auto seconds = parse_number<int>(duration).value_or(0);
    if (seconds < 900 || seconds > 43200) {
      return "duration_seconds is not a number from 900 to 43200";
    }
  }
  return {};
}

void add_parameter(std::string& form, std::string_view name, std::string_view value) {
  if (value.empty()) return;
  if (!form.empty()) form += '&';
  form.append(name).append("=");
  append_percent_encoded(form, value);
}

std::string form_of(std::string_view action, const RoleRequest& request) {
  auto name = request.session_name;
  if (name.empty()) {
    const auto now = std::chrono::system_clock::now().time_since_epoch();
    name = "valkeycache-" +
           std::to_string(std::chrono::duration_cast<std::chrono::milliseconds>(now).count());
  }
  std::string form;
  add_parameter(form, "Action", action);
  add_parameter(form, "Version", "2011-06-15");
  add_parameter(form, "RoleArn", request.role_arn);
  add_parameter(form, "RoleSessionName", name);
  add_parameter(form, "ExternalId", request.external_id);
  add_parameter(form, "DurationSeconds", request.duration_seconds);
  return form;
}

Result<Endpoint> sts_endpoint(const StsPlace& place) {
  const auto& context = place.context;
  auto endpoint = resolve_endpoint({.region = context.region,
                                    .endpoint = {},
                                    .fips = context.fips,
                                    .dual_stack = context.dual_stack,
                                    .service = sts_service},
                                   context.environment, place.files, place.profile);
  if (endpoint && !endpoint->is_https() && !endpoint->is_loopback()) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "endpoint: plain http would show the keys to the network"};
  }
  return endpoint;
}

std::vector<std::string> signed_headers(const Endpoint& endpoint, const std::string& path,
                                        const std::string& form, const std::string& region,
                                        const AwsCredentials& source) {
  SigV4Signer signer(region, "sts");
  const std::vector<HeaderView> to_sign{{"host", endpoint.authority},
                                        {"content-type", content_type}};
  const auto made =
      signer.sign({.method = "POST", .path = path, .query = {}, .headers = to_sign, .body = form},
                  source, std::chrono::system_clock::now());
  std::vector<std::string> lines{"X-Amz-Date: " + made.x_amz_date,
                                 "Authorization: " + made.authorization};
  if (!source.session_token.empty()) {
    lines.push_back("X-Amz-Security-Token: " + source.session_token);
  }
  return lines;
}

// Sends the form, signed where there are credentials to sign with.
SourceAnswer ask(std::string_view action, const RoleRequest& role, std::string form,
                 const AwsCredentials* source, const StsPlace& place) {
  const auto what = std::string(action) + " for " + role.role_arn + ": ";
  const auto endpoint = sts_endpoint(place);
  if (!endpoint) return refusal(what + "STS's " + endpoint.error().message);
  const auto path = endpoint->base_path + "/";
  FetchRequest request{.method = "POST",
                       .url = endpoint->scheme + "://" + endpoint->authority + path,
                       .body = std::move(form),
                       .timeout = attempt_timeout,
                       .max_bytes = max_credentials_answer,
                       .bypass_proxy = endpoint->is_loopback(),
                       .ca_file = place.context.ca_file};
  if (source) {
    request.header_lines =
        signed_headers(*endpoint, path, request.body, place.context.region, *source);
  }
  request.header_lines.push_back("Host: " + endpoint->authority);
  request.header_lines.push_back("Content-Type: " + std::string(content_type));
  request.header_lines.emplace_back("Accept:");
  const auto answer = fetch_patiently(request, sts_patience, place.context.stop);
  if (answer.status != 200) {
    const auto code = sts_error_code(answer.body);
    return refusal(what + "STS at " + endpoint->authority + " answered: " + describe(answer) +
                   (code.empty() ? "" : " " + code));
  }
  auto credentials = credentials_of_sts(answer.body, action);
  if (!credentials) return refusal(what + "STS: " + credentials.error().message);
  return {.credentials = *std::move(credentials)};
}

}  // namespace

SourceAnswer assume_role(const RoleRequest& request, const AwsCredentials& source,
                         const StsPlace& place) {
  static constexpr std::string_view action = "AssumeRole";
  if (auto fault = fault_of(request); !fault.empty()) return refusal(std::move(fault));
  if (auto error = check_credentials(source)) return refusal(std::move(error->message));
  return ask(action, request, form_of(action, request), &source, place);
}

SourceAnswer assume_role_with_web_identity(const RoleRequest& request,
                                           const std::string& token_file, const StsPlace& place) {
  static constexpr std::string_view action = "AssumeRoleWithWebIdentity";
  if (auto fault = fault_of(request); !fault.empty()) return refusal(std::move(fault));
  auto file = read_small_file(token_file, max_token_file);
  if (file.state != SmallFile::State::read) {
    return refusal("the web identity token file " + token_file +
                   (file.state == SmallFile::State::absent ? " is not there" : " cannot be read"));
  }
  const auto last = file.text.find_last_not_of(" \t\r\n");
  file.text.resize(last == std::string::npos ? 0 : last + 1);
  if (file.text.empty()) return refusal("the web identity token file " + token_file + " is empty");
  auto form = form_of(action, request);
  add_parameter(form, "WebIdentityToken", file.text);
  return ask(action, request, std::move(form), nullptr, place);
}

}  // namespace detail
}  // namespace valkeycache::inline v0
