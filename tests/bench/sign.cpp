// Signing a request of 4 KiB for Bedrock, beside SHA-256 of its body alone.
#include <chrono>

#include <openssl/sha.h>

#include "aws/sigv4.hpp"
#include "bench/computing.hpp"
#include "bench/measure.hpp"
#include "bench/stage.hpp"

namespace valkeycache::bench {

std::vector<Row> sign(Stage& stage) {
  const auto body =
      R"({"messages":[{"role":"user","content":[{"text":")" + text(4096 - 57) + R"("}]}]})";
  const AwsCredentials credentials{.access_key_id = "AKIDEXAMPLE",
                                   .secret_access_key = "wJalrXUtnFEMI/K7MDENG+bPxRfiCYEXAMPLEKEY",
                                   .session_token = {},
                                   .expires = {}};
  const detail::HeaderView headers[] = {{"host", "bedrock-runtime.us-west-2.amazonaws.com"},
                                        {"content-type", "application/json"}};
  detail::SigV4Signer signer("us-west-2", "bedrock");
  const auto* data = reinterpret_cast<const unsigned char*>(body.data());
  const auto tallies =
      take_turns(computing(stage.options()),
                 {{"SHA256()", again_and_again([&] {
                     unsigned char digest[SHA256_DIGEST_LENGTH];
                     keep(SHA256(data, body.size(), digest)[0]);
                   })},
                  {"SigV4Signer", again_and_again([&] {
                     const auto signed_headers = signer.sign(
                         {.method = "POST",
                          .path = "/model/us.anthropic.claude-sonnet-4-20250514-v1%3A0/converse",
                          .query = {},
                          .headers = headers,
                          .body = body},
                         credentials, std::chrono::system_clock::now());
                     keep(static_cast<unsigned char>(signed_headers.authorization.back()));
                   })}});
  return {costs(tallies).row("sign.4KiB", "ns", 1, 0, "ratio <= 2.5")};
}

}  // namespace valkeycache::bench
