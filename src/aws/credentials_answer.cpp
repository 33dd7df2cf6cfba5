#include "aws/credentials_answer.hpp"

#include <algorithm>
#include <array>
#include <optional>
#include <utility>

#include "aws/iso8601.hpp"
#include "aws/xml_leaves.hpp"
#include "base/ascii.hpp"
#include "base/json_cursor.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr int max_answer_depth = 16;

Error bad_answer(std::string message) {
  return {.code = ErrorCode::credentials, .message = "the answer " + std::move(message)};
}

// A member that is looked for, and what was found.
struct Wanted {
  std::string_view name;
  std::optional<std::string> text = {};
  bool is_number = false;
  bool seen = false;
};

// Reads the wanted members, strings or null (which counts as absent) all of them; "Version" may
// also be a number, whose token is kept. Nothing where all is well.
template <std::size_t N>
std::optional<Error> read_members(std::string_view json, std::array<Wanted, N>& wanted) {
  JsonCursor cursor(json);
  bool first = true;
  JsonStringToken name;
  if (cursor.expect('{')) {
    while (cursor.next_member(first, name)) {
      const auto member_name = name.decode();
      const auto one = std::find_if(wanted.begin(), wanted.end(), [&member_name](const Wanted& w) {
        return w.name == member_name;
      });
      std::string_view raw;
      if (one == wanted.end()) {
        cursor.value(raw, max_answer_depth);
        continue;
      }
      if (std::exchange(one->seen, true)) {
        return bad_answer("has two members '" + std::string(one->name) + "'");
      }
      const char kind = cursor.peek();
      JsonStringToken text;
      if (kind == '"') {
        if (cursor.string(text)) one->text = text.decode();
      } else if (kind == 'n') {
        cursor.literal(raw);
        if (raw != "null") return bad_answer("is malformed JSON");
      } else if (one->name == "Version") {
        if (cursor.number(raw)) one->text = raw;
        one->is_number = true;
      } else if (cursor.ok()) {
        return bad_answer("has a '" + std::string(one->name) + "' that is no text");
      }
    }
  }
  if (cursor.finish()) return std::nullopt;
  return bad_answer(std::string("is no JSON object: ") + describe(cursor.fault()));
}

std::optional<Error> set_expiration(AwsCredentials& credentials, const std::string& text) {
  credentials.expires = parse_iso8601(text);
  if (credentials.expires) return std::nullopt;
  return bad_answer("has an 'Expiration' that is no ISO 8601 time");
}

}  // namespace

Result<AwsCredentials> credentials_of_json(std::string_view json, CredentialsForm form) {
  const bool of_process = form == CredentialsForm::process;
  std::array<Wanted, 6> wanted{{{"AccessKeyId"},
                                {"SecretAccessKey"},
                                {of_process ? "SessionToken" : "Token"},
                                {"Expiration"},
                                {of_process ? "Version" : ""},
                                {form == CredentialsForm::instance ? "Code" : ""}}};
  if (auto error = read_members(json, wanted)) return *std::move(error);
  const auto& [id, secret, token, expiration, version, code] = wanted;
  if (of_process) {
    if (!version.text) return bad_answer("has no 'Version'");
    if (!version.is_number || *version.text != "1") {
      return bad_answer("has a 'Version' other than the number 1");
    }
  }
  if (form == CredentialsForm::instance && code.text != "Success") {
    return bad_answer("has a 'Code' other than 'Success'");
  }
  for (const auto* needed : {&id, &secret, &token, &expiration}) {
    const bool optional = of_process && (needed == &token || needed == &expiration);
    if (!optional && (!needed->text || needed->text->empty())) {
      return bad_answer("has no '" + std::string(needed->name) + "'");
    }
  }
  AwsCredentials credentials{.access_key_id = *id.text,
                             .secret_access_key = *secret.text,
                             .session_token = token.text.value_or("")};
  if (expiration.text) {
    if (auto error = set_expiration(credentials, *expiration.text)) return *std::move(error);
  }
  return credentials;
}

Result<AwsCredentials> credentials_of_sts(std::string_view xml, std::string_view action) {
  std::string prefix(action);
  prefix.append("Response/").append(action).append("Result/Credentials/");
  std::array<Wanted, 4> wanted{
      {{"AccessKeyId"}, {"SecretAccessKey"}, {"SessionToken"}, {"Expiration"}}};
  bool repeated = false;
  const bool whole = read_xml_leaves(xml, [&](std::string_view path, std::string text) {
    if (!path.starts_with(prefix)) return;
    for (auto& one : wanted) {
      if (path.substr(prefix.size()) != one.name) continue;
      repeated |= one.text.has_value();
      one.text = std::move(text);
      return;
    }
  });
  if (!whole) return bad_answer("is not well-formed XML");
  if (repeated) return bad_answer("has credentials twice");
  for (const auto& one : wanted) {
    if (!one.text || one.text->empty()) {
      return bad_answer("has no '" + std::string(one.name) + "'");
    }
  }
  const auto& [id, secret, token, expiration] = wanted;
  AwsCredentials credentials{
      .access_key_id = *id.text, .secret_access_key = *secret.text, .session_token = *token.text};
  if (auto error = set_expiration(credentials, *expiration.text)) return *std::move(error);
  return credentials;
}

std::string sts_error_code(std::string_view xml) {
  std::string code;
  const bool whole = read_xml_leaves(xml, [&code](std::string_view path, std::string text) {
    if (path == "ErrorResponse/Error/Code") code = std::move(text);
  });
  const bool is_name = code.size() <= 64 && std::all_of(code.begin(), code.end(), [](char c) {
                         return is_letter(c) || c == '.' || c == '_';
                       });
  return whole && is_name ? code : std::string();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
