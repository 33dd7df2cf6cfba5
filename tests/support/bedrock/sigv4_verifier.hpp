// Checks SigV4 signatures as the service does. Written from AWS's documentation for the simulated
// Bedrock alone and shares nothing with src/aws, so that a fault of the signer cannot hide here.
#pragma once

#include <map>
#include <set>
#include <string>
#include <utility>
#include <vector>

namespace valkeycache::test {

using HeaderPairs = std::vector<std::pair<std::string, std::string>>;

struct ReceivedRequest {
  std::string method;
  std::string target;  // path and query as they stood on the wire
  HeaderPairs headers;
  std::string body;
};

// The first header of that name (any case); "" where there is none.
std::string header_value(const HeaderPairs& headers, const std::string& name);

// What the service knows of its callers.
struct KnownCaller {
  std::string secret_access_key;
  std::string session_token;  // "": none must be sent
};
struct CallerRegistry {
  std::map<std::string, KnownCaller> by_access_key;
  std::set<std::string> expired_tokens;
};

// An error as the service puts it; an empty type means that all is well.
struct Refusal {
  std::string type;
  std::string message;
};

// `now` is the service's time in seconds since 1970. The region in the scope must be `region`
// unless that is empty.
Refusal check_signature(const ReceivedRequest& request, const CallerRegistry& callers, long now,
                        const std::string& region, const std::string& service = "bedrock");

// Of a presigned GET, whose signature is part of the query: a URL without its scheme.
Refusal check_presigned(const std::string& url, const CallerRegistry& callers, long now,
                        const std::string& region, const std::string& service);
// A parameter of its query; "" where there is none.
std::string query_parameter(const std::string& url, const std::string& name);

}  // namespace valkeycache::test
