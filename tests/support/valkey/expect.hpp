// What a test says of a Result. EXPECT_TRUE(ok(cache.set(key, "x").get()));
#pragma once

#include <valkeycache/result.hpp>

#include <algorithm>
#include <string>

#include <gtest/gtest.h>

namespace valkeycache::test {

inline std::string described(const Error& error) {
  return std::string(to_string(error.code)) + ": " + error.message +
         (error.server_code.empty() ? "" : " [" + error.server_code + "]") +
         (error.retryable ? " (retryable)" : "") + (error.maybe_applied ? " (maybe applied)" : "");
}

template <class T>
testing::AssertionResult ok(const Result<T>& result) {
  if (result.has_value()) return testing::AssertionSuccess();
  return testing::AssertionFailure() << described(result.error());
}

// It failed with one of these codes.
template <class T>
testing::AssertionResult fails_with(const Result<T>& result,
                                    std::initializer_list<ErrorCode> codes) {
  if (result.has_value()) return testing::AssertionFailure() << "it succeeded";
  const ErrorCode got = result.error().code;
  if (std::find(codes.begin(), codes.end(), got) != codes.end()) {
    return testing::AssertionSuccess() << described(result.error());
  }
  auto failure = testing::AssertionFailure() << described(result.error()) << "; wanted";
  for (const ErrorCode code : codes) failure << " " << to_string(code);
  return failure;
}
template <class T>
testing::AssertionResult fails_with(const Result<T>& result, ErrorCode code) {
  return fails_with(result, {code});
}

// It failed with this code, and says the server's own word.
template <class T>
testing::AssertionResult refused(const Result<T>& result, ErrorCode code,
                                 const std::string& server_code) {
  const auto failed = fails_with(result, code);
  if (!failed || result.error().server_code == server_code) return failed;
  return testing::AssertionFailure()
         << described(result.error()) << "; wanted the server's word " << server_code;
}

}  // namespace valkeycache::test
