#include "support/bedrock/credential_services.hpp"

#include <algorithm>
#include <ctime>
#include <utility>

#include <nlohmann/json.hpp>

namespace valkeycache::test {
namespace {

std::string iso8601(std::time_t time) {
  std::tm parts{};
  gmtime_r(&time, &parts);
  char buffer[32];
  std::strftime(buffer, sizeof buffer, "%Y-%m-%dT%H:%M:%SZ", &parts);
  return buffer;
}

std::string unescaped(const std::string& text) {
  std::string out;
  for (std::size_t i = 0; i < text.size(); ++i) {
    if (text[i] == '%' && i + 2 < text.size()) {
      out += static_cast<char>(std::stoi(text.substr(i + 1, 2), nullptr, 16));
      i += 2;
    } else {
      out += text[i];
    }
  }
  return out;
}

HttpAnswer sts_error(int status, const std::string& code) {
  return {.status = status,
          .body =
              "<ErrorResponse xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <Error>\n"
              "    <Type>Sender</Type>\n    <Code>" +
              code +
              "</Code>\n    <Message>a secret of hunter2 &amp; co</Message>\n  </Error>\n"
              "  <RequestId>1</RequestId>\n</ErrorResponse>\n",
          .headers = {{"Content-Type", "text/xml"}}};
}

}  // namespace

std::map<std::string, std::string> form_parameters(const std::string& body) {
  std::map<std::string, std::string> out;
  for (std::size_t from = 0; from < body.size();) {
    const auto to = std::min(body.find('&', from), body.size());
    const auto pair = body.substr(from, to - from);
    const auto equals = std::min(pair.find('='), pair.size());
    out[pair.substr(0, equals)] =
        equals < pair.size() ? unescaped(pair.substr(equals + 1)) : std::string();
    from = to + 1;
  }
  return out;
}

CredentialServices::CredentialServices()
    : server_([this](const ReceivedRequest& request) { return answer(request); }) {}

void CredentialServices::add_caller(const std::string& access_key, KnownCaller caller) {
  const std::lock_guard lock(mutex_);
  callers_.by_access_key[access_key] = std::move(caller);
}
void CredentialServices::set_container_token(std::string token) {
  const std::lock_guard lock(mutex_);
  container_token_ = std::move(token);
}
void CredentialServices::set_lifetime(std::chrono::seconds lifetime) {
  const std::lock_guard lock(mutex_);
  lifetime_ = lifetime;
}
void CredentialServices::on_issue(
    std::function<void(const std::string&, const KnownCaller&)> told) {
  const std::lock_guard lock(mutex_);
  told_ = std::move(told);
}
void CredentialServices::end_sessions() {
  const std::lock_guard lock(mutex_);
  sessions_.clear();
}
void CredentialServices::add_fault(const std::string& target, HttpAnswer answer, int times) {
  const std::lock_guard lock(mutex_);
  for (int i = 0; i < times; ++i) faults_[target].push_back(answer);
}
void CredentialServices::set_rule(std::optional<HttpAnswer> always) {
  const std::lock_guard lock(mutex_);
  always_ = std::move(always);
}
int CredentialServices::issued() const {
  const std::lock_guard lock(mutex_);
  return issued_;
}
std::size_t CredentialServices::count(const std::string& target) const {
  std::size_t found = 0;
  for (const auto& request : requests()) found += request.target.rfind(target, 0) == 0;
  return found;
}

HttpAnswer CredentialServices::answer(const ReceivedRequest& request) {
  const std::lock_guard lock(mutex_);
  if (always_) return *always_;
  for (auto& [target, queue] : faults_) {
    if (queue.empty() || request.target.rfind(target, 0) != 0) continue;
    auto fault = std::move(queue.front());
    queue.pop_front();
    return fault;
  }
  if (request.target.rfind("/latest/", 0) == 0) return metadata(request);
  if (request.target.rfind("/container/", 0) == 0) return container(request);
  if (request.method == "POST" && request.target == "/") return sts(request);
  return {.status = 404};
}

CredentialServices::Issued CredentialServices::issue() {
  const auto number = std::to_string(++issued_);
  const KnownCaller caller{"secret-" + number, "token-" + number};
  callers_.by_access_key["ASIA" + number] = caller;
  if (told_) told_("ASIA" + number, caller);
  return {number, iso8601(std::time(nullptr) + lifetime_.count())};
}

HttpAnswer CredentialServices::json(const std::string& code) {
  const auto [number, expiration] = issue();
  nlohmann::json body{{"AccessKeyId", "ASIA" + number},
                      {"SecretAccessKey", "secret-" + number},
                      {"Token", "token-" + number},
                      {"Expiration", expiration},
                      {"LastUpdated", "2026-01-01T00:00:00Z"}};
  if (!code.empty()) body["Code"] = code;
  return {.body = body.dump(), .headers = {{"Content-Type", "application/json"}}};
}

HttpAnswer CredentialServices::container(const ReceivedRequest& request) {
  if (request.method != "GET") return {.status = 405};
  if (header_value(request.headers, "authorization") != container_token_) {
    return {.status = 401, .body = R"({"code":"AccessDenied","message":"hunter2"})"};
  }
  return json("");
}

HttpAnswer CredentialServices::metadata(const ReceivedRequest& request) {
  static const std::string role_path = "/latest/meta-data/iam/security-credentials/";
  if (request.target == "/latest/api/token") {
    if (request.method != "PUT") return {.status = 405};
    if (header_value(request.headers, "x-aws-ec2-metadata-token-ttl-seconds") != "21600") {
      return {.status = 400};
    }
    const auto session = "session-" + std::to_string(++next_session_);
    sessions_.insert(session);
    return {.body = session};
  }
  if (request.method != "GET") return {.status = 405};
  if (sessions_.count(header_value(request.headers, "x-aws-ec2-metadata-token")) == 0) {
    return {.status = 401};
  }
  if (request.target == role_path) return {.body = "my-role"};
  if (request.target == role_path + "my-role") return json("Success");
  if (request.target == "/latest/meta-data/placement/region") return {.body = "eu-central-1"};
  return {.status = 404};
}

HttpAnswer CredentialServices::sts(const ReceivedRequest& request) {
  const auto form = form_parameters(request.body);
  const auto parameter = [&form](const std::string& name) {
    const auto found = form.find(name);
    return found == form.end() ? std::string() : found->second;
  };
  const auto action = parameter("Action");
  if (header_value(request.headers, "content-type") !=
          "application/x-www-form-urlencoded; charset=utf-8" ||
      parameter("Version") != "2011-06-15" || parameter("RoleSessionName").empty()) {
    return sts_error(400, "ValidationError");
  }
  if (action == "AssumeRole") {
    const auto refused = check_signature(request, callers_, std::time(nullptr), "", "sts");
    if (!refused.type.empty()) return sts_error(403, "SignatureDoesNotMatch");
  } else if (action != "AssumeRoleWithWebIdentity") {
    return sts_error(400, "InvalidAction");
  } else if (!header_value(request.headers, "authorization").empty() ||
             parameter("WebIdentityToken") != web_identity_token) {
    return sts_error(400, "InvalidIdentityToken");
  }
  if (parameter("RoleArn").rfind(simulated_role, 0) != 0) return sts_error(403, "AccessDenied");
  const auto [number, expiration] = issue();
  return {.body = "<" + action +
                  "Response xmlns=\"https://sts.amazonaws.com/doc/2011-06-15/\">\n  <" + action +
                  "Result>\n    <AssumedRoleUser>\n      <Arn>a</Arn>\n    </AssumedRoleUser>\n"
                  "    <Credentials>\n      <AccessKeyId>ASIA" +
                  number + "</AccessKeyId>\n      <SecretAccessKey>secret-" + number +
                  "</SecretAccessKey>\n      <SessionToken>token-" + number +
                  "</SessionToken>\n      <Expiration>" + expiration +
                  "</Expiration>\n    </Credentials>\n  </" + action +
                  "Result>\n  <ResponseMetadata><RequestId>1</RequestId></ResponseMetadata>\n</" +
                  action + "Response>\n",
          .headers = {{"Content-Type", "text/xml"}}};
}

}  // namespace valkeycache::test
