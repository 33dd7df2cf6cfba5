// Single small HTTP requests, for those who ask for credentials. Not for Bedrock itself.
#pragma once

#include <valkeycache/config.hpp>

#include <chrono>
#include <cstddef>
#include <stop_token>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

struct FetchRequest {
  std::string method = "GET";
  std::string url = {};
  std::vector<std::string> header_lines = {};  // "Name: value"; checked by the caller
  std::string body = {};                       // of a POST or PUT
  // For each attempt, connecting included.
  std::chrono::milliseconds timeout{1000};
  // An answer whose body is longer is an error.
  std::size_t max_bytes = std::size_t{64} << 10;
  bool bypass_proxy = false;
  std::string ca_file = {};  // "": the system's
};

struct FetchAnswer {
  int status = 0;            // 0: no whole answer came
  std::string body = {};     // where there is a status
  std::string date = {};     // the Date header
  std::string failure = {};  // where there is none: why, in libcurl's words or ours
  bool lasting = false;      // another attempt would fare no better
};

// One attempt. Blocks until it is over; `stop` ends it at once. Redirects are not followed.
FetchAnswer fetch(const FetchRequest& request, const std::stop_token& stop);

// How often to try, and the pause before the second attempt, which doubles from then on; a random
// part of it is waited.
struct FetchPatience {
  int attempts = 4;
  std::chrono::milliseconds pause{100};
  // Tells of answers which are worth another attempt though their status does not say so.
  bool (*also_passing)(const FetchAnswer&) = nullptr;
};

// Tries again when no whole answer came, after 429 and 5xx, and after what is also_passing. The
// last attempt's answer.
FetchAnswer fetch_patiently(const FetchRequest& request, const FetchPatience& patience,
                            const std::stop_token& stop);

// Whether another attempt may fare better.
bool is_passing(const FetchAnswer& answer) noexcept;

// What came instead of the answer hoped for: "status 404", or the failure.
std::string describe(const FetchAnswer& answer);

}  // namespace detail
}  // namespace valkeycache::inline v0
