#include "aws/container_credentials.hpp"

#include <algorithm>
#include <array>
#include <string_view>
#include <utility>

#include "aws/credentials_answer.hpp"
#include "aws/endpoint.hpp"
#include "aws/http_fetch.hpp"
#include "aws/small_file.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view relative_variable = "AWS_CONTAINER_CREDENTIALS_RELATIVE_URI";
constexpr std::string_view full_variable = "AWS_CONTAINER_CREDENTIALS_FULL_URI";
constexpr std::string_view token_variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN";
constexpr std::string_view token_file_variable = "AWS_CONTAINER_AUTHORIZATION_TOKEN_FILE";
constexpr std::size_t max_token_file = std::size_t{64} << 10;

// Of ECS and EKS, IPv4 and IPv6.
constexpr std::array<std::string_view, 3> known_hosts{"169.254.170.2", "169.254.170.23",
                                                      "fd00:ec2::23"};

bool is_printable(std::string_view text) noexcept {
  return std::all_of(text.begin(), text.end(), [](char c) { return c > 0x20 && c < 0x7f; });
}

// "" where none is set.
Result<std::string> token_of(const Environment& environment) {
  std::string token;
  std::string_view from = token_variable;
  if (const auto path = variable(environment, token_file_variable)) {
    from = token_file_variable;
    auto file = read_small_file(*path, max_token_file);
    if (file.state != SmallFile::State::read) {
      return Error{.code = ErrorCode::credentials,
                   .message = "the file of " + std::string(from) + ", " + *path +
                              (file.state == SmallFile::State::absent ? ", is not there"
                                                                      : ", cannot be read")};
    }
    token = std::move(file.text);
    const auto last = token.find_last_not_of("\r\n");
    token.resize(last == std::string::npos ? 0 : last + 1);
  } else {
    token = variable(environment, token_variable).value_or("");
  }
  const bool is_header_text =
      std::all_of(token.begin(), token.end(), [](char c) { return c >= 0x20 && c < 0x7f; });
  if (!is_header_text) {
    return Error{
        .code = ErrorCode::credentials,
        .message = "the token of " + std::string(from) + " holds a character that no token has"};
  }
  return token;
}

}  // namespace

Result<ContainerPlace> container_place(const SourceContext& context) {
  const auto bad = [](std::string_view name, std::string_view what) {
    return Error{.code = ErrorCode::credentials,
                 .message = std::string(name).append(" ").append(what)};
  };
  if (const auto path = variable(context.environment, relative_variable)) {
    if (!path->starts_with('/') || !is_printable(*path)) {
      return bad(relative_variable, "is not a path that begins with /");
    }
    return ContainerPlace{context.container_host + *path};
  }
  const auto url = variable(context.environment, full_variable).value_or("");
  const auto query = std::min(url.find('?'), url.size());
  const auto endpoint = parse_endpoint(std::string_view(url).substr(0, query));
  if (!endpoint) return bad(full_variable, "cannot be used: " + endpoint.error().message);
  if (!is_printable(url) || url.find('#') != std::string::npos) {
    return bad(full_variable, "holds a character that a URL may not hold");
  }
  const bool is_known =
      std::find(known_hosts.begin(), known_hosts.end(), endpoint->host) != known_hosts.end();
  if (!endpoint->is_https() && !endpoint->is_loopback() && !is_known) {
    return bad(full_variable,
               "is plain http to a host that is neither this machine nor one of "
               "the addresses of ECS and EKS");
  }
  return ContainerPlace{url, is_known || endpoint->is_loopback()};
}

SourceAnswer container_credentials(const SourceContext& context) {
  if (!variable(context.environment, relative_variable) &&
      !variable(context.environment, full_variable)) {
    return nothing("neither " + std::string(relative_variable) + " nor " +
                   std::string(full_variable) + " is set");
  }
  auto place = container_place(context);
  if (!place) return refusal(place.error().message);
  const auto token = token_of(context.environment);
  if (!token) return refusal(token.error().message);
  FetchRequest request{.url = std::move(place->url),
                       .header_lines = {"Accept: application/json"},
                       .max_bytes = max_credentials_answer,
                       .bypass_proxy = place->bypass_proxy,
                       .ca_file = context.ca_file};
  if (!token->empty()) request.header_lines.push_back("Authorization: " + *token);
  const auto answer = fetch_patiently(request, {}, context.stop);
  if (answer.status != 200) {
    return refusal("the container's endpoint answered: " + describe(answer));
  }
  auto credentials = credentials_of_json(answer.body, CredentialsForm::container);
  if (!credentials) return refusal("the container's endpoint: " + credentials.error().message);
  return {.credentials = *std::move(credentials)};
}

CredentialsSource container_source(SourceContext context) {
  return {"container", [context = std::move(context)] {
            return container_credentials(context);
          }};
}

}  // namespace detail
}  // namespace valkeycache::inline v0
