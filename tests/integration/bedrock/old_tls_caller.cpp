// Asks a simulated Bedrock over https in three ways, and says what came of each: by libcurl with
// nothing but TLS 1.0 asked for, by the client, and as the sources of credentials ask. OpenSSL's
// own settings are its environment's.
//
//   old_tls_caller <url> <CA file>
#include <valkeycache/bedrock_client.hpp>

#include <iostream>
#include <memory>
#include <optional>
#include <string>
#include <string_view>

#include <curl/curl.h>

#include "aws/http_fetch.hpp"
#include "bedrock/bedrock_core.hpp"
#include "support/bedrock/simulated_bedrock.hpp"

using namespace valkeycache;

namespace {

std::size_t drop(char*, std::size_t size, std::size_t count, void*) {
  return size * count;
}

std::string by_libcurl(const std::string& url, const std::string& ca_file) {
  const std::unique_ptr<CURL, void (*)(CURL*)> easy(curl_easy_init(), curl_easy_cleanup);
  if (!easy) return "no handle";
  curl_easy_setopt(easy.get(), CURLOPT_URL, (url + "/__stats").c_str());
  curl_easy_setopt(easy.get(), CURLOPT_CAINFO, ca_file.c_str());
  curl_easy_setopt(easy.get(), CURLOPT_NOPROXY, "*");
  // Newer ones would not go below 1.2 by themselves.
  curl_easy_setopt(easy.get(), CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_0));
  curl_easy_setopt(easy.get(), CURLOPT_WRITEFUNCTION, drop);
  const auto code = curl_easy_perform(easy.get());
  if (code != CURLE_OK) return curl_easy_strerror(code);
  long status = 0;
  curl_easy_getinfo(easy.get(), CURLINFO_RESPONSE_CODE, &status);
  return std::to_string(status);
}

std::string by_client(const std::string& url, const std::string& ca_file) {
  auto core = detail::BedrockCore::create(
      {.model = "m",
       .region = "us-west-2",
       .endpoint = url,
       .credentials = AwsCredentials{.access_key_id = test::simulated_access_key,
                                     .secret_access_key = test::simulated_secret_key},
       .max_attempts = 1,
       .ca_file = ca_file},
      [](std::string_view) -> std::optional<std::string> { return std::nullopt; });
  if (!core) return "no client: " + core.error().message;
  auto client = detail::BedrockClientAccess::make(*std::move(core));
  const auto answer = client.complete(ChatRequest("x")).get();
  return answer ? "answered" : std::string(to_string(answer.error().code));
}

std::string by_fetch(const std::string& url, const std::string& ca_file) {
  const auto answer = detail::fetch({.url = url + "/__stats",
                                     .timeout = std::chrono::seconds(30),
                                     .bypass_proxy = true,
                                     .ca_file = ca_file},
                                    {});
  return answer.status == 0 ? "refused" : std::to_string(answer.status);
}

}  // namespace

int main(int argc, char** argv) {
  if (argc != 3) return 2;
  const std::string url = argv[1];
  const std::string ca_file = argv[2];
  std::cout << "libcurl: " << by_libcurl(url, ca_file) << "\nclient: " << by_client(url, ca_file)
            << "\nfetch: " << by_fetch(url, ca_file) << '\n';
}
