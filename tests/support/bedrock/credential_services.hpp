// Simulations of the services that hand out AWS credentials: STS, the endpoint of containers, and
// EC2's instance metadata, all on one loopback port.
#pragma once

#include <chrono>
#include <cstddef>
#include <deque>
#include <functional>
#include <map>
#include <mutex>
#include <optional>
#include <set>
#include <string>

#include "support/bedrock/http_server.hpp"

namespace valkeycache::test {

inline constexpr const char* simulated_role = "arn:aws:iam::123456789012:role/simulated";
inline constexpr const char* web_identity_token = "header.web-identity.signature";

// Credentials are numbered: the first are ASIA1, secret-1, token-1. All members are thread-safe.
class CredentialServices {
 public:
  CredentialServices();

  // STS and instance metadata; "http://127.0.0.1:PORT".
  [[nodiscard]] std::string url() const { return server_.url(); }
  [[nodiscard]] std::string container_url() const { return url() + "/container/role?x=1"; }

  // Who may ask STS for roles, besides those whom it gave credentials.
  void add_caller(const std::string& access_key, KnownCaller caller);
  // What the container's endpoint wants as Authorization; "": nothing.
  void set_container_token(std::string token);
  // How long credentials hold that are handed out from now on.
  void set_lifetime(std::chrono::seconds lifetime);
  // Told of all that is handed out, before it is.
  void on_issue(std::function<void(const std::string& access_key, const KnownCaller&)> told);
  // The metadata's session tokens that were given so far count no more.
  void end_sessions();

  // The next requests whose target begins with `target` are answered so, one each.
  void add_fault(const std::string& target, HttpAnswer answer, int times = 1);
  // From now on no request is answered by anything but this; nothing: as it should be.
  void set_rule(std::optional<HttpAnswer> always);

  [[nodiscard]] int issued() const;
  [[nodiscard]] std::vector<ReceivedRequest> requests() const { return server_.requests(); }
  // How many requests there were whose target begins with `target`.
  [[nodiscard]] std::size_t count(const std::string& target) const;

 private:
  struct Issued {
    std::string number;
    std::string expiration;
  };
  HttpAnswer answer(const ReceivedRequest& request);
  HttpAnswer sts(const ReceivedRequest& request);
  HttpAnswer metadata(const ReceivedRequest& request);
  HttpAnswer container(const ReceivedRequest& request);
  HttpAnswer json(const std::string& code);
  Issued issue();

  mutable std::mutex mutex_;
  CallerRegistry callers_;
  std::string container_token_;
  std::chrono::seconds lifetime_{3600};
  std::function<void(const std::string&, const KnownCaller&)> told_;
  std::map<std::string, std::deque<HttpAnswer>> faults_;
  std::optional<HttpAnswer> always_;
  std::set<std::string> sessions_;
  int next_session_ = 0;
  int issued_ = 0;
  HttpServer server_;  // last, so that it ends first
};

// The parameters of a form that was posted.
std::map<std::string, std::string> form_parameters(const std::string& body);

}  // namespace valkeycache::test
