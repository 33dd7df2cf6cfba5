#include "aws/sigv4.hpp"

#include <algorithm>
#include <utility>

#include <openssl/crypto.h>

#include "aws/percent.hpp"
#include "aws/sigv4_canonical.hpp"
#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

constexpr std::string_view algorithm = "AWS4-HMAC-SHA256";
constexpr std::size_t date_size = 8;  // of "20260102T030405Z"

bool is_made_by_signer(std::string_view lower_name) noexcept {
  return lower_name == "x-amz-date" || lower_name == "x-amz-security-token" ||
         lower_name == "x-amz-content-sha256";
}

void append_digits(std::string& out, unsigned value, int width) {
  const auto at = out.size();
  out.resize(at + static_cast<std::size_t>(width));
  for (int i = width - 1; i >= 0; --i, value /= 10) {
    out[at + static_cast<std::size_t>(i)] = static_cast<char>('0' + value % 10);
  }
}

}  // namespace

std::string to_amz_date(std::chrono::system_clock::time_point time) {
  using std::chrono::days;
  using std::chrono::floor;
  const auto seconds = floor<std::chrono::seconds>(time);
  const auto day = floor<days>(seconds);
  const std::chrono::year_month_day date(day);
  const std::chrono::hh_mm_ss clock(seconds - day);
  std::string out;
  out.reserve(16);
  append_digits(out, static_cast<unsigned>(static_cast<int>(date.year())), 4);
  append_digits(out, static_cast<unsigned>(date.month()), 2);
  append_digits(out, static_cast<unsigned>(date.day()), 2);
  out += 'T';
  append_digits(out, static_cast<unsigned>(clock.hours().count()), 2);
  append_digits(out, static_cast<unsigned>(clock.minutes().count()), 2);
  append_digits(out, static_cast<unsigned>(clock.seconds().count()), 2);
  out += 'Z';
  return out;
}

SigV4Signer::SigV4Signer(std::string region, std::string service)
    : region_(std::move(region)),
      service_(std::move(service)),
      scope_tail_("/" + region_ + "/" + service_ + "/aws4_request") {}

SigV4Signer::~SigV4Signer() {
  OPENSSL_cleanse(key_.data(), key_.size());
  OPENSSL_cleanse(key_secret_.data(), key_secret_.size());
  OPENSSL_cleanse(canonical_.data(), canonical_.size());
}

std::string_view SigV4Signer::name_of(const Entry& entry) const noexcept {
  return std::string_view(names_).substr(entry.name_at, entry.name_size);
}

void SigV4Signer::add_header(std::string_view name, std::string_view value) {
  entries_.push_back({names_.size(), name.size(), value});
  names_.append(name);
}

void SigV4Signer::collect_headers(std::span<const HeaderView> headers) {
  names_.clear();
  entries_.clear();
  for (const auto& header : headers) {
    const auto at = names_.size();
    for (const char c : header.name) names_ += to_lower(c);
    const auto lower = std::string_view(names_).substr(at);
    if (is_unsignable_header(lower) || is_made_by_signer(lower)) {
      names_.resize(at);
    } else {
      entries_.push_back({at, header.name.size(), header.value});
    }
  }
}

void SigV4Signer::sort_headers() {
  // Headers of one name stay in their order, which is that of their names in names_.
  std::sort(entries_.begin(), entries_.end(), [this](const Entry& a, const Entry& b) {
    const int order = name_of(a).compare(name_of(b));
    return order != 0 ? order < 0 : a.name_at < b.name_at;
  });
  signed_headers_.clear();
  std::string_view last;
  for (const auto& entry : entries_) {
    const auto name = name_of(entry);
    if (!signed_headers_.empty() && name == last) continue;
    if (!signed_headers_.empty()) signed_headers_ += ';';
    signed_headers_.append(name);
    last = name;
  }
}

void SigV4Signer::make_canonical_request(const SigV4Request& request, std::string_view query,
                                         std::string_view payload_hash,
                                         const SigV4Options& options) {
  canonical_.clear();
  canonical_.append(request.method).append("\n");
  append_canonical_path(canonical_, request.path, options.normalize_path,
                        options.double_uri_encode);
  canonical_ += '\n';
  append_canonical_query(canonical_, query);
  canonical_ += '\n';
  for (std::size_t i = 0; i < entries_.size(); ++i) {
    const auto name = name_of(entries_[i]);
    if (i > 0 && name == name_of(entries_[i - 1])) {
      canonical_.back() = ',';
    } else {
      canonical_.append(name).append(":");
    }
    append_canonical_value(canonical_, entries_[i].value);
    canonical_ += '\n';
  }
  canonical_.append("\n").append(signed_headers_).append("\n").append(payload_hash);
}

void SigV4Signer::derive_key(std::string_view secret, std::string_view date) {
  if (secret == key_secret_ && date == key_date_ && !key_date_.empty()) return;
  std::string start;
  start.reserve(4 + secret.size());
  start.append("AWS4").append(secret);
  key_ = hmac_sha256(start, date);
  OPENSSL_cleanse(start.data(), start.size());
  key_ = hmac_sha256(key_, region_);
  key_ = hmac_sha256(key_, service_);
  key_ = hmac_sha256(key_, "aws4_request");
  OPENSSL_cleanse(key_secret_.data(), key_secret_.size());
  key_secret_ = secret;
  key_date_ = date;
}

void SigV4Signer::make_signature(const AwsCredentials& credentials, std::string_view amz_date) {
  const auto date = amz_date.substr(0, date_size);
  to_sign_.clear();
  to_sign_.append(algorithm).append("\n").append(amz_date).append("\n");
  to_sign_.append(date).append(scope_tail_).append("\n");
  append_hex(to_sign_, sha256(canonical_));
  derive_key(credentials.secret_access_key, date);
  signature_.clear();
  append_hex(signature_, hmac_sha256(key_, to_sign_));
}

SigV4Headers SigV4Signer::sign(const SigV4Request& request, const AwsCredentials& credentials,
                               SystemTime now, const SigV4Options& options) {
  SigV4Headers out;
  out.x_amz_date = to_amz_date(now);
  const auto payload_hash = hex(sha256(options.hash_body ? request.body : std::string_view()));

  collect_headers(request.headers);
  add_header("x-amz-date", out.x_amz_date);
  if (options.send_payload_hash) add_header("x-amz-content-sha256", payload_hash);
  if (!credentials.session_token.empty() && !options.omit_session_token) {
    add_header("x-amz-security-token", credentials.session_token);
  }
  sort_headers();
  make_canonical_request(request, request.query, payload_hash, options);
  make_signature(credentials, out.x_amz_date);

  out.authorization.reserve(algorithm.size() + credentials.access_key_id.size() +
                            scope_tail_.size() + signed_headers_.size() + 128);
  out.authorization.append(algorithm)
      .append(" Credential=")
      .append(credentials.access_key_id)
      .append("/")
      .append(out.x_amz_date, 0, date_size)
      .append(scope_tail_)
      .append(", SignedHeaders=")
      .append(signed_headers_)
      .append(", Signature=")
      .append(signature_);
  if (options.send_payload_hash) out.x_amz_content_sha256 = payload_hash;
  return out;
}

std::string SigV4Signer::presign(const SigV4Request& request, const AwsCredentials& credentials,
                                 SystemTime now, std::chrono::seconds expires,
                                 const SigV4Options& options) {
  const auto amz_date = to_amz_date(now);
  const auto payload_hash = hex(sha256(options.hash_body ? request.body : std::string_view()));
  collect_headers(request.headers);
  sort_headers();

  std::string query(request.query);
  const auto add = [&query](std::string_view name, std::string_view value) {
    if (!query.empty()) query += '&';
    query.append(name).append("=");
    append_percent_encoded(query, value);
  };
  add("X-Amz-Algorithm", algorithm);
  std::string credential = credentials.access_key_id;
  credential.append("/").append(amz_date, 0, date_size).append(scope_tail_);
  add("X-Amz-Credential", credential);
  add("X-Amz-Date", amz_date);
  add("X-Amz-SignedHeaders", signed_headers_);
  add("X-Amz-Expires", std::to_string(expires.count()));
  const bool has_token = !credentials.session_token.empty();
  if (has_token && !options.omit_session_token) {
    add("X-Amz-Security-Token", credentials.session_token);
  }
  make_canonical_request(request, query, payload_hash, options);
  make_signature(credentials, amz_date);
  if (has_token && options.omit_session_token) {
    add("X-Amz-Security-Token", credentials.session_token);
  }
  add("X-Amz-Signature", signature_);
  return query;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
