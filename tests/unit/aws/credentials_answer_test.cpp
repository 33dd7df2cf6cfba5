#include "aws/credentials_answer.hpp"

#include <chrono>
#include <string>
#include <utility>
#include <vector>

#include <gtest/gtest.h>

#include "aws/iso8601.hpp"
#include "aws/xml_leaves.hpp"
#include "support/valkey/expect.hpp"

namespace valkeycache {
namespace {

using namespace std::chrono;
using detail::CredentialsForm;
using test::fails_with;
using test::ok;

const auto noon = sys_days(2026y / January / 2) + 12h;

TEST(Iso8601, Times) {
  for (const auto* text :
       {"2026-01-02T12:00:00Z", "2026-01-02T12:00:00.123456789Z", "2026-01-02t12:00:00z",
        "2026-01-02 12:00:00Z", "2026-01-02T14:00:00+02:00", "2026-01-02T14:30:00+0230",
        "2026-01-01T23:59:00-12:01", "2026-01-02T12:00:00,5Z"}) {
    EXPECT_EQ(detail::parse_iso8601(text), noon) << text;
  }
  EXPECT_EQ(detail::parse_iso8601("2024-02-29T00:00:00Z"), sys_days(2024y / February / 29));
  EXPECT_EQ(detail::parse_iso8601("9999-12-31T23:59:59Z"), sys_days(2200y / January / 1))
      << "beyond what a clock of nanoseconds can hold";
}

TEST(Iso8601, OtherTexts) {
  for (const auto* text : {"",
                           "2026",
                           "2026-01-02",
                           "2026-01-02T12:00Z",
                           "2026-01-02T12:00:00",
                           "2026-01-02T12:00:00ZZ",
                           "2026-13-02T12:00:00Z",
                           "2026-02-29T12:00:00Z",
                           "2026-01-00T12:00:00Z",
                           "2026-01-02T24:00:00Z",
                           "2026-01-02T12:60:00Z",
                           "2026-01-02T12:00:61Z",
                           "2026-01-02T12:00:00.Z",
                           "2026-01-02T12:00:00+2:00",
                           "2026-01-02T12:00:00+24:00",
                           "2026-01-02T12:00:00+",
                           "1969-12-31T23:59:59Z",
                           "+026-01-02T12:00:00Z",
                           " 2026-01-02T12:00:00Z",
                           "2026-1-2T12:00:00Z",
                           "1767355200",
                           "Fri, 02 Jan 2026 12:00:00"}) {
    EXPECT_EQ(detail::parse_iso8601(text), std::nullopt) << text;
  }
}

TEST(CredentialsJson, Process) {
  const auto whole = detail::credentials_of_json(
      R"({"Version": 1, "AccessKeyId": "A\u004b", "SecretAccessKey": "s/+=", "SessionToken": "t",
          "Expiration": "2026-01-02T12:00:00Z", "Other": [{}, null]})",
      CredentialsForm::process);
  ASSERT_TRUE(ok(whole));
  EXPECT_EQ(whole->access_key_id, "AK");
  EXPECT_EQ(whole->secret_access_key, "s/+=");
  EXPECT_EQ(whole->session_token, "t");
  EXPECT_EQ(whole->expires, noon);

  const auto least = detail::credentials_of_json(
      R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":"s","SessionToken":null})",
      CredentialsForm::process);
  ASSERT_TRUE(ok(least));
  EXPECT_EQ(least->session_token, "");
  EXPECT_EQ(least->expires, std::nullopt) << "they never end";
}

TEST(CredentialsJson, ServicesSayMore) {
  const std::string container =
      R"({"AccessKeyId":"A","SecretAccessKey":"s","Token":"t","Expiration":"2026-01-02T12:00:00Z"})";
  const auto answer = detail::credentials_of_json(container, CredentialsForm::container);
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->session_token, "t");
  EXPECT_EQ(answer->expires, noon);
  const auto with_code = "{\"Code\":\"Success\"," + container.substr(1);
  EXPECT_TRUE(ok(detail::credentials_of_json(with_code, CredentialsForm::instance)));
}

TEST(CredentialsJson, BadAnswersAreNamedAndNotShown) {
  const auto why = [](const std::string& json, CredentialsForm form) {
    const auto answer = detail::credentials_of_json(json, form);
    EXPECT_TRUE(fails_with(answer, ErrorCode::credentials)) << json;
    EXPECT_EQ(answer.error().message.find("hunter2"), std::string::npos);
    return answer.error().message;
  };
  const auto process = [&](const std::string& json) {
    return why(json, CredentialsForm::process);
  };
  const std::string keys = R"("AccessKeyId":"A","SecretAccessKey":"hunter2")";
  EXPECT_EQ(process("{" + keys + "}"), "the answer has no 'Version'");
  EXPECT_EQ(process("{\"Version\":2," + keys + "}"),
            "the answer has a 'Version' other than the number 1");
  EXPECT_EQ(process("{\"Version\":\"1\"," + keys + "}"),
            "the answer has a 'Version' other than the number 1");
  EXPECT_EQ(process(R"({"Version":1,"SecretAccessKey":"hunter2"})"),
            "the answer has no 'AccessKeyId'");
  EXPECT_EQ(process(R"({"Version":1,"AccessKeyId":"A","SecretAccessKey":""})"),
            "the answer has no 'SecretAccessKey'");
  EXPECT_EQ(process(R"({"Version":1,"AccessKeyId":["hunter2"],"SecretAccessKey":"s"})"),
            "the answer has a 'AccessKeyId' that is no text");
  EXPECT_EQ(process("{\"Version\":1," + keys + "," + keys + "}"),
            "the answer has two members 'AccessKeyId'");
  EXPECT_EQ(process("{\"Version\":1," + keys + ",\"Expiration\":\"soon\"}"),
            "the answer has an 'Expiration' that is no ISO 8601 time");
  for (const auto& json : std::vector<std::string>{
           "", "hunter2", "[]", "null", "{", "{\"Version\":1," + keys,
           "{\"Version\":1," + keys + "}x", "{\"Version\":1,'hunter2':1}", "{\"x\":\"\xff\"}",
           "{\"x\":" + std::string(100000, '[') + std::string(100000, ']') + "}"}) {
    EXPECT_EQ(process(json).rfind("the answer is no JSON object", 0), 0u) << json.substr(0, 40);
  }
  EXPECT_EQ(
      why("{" + keys + R"(,"Expiration":"2026-01-02T12:00:00Z"})", CredentialsForm::container),
      "the answer has no 'Token'");
  EXPECT_EQ(why("{" + keys + R"(,"Token":"t"})", CredentialsForm::container),
            "the answer has no 'Expiration'");
  EXPECT_EQ(why(R"({"Code":"AssumeRoleUnauthorizedAccess","Message":"hunter2"})",
                CredentialsForm::instance),
            "the answer has a 'Code' other than 'Success'");
}

std::string leaves(std::string_view xml) {
  std::string all;
  const bool whole = detail::read_xml_leaves(xml, [&all](std::string_view path, std::string text) {
    all.append(path).append("=").append(text).append(";");
  });
  return whole ? all : "malformed";
}

TEST(XmlLeaves, Documents) {
  EXPECT_EQ(leaves("<a/>"), "a=;");
  EXPECT_EQ(leaves("<a></a>"), "a=;");
  EXPECT_EQ(
      leaves(
          "\xEF\xBB\xBF<?xml version='1.0'?>\n<a>\n <b x='1' y = \"<'>\">t</b >\n <c/> \n</a>\n"),
      "malformed")
      << "a < in an attribute";
  EXPECT_EQ(
      leaves("\xEF\xBB\xBF<?xml version='1.0'?>\n<a>\n <b x='1' y = \"'>\">t</b >\n <c/> \n</a>\n"),
      "a/b=t;a/c=;");
  EXPECT_EQ(leaves("<a>&lt;&#65;&#x1F600;&amp;amp;&quot;&apos;&gt;</a>"),
            "a=<A\xF0\x9F\x98\x80&amp;\"'>;");
  EXPECT_EQ(leaves("<a><b>1</b><b>2</b></a>"), "a/b=1;a/b=2;");
}

TEST(XmlLeaves, AnythingElseIsRefused) {
  std::string deep;
  for (int i = 0; i < 17; ++i) deep += "<a>";
  for (int i = 0; i < 17; ++i) deep += "</a>";
  for (const auto& xml : std::vector<std::string>{"",
                                                  " ",
                                                  "a",
                                                  "<",
                                                  "<a",
                                                  "<a>",
                                                  "<a></b>",
                                                  "</a>",
                                                  "<a/><b/>",
                                                  "<a/>x",
                                                  "x<a/>",
                                                  "<a>x<b/></a>",
                                                  "<a><b/>x</a>",
                                                  "<a x></a>",
                                                  "<a x=1></a>",
                                                  "<a x='1'y='2'></a>",
                                                  "<a x='1></a>",
                                                  "<1/>",
                                                  "<a>&nbsp;</a>",
                                                  "<a>&#0;</a>",
                                                  "<a>&#xD800;</a>",
                                                  "<a>&#;</a>",
                                                  "<a>&amp</a>",
                                                  "<a>&#x110000;</a>",
                                                  "<a>&#99999999999;</a>",
                                                  "<!DOCTYPE a><a/>",
                                                  "<a><!-- x --></a>",
                                                  "<a><![CDATA[x]]></a>",
                                                  "<a>]]></a>",
                                                  "<a><?x?></a>",
                                                  "<a>\xff</a>",
                                                  "<a>\x01</a>",
                                                  "<?xml <a/>",
                                                  "<a/ >",
                                                  deep}) {
    EXPECT_EQ(leaves(xml), "malformed") << xml;
  }
}

std::string sts(const std::string& inside) {
  return "<AssumeRoleResponse xmlns=\"x\"><AssumeRoleResult><Credentials>" + inside +
         "</Credentials></AssumeRoleResult></AssumeRoleResponse>";
}
const std::string good_sts =
    "<AccessKeyId>A</AccessKeyId><SecretAccessKey>hunter2&amp;</SecretAccessKey>"
    "<SessionToken>t</SessionToken>";
const std::string good_end = "<Expiration>2026-01-02T12:00:00Z</Expiration>";

TEST(CredentialsOfSts, Whole) {
  const auto answer = detail::credentials_of_sts(sts(good_sts + good_end), "AssumeRole");
  ASSERT_TRUE(ok(answer));
  EXPECT_EQ(answer->access_key_id, "A");
  EXPECT_EQ(answer->secret_access_key, "hunter2&");
  EXPECT_EQ(answer->session_token, "t");
  EXPECT_EQ(answer->expires, noon);
}

TEST(CredentialsOfSts, BadAnswersAreNamedAndNotShown) {
  const auto why = [](const std::string& xml, std::string_view action = "AssumeRole") {
    const auto answer = detail::credentials_of_sts(xml, action);
    EXPECT_TRUE(fails_with(answer, ErrorCode::credentials)) << xml;
    EXPECT_EQ(answer.error().message.find("hunter2"), std::string::npos);
    return answer.error().message;
  };
  EXPECT_EQ(why(sts(good_sts)), "the answer has no 'Expiration'");
  EXPECT_EQ(why(sts(good_sts + good_end), "AssumeRoleWithWebIdentity"),
            "the answer has no 'AccessKeyId'");
  EXPECT_EQ(why(sts(good_sts + good_sts + good_end)), "the answer has credentials twice");
  EXPECT_EQ(why(sts(good_sts + "<Expiration>hunter2</Expiration>")),
            "the answer has an 'Expiration' that is no ISO 8601 time");
  EXPECT_EQ(why("hunter2"), "the answer is not well-formed XML");
}

TEST(StsError, Code) {
  const auto code = [](const std::string& text) {
    return detail::sts_error_code("<ErrorResponse><Error><Code>" + text +
                                  "</Code><Message>hunter2</Message></Error></ErrorResponse>");
  };
  EXPECT_EQ(code("AccessDenied"), "AccessDenied");
  EXPECT_EQ(code("hunter2 and more"), "") << "no name";
  EXPECT_EQ(code(std::string(65, 'a')), "");
  EXPECT_EQ(detail::sts_error_code("hunter2"), "");
  EXPECT_EQ(detail::sts_error_code("<ErrorResponse><Error><Code>A</Code></Error>"), "");
}

}  // namespace
}  // namespace valkeycache
