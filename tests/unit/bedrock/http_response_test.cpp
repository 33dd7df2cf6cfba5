#include "bedrock/http_response.hpp"

#include <initializer_list>
#include <string>
#include <string_view>

#include <gtest/gtest.h>

namespace valkeycache {
namespace {

using namespace std::chrono_literals;

detail::HttpResponse head(std::initializer_list<std::string_view> lines) {
  detail::HttpResponse response;
  for (const auto line : lines) response.take_head_line(line);
  return response;
}

TEST(HttpResponse, TakesWhatItNeeds) {
  const auto response =
      head({"HTTP/1.1 200 OK\r\n", "Content-Type: application/json\r\n",
            "x-amzn-RequestId:  id-1 \r\n", "X-Amzn-ErrorType:Thing\r\n", "Date: today\r\n",
            "Content-Length: 12\r\n", "Other: x\r\n", "no colon\r\n", "\r\n"});
  EXPECT_EQ(response.status, 200);
  EXPECT_EQ(response.content_type, "application/json");
  EXPECT_EQ(response.request_id, "id-1");
  EXPECT_EQ(response.error_type, "Thing");
  EXPECT_EQ(response.date, "today");
  EXPECT_EQ(response.content_length, 12u);
}

TEST(HttpResponse, AStatusLineStartsAnew) {
  const auto response = head({"HTTP/1.1 100 Continue", "x-amzn-RequestId: old", "HTTP/2 503"});
  EXPECT_EQ(response.status, 503);
  EXPECT_EQ(response.request_id, "");
}

TEST(HttpResponse, MalformedHeadsGiveNothing) {
  EXPECT_EQ(head({"HTTP/1.1"}).status, 0);
  EXPECT_EQ(head({"HTTP/1.1 abc"}).status, 0);
  EXPECT_EQ(head({"HTTP/1.1 200", "Content-Length: -1"}).content_length, std::nullopt);
  EXPECT_EQ(head({"HTTP/1.1 200", "x-amzn-RequestId: " + std::string(1025, 'x')}).request_id, "");
}

TEST(HttpResponse, RetryHints) {
  EXPECT_EQ(head({"x-amz-retry-after: 1500"}).retry_after, 1500ms);
  EXPECT_EQ(head({"Retry-After: 3"}).retry_after, 3s);
  EXPECT_EQ(head({"Retry-After: 3", "X-Amz-Retry-After: 1500"}).retry_after, 1500ms);
  EXPECT_EQ(head({"X-Amz-Retry-After: 1500", "Retry-After: 3"}).retry_after, 1500ms);
  EXPECT_EQ(head({"X-Amz-Retry-After: x", "Retry-After: 3"}).retry_after, 3s);
  EXPECT_EQ(head({"Retry-After: Wed, 21 Oct 2015 07:28:00 GMT"}).retry_after, std::nullopt);
  EXPECT_EQ(head({"Retry-After: -1"}).retry_after, std::nullopt);
  EXPECT_EQ(head({"Retry-After: 4294967295"}).retry_after, 24h);
}

}  // namespace
}  // namespace valkeycache
