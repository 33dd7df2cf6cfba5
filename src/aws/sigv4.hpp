// AWS Signature Version 4, as a plain object fed with a request and a clock.
//
// Rule: "Create a signed AWS API request" in the IAM user guide; proven by AWS's own test suite and
// by requests of its SDKs.
#pragma once

#include <valkeycache/bedrock_client.hpp>

#include <chrono>
#include <cstdint>
#include <span>
#include <string>
#include <string_view>
#include <vector>

#include "base/crypto.hpp"

namespace valkeycache::inline v0 {
namespace detail {

struct HeaderView {
  std::string_view name;
  std::string_view value;
};

// A request as it will stand on the wire. Views: they need to live through the call only.
struct SigV4Request {
  std::string_view method;
  std::string_view path;   // without the query
  std::string_view query;  // without "?"
  // Those to be signed, "host" among them, in any order. Left unsigned all the same: headers that a
  // proxy may change (user-agent, connection, expect, transfer-encoding, te, x-amzn-trace-id, ...)
  // and those that the signer itself makes (authorization, x-amz-date, x-amz-security-token,
  // x-amz-content-sha256), which replace any given here.
  std::span<const HeaderView> headers;
  std::string_view body;
};

// The defaults are what Bedrock wants.
struct SigV4Options {
  // Drop empty, "." and ".." segments from the canonical path. S3 alone wants them kept.
  bool normalize_path = true;
  // Encode the wire's path once more for the canonical one. S3 alone wants it as it is.
  bool double_uri_encode = true;
  // False: the payload hash is that of the empty string, whatever the body.
  bool hash_body = true;
  // Send and sign x-amz-content-sha256 (header form only).
  bool send_payload_hash = false;
  // Send the session token without signing it.
  bool omit_session_token = false;
};

// Values of the headers to be sent with the request.
struct SigV4Headers {
  std::string authorization;
  std::string x_amz_date;
  std::string x_amz_content_sha256;  // empty unless asked for
  // x-amz-security-token is the credentials' own, to be sent when it is not empty.
};

// One thread at a time. Keeps the derived signing key, which holds for a day and a secret.
class SigV4Signer {
 public:
  using SystemTime = std::chrono::system_clock::time_point;

  SigV4Signer(std::string region, std::string service);
  ~SigV4Signer();
  SigV4Signer(const SigV4Signer&) = delete;
  SigV4Signer& operator=(const SigV4Signer&) = delete;

  SigV4Headers sign(const SigV4Request& request, const AwsCredentials& credentials, SystemTime now,
                    const SigV4Options& options = {});

  // The whole query of a presigned URL: the request's own, then the signature's parameters.
  std::string presign(const SigV4Request& request, const AwsCredentials& credentials,
                      SystemTime now, std::chrono::seconds expires,
                      const SigV4Options& options = {});

  // What the last call hashed, for tests. It holds the session token: never log it.
  [[nodiscard]] const std::string& canonical_request() const noexcept { return canonical_; }
  [[nodiscard]] const std::string& string_to_sign() const noexcept { return to_sign_; }
  [[nodiscard]] const std::string& signed_headers() const noexcept { return signed_headers_; }
  [[nodiscard]] const std::string& signature() const noexcept { return signature_; }

 private:
  struct Entry {
    std::size_t name_at;  // in names_
    std::size_t name_size;
    std::string_view value;
  };

  void collect_headers(std::span<const HeaderView> headers);
  void add_header(std::string_view name, std::string_view value);
  void sort_headers();
  [[nodiscard]] std::string_view name_of(const Entry& entry) const noexcept;
  void make_canonical_request(const SigV4Request& request, std::string_view query,
                              std::string_view payload_hash, const SigV4Options& options);
  void make_signature(const AwsCredentials& credentials, std::string_view amz_date);
  void derive_key(std::string_view secret, std::string_view date);

  std::string region_;
  std::string service_;
  std::string scope_tail_;  // "/region/service/aws4_request"

  // The derived key and what it was derived from.
  std::string key_secret_;
  std::string key_date_;
  Sha256Digest key_{};

  // Scratch space, kept so that signing allocates little.
  std::string names_;
  std::vector<Entry> entries_;
  std::string canonical_;
  std::string to_sign_;
  std::string signed_headers_;
  std::string signature_;
};

// "20260102T030405Z" in UTC, whatever the locale and time zone.
std::string to_amz_date(std::chrono::system_clock::time_point time);

}  // namespace detail
}  // namespace valkeycache::inline v0
