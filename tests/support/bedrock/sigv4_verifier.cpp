#include "support/bedrock/sigv4_verifier.hpp"

#include <algorithm>
#include <cctype>
#include <cstdio>
#include <cstdlib>
#include <ctime>

#include <openssl/evp.h>
#include <openssl/hmac.h>

namespace valkeycache::test {
namespace {

std::string lower(std::string text) {
  std::transform(text.begin(), text.end(), text.begin(),
                 [](unsigned char c) { return static_cast<char>(std::tolower(c)); });
  return text;
}

std::string to_hex(const std::string& bytes) {
  std::string out;
  char buffer[3];
  for (const char c : bytes) {
    std::snprintf(buffer, sizeof buffer, "%02x",
                  static_cast<unsigned>(static_cast<unsigned char>(c)));
    out += buffer;
  }
  return out;
}

std::string hash(const std::string& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  EVP_Digest(data.data(), data.size(), digest, &size, EVP_sha256(), nullptr);
  return std::string(reinterpret_cast<char*>(digest), size);
}

std::string mac(const std::string& key, const std::string& data) {
  unsigned char digest[EVP_MAX_MD_SIZE];
  unsigned size = 0;
  HMAC(EVP_sha256(), key.data(), static_cast<int>(key.size()),
       reinterpret_cast<const unsigned char*>(data.data()), data.size(), digest, &size);
  return std::string(reinterpret_cast<char*>(digest), size);
}

std::vector<std::string> split(const std::string& text, char at) {
  std::vector<std::string> parts{""};
  for (const char c : text) {
    if (c == at) {
      parts.emplace_back();
    } else {
      parts.back() += c;
    }
  }
  return parts;
}

std::string uri_encode(const std::string& text) {
  std::string out;
  char buffer[4];
  for (const char c : text) {
    const auto byte = static_cast<unsigned char>(c);
    if (std::isalnum(byte) != 0 || c == '-' || c == '.' || c == '_' || c == '~') {
      out += c;
    } else {
      std::snprintf(buffer, sizeof buffer, "%%%02X", static_cast<unsigned>(byte));
      out += buffer;
    }
  }
  return out;
}

// "Normalize URI paths according to RFC 3986. Remove redundant and relative path components. Each
// path segment must be URI-encoded twice": the wire holds it encoded once.
std::string canonical_uri(const std::string& path) {
  std::vector<std::string> kept;
  for (const auto& segment : split(path, '/')) {
    if (segment.empty() || segment == ".") continue;
    if (segment != "..") {
      kept.push_back(segment);
    } else if (!kept.empty()) {
      kept.pop_back();
    }
  }
  std::string out;
  for (const auto& segment : kept) out += "/" + uri_encode(segment);
  if (out.empty() || (path.size() > 1 && path.back() == '/')) out += "/";
  return out;
}

std::string uri_decode(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::strtol(text.substr(i + 1, 2).c_str(), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

std::string canonical_query(const std::string& query) {
  std::vector<std::string> parameters;
  for (const auto& parameter : split(query, '&')) {
    if (parameter.empty()) continue;
    const auto equals = parameter.find('=');
    const auto name = parameter.substr(0, equals);
    const auto value = equals == std::string::npos ? "" : parameter.substr(equals + 1);
    parameters.push_back(uri_encode(uri_decode(name)) + "=" + uri_encode(uri_decode(value)));
  }
  std::sort(parameters.begin(), parameters.end());
  std::string out;
  for (const auto& parameter : parameters) out += (out.empty() ? "" : "&") + parameter;
  return out;
}

std::string trim_all(const std::string& value) {
  std::string out;
  for (const char c : value) {
    const bool blank = c == ' ' || c == '\t';
    if (!blank) {
      out += c;
    } else if (!out.empty() && out.back() != ' ') {
      out += ' ';
    }
  }
  if (!out.empty() && out.back() == ' ') out.pop_back();
  return out;
}

// All values of one header, joined; false where there is none.
bool canonical_header(const HeaderPairs& headers, const std::string& name, std::string& out) {
  bool found = false;
  for (const auto& [header, value] : headers) {
    if (lower(header) != name) continue;
    out += (found ? "," : "") + trim_all(value);
    found = true;
  }
  return found;
}

long parse_time(const std::string& amz_date) {
  std::tm time{};
  if (amz_date.size() != 16 ||
      std::sscanf(amz_date.c_str(), "%4d%2d%2dT%2d%2d%2dZ", &time.tm_year, &time.tm_mon,
                  &time.tm_mday, &time.tm_hour, &time.tm_min, &time.tm_sec) != 6) {
    return -1;
  }
  time.tm_year -= 1900;
  time.tm_mon -= 1;
  return static_cast<long>(timegm(&time));
}

std::string format_time(long seconds) {
  const auto time = static_cast<std::time_t>(seconds);
  std::tm parts{};
  gmtime_r(&time, &parts);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y%m%dT%H%M%SZ", &parts);
  return buffer;
}

std::string field(const std::string& authorization, const std::string& name) {
  const auto at = authorization.find(name + "=");
  if (at == std::string::npos) return "";
  const auto from = at + name.size() + 1;
  return authorization.substr(from, authorization.find_first_of(", ", from) - from);
}

constexpr long tolerance = 5 * 60;

Refusal check_time(const std::string& amz_date, long now) {
  const long signed_at = parse_time(amz_date);
  if (signed_at < 0) {
    return {"IncompleteSignatureException", "Date must be in ISO-8601 'basic format'."};
  }
  if (signed_at < now - tolerance) {
    return {"InvalidSignatureException",
            "Signature expired: " + amz_date + " is now earlier than " +
                format_time(now - tolerance) + " (" + format_time(now) + " - 5 min.)"};
  }
  if (signed_at > now + tolerance) {
    return {"InvalidSignatureException",
            "Signature not yet current: " + amz_date + " is still later than " +
                format_time(now + tolerance) + " (" + format_time(now) + " + 5 min.)"};
  }
  return {};
}

// The scope with the access key in front.
std::string string_to_sign(const std::string& amz_date, const std::vector<std::string>& scope,
                           const std::string& canonical) {
  return "AWS4-HMAC-SHA256\n" + amz_date + "\n" + scope[1] + "/" + scope[2] + "/" + scope[3] + "/" +
         scope[4] + "\n" + to_hex(hash(canonical));
}

std::string signature_of(const KnownCaller& caller, const std::vector<std::string>& scope,
                         const std::string& to_sign) {
  auto key = mac("AWS4" + caller.secret_access_key, scope[1]);
  for (const auto& part : {scope[2], scope[3], scope[4]}) key = mac(key, part);
  return to_hex(mac(key, to_sign));
}

}  // namespace

std::string header_value(const HeaderPairs& headers, const std::string& name) {
  for (const auto& [header, value] : headers) {
    if (lower(header) == lower(name)) return value;
  }
  return "";
}

Refusal check_signature(const ReceivedRequest& request, const CallerRegistry& callers, long now,
                        const std::string& region, const std::string& service) {
  const auto authorization = header_value(request.headers, "authorization");
  const auto amz_date = header_value(request.headers, "x-amz-date");
  const auto scope = split(field(authorization, "Credential"), '/');
  const auto signed_names = split(field(authorization, "SignedHeaders"), ';');
  const auto signature = field(authorization, "Signature");
  if (authorization.rfind("AWS4-HMAC-SHA256 ", 0) != 0 || scope.size() != 5 ||
      signature.size() != 64 || amz_date.empty()) {
    return {"IncompleteSignatureException", "Authorization header is not complete."};
  }

  const auto caller = callers.by_access_key.find(scope[0]);
  const auto token = header_value(request.headers, "x-amz-security-token");
  if (callers.expired_tokens.count(token) != 0) {
    return {"ExpiredTokenException", "The security token included in the request is expired"};
  }
  if (caller == callers.by_access_key.end() || caller->second.session_token != token) {
    return {"UnrecognizedClientException",
            "The security token included in the request is invalid."};
  }
  if (auto refusal = check_time(amz_date, now); !refusal.type.empty()) return refusal;
  if (scope[1] != amz_date.substr(0, 8) || scope[3] != service || scope[4] != "aws4_request" ||
      (!region.empty() && scope[2] != region)) {
    return {"InvalidSignatureException",
            "Credential should be scoped to a valid region, to the "
            "correct service '" +
                service + "' and to the date."};
  }
  const auto is_signed = [&signed_names](const std::string& name) {
    return std::find(signed_names.begin(), signed_names.end(), name) != signed_names.end();
  };
  for (const auto& [name, value] : request.headers) {
    const auto name_lower = lower(name);
    if (name_lower == "host" && is_signed(":authority")) continue;  // HTTP/2's name for it
    if (name_lower == "host" || name_lower == "content-type" ||
        name_lower.rfind("x-amz-", 0) == 0) {
      if (!is_signed(name_lower)) {
        return {"InvalidSignatureException", "'" + name + "' must be a signed header."};
      }
    }
  }

  const auto question_mark = std::min(request.target.find('?'), request.target.size());
  const auto query =
      question_mark < request.target.size() ? request.target.substr(question_mark + 1) : "";
  std::string canonical = request.method + "\n" +
                          canonical_uri(request.target.substr(0, question_mark)) + "\n" +
                          canonical_query(query) + "\n";
  if (!std::is_sorted(signed_names.begin(), signed_names.end())) {
    return {"IncompleteSignatureException", "SignedHeaders is not sorted."};
  }
  for (const auto& name : signed_names) {
    std::string value;
    if (!canonical_header(request.headers, name, value)) {
      return {"InvalidSignatureException", "Signed header '" + name + "' is missing."};
    }
    canonical += name + ":" + value + "\n";
  }
  canonical += "\n" + field(authorization, "SignedHeaders") + "\n";
  const auto claimed_hash = header_value(request.headers, "x-amz-content-sha256");
  const auto body_hash = to_hex(hash(request.body));
  if (!claimed_hash.empty() && claimed_hash != body_hash) {
    return {"InvalidSignatureException", "x-amz-content-sha256 does not match the body."};
  }
  canonical += body_hash;

  const auto to_sign = string_to_sign(amz_date, scope, canonical);
  if (signature_of(caller->second, scope, to_sign) != signature) {
    // The real service, too, tells all that it hashed, session token included.
    return {"InvalidSignatureException",
            "The request signature we calculated does not match the signature you provided. Check "
            "your AWS Secret Access Key and signing method.\n\nThe Canonical String for this "
            "request should have been\n'" +
                canonical + "'\n\nThe String-to-Sign should have been\n'" + to_sign + "'\n"};
  }
  return {};
}

std::string query_parameter(const std::string& url, const std::string& name) {
  for (const auto& parameter :
       split(url.substr(std::min(url.find('?'), url.size() - 1) + 1), '&')) {
    const auto equals = parameter.find('=');
    if (uri_decode(parameter.substr(0, equals)) != name || equals == std::string::npos) continue;
    return uri_decode(parameter.substr(equals + 1));
  }
  return "";
}

Refusal check_presigned(const std::string& url, const CallerRegistry& callers, long now,
                        const std::string& region, const std::string& service) {
  const auto host = url.substr(0, url.find('/'));
  const auto amz_date = query_parameter(url, "X-Amz-Date");
  const auto scope = split(query_parameter(url, "X-Amz-Credential"), '/');
  if (query_parameter(url, "X-Amz-Algorithm") != "AWS4-HMAC-SHA256" || scope.size() != 5 ||
      url.compare(host.size(), 2, "/?") != 0 ||
      query_parameter(url, "X-Amz-SignedHeaders") != "host") {
    return {"IncompleteSignatureException", "The query is not complete."};
  }
  const auto caller = callers.by_access_key.find(scope[0]);
  if (caller == callers.by_access_key.end() ||
      caller->second.session_token != query_parameter(url, "X-Amz-Security-Token")) {
    return {"UnrecognizedClientException", "The security token is invalid."};
  }
  const auto signed_at = parse_time(amz_date);
  const auto life = std::atol(query_parameter(url, "X-Amz-Expires").c_str());
  if (signed_at < 0 || signed_at > now + tolerance || now > signed_at + life) {
    return {"ExpiredTokenException", "Signed at " + amz_date + " for " + std::to_string(life)};
  }
  if (scope[1] != amz_date.substr(0, 8) || scope[2] != region || scope[3] != service ||
      scope[4] != "aws4_request") {
    return {"InvalidSignatureException", "The scope is another one."};
  }
  std::string query;
  for (const auto& parameter : split(url.substr(host.size() + 2), '&')) {
    if (parameter.rfind("X-Amz-Signature=", 0) != 0) query += parameter + "&";
  }
  const auto canonical =
      "GET\n/\n" + canonical_query(query) + "\nhost:" + host + "\n\nhost\n" + to_hex(hash(""));
  if (signature_of(caller->second, scope, string_to_sign(amz_date, scope, canonical)) !=
      query_parameter(url, "X-Amz-Signature")) {
    return {"InvalidSignatureException", "It should have been over\n" + canonical};
  }
  return {};
}

}  // namespace valkeycache::test
