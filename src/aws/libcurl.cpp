#include "aws/libcurl.hpp"

#include <sys/socket.h>
#include <unistd.h>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

curl_socket_t on_open_socket(void*, curlsocktype, curl_sockaddr* address) {
#if defined(SOCK_CLOEXEC)
  return socket(address->family, address->socktype | SOCK_CLOEXEC, address->protocol);
#else
  return socket(address->family, address->socktype, address->protocol);
#endif
}

}  // namespace

bool initialize_libcurl() noexcept {
  static const bool usable = curl_global_init(CURL_GLOBAL_DEFAULT) == CURLE_OK;
  return usable;
}

void set_common_options(CURL* easy) noexcept {
  curl_easy_setopt(easy, CURLOPT_NOSIGNAL, 1L);
  curl_easy_setopt(easy, CURLOPT_NOPROGRESS, 1L);
  curl_easy_setopt(easy, CURLOPT_FOLLOWLOCATION, 0L);
  curl_easy_setopt(easy, CURLOPT_NETRC, static_cast<long>(CURL_NETRC_IGNORED));
  curl_easy_setopt(easy, CURLOPT_PATH_AS_IS, 1L);
#if LIBCURL_VERSION_NUM >= 0x075500
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS_STR, "http,https");
#else
  curl_easy_setopt(easy, CURLOPT_PROTOCOLS, static_cast<long>(CURLPROTO_HTTP | CURLPROTO_HTTPS));
#endif
  curl_easy_setopt(easy, CURLOPT_SSLVERSION, static_cast<long>(CURL_SSLVERSION_TLSv1_2));
#if LIBCURL_VERSION_NUM >= 0x075700
  // Ending a request whose host name is being looked up must not wait for the resolver.
  curl_easy_setopt(easy, CURLOPT_QUICK_EXIT, 1L);
#endif
  curl_easy_setopt(easy, CURLOPT_OPENSOCKETFUNCTION, on_open_socket);
}

void set_trust(CURL* easy, const std::string& ca_file) noexcept {
  if (ca_file.empty()) return;
  curl_easy_setopt(easy, CURLOPT_CAINFO, ca_file.c_str());
  // The folder that libcurl was built with would count as well.
  curl_easy_setopt(easy, CURLOPT_CAPATH, static_cast<char*>(nullptr));
}

}  // namespace detail
}  // namespace valkeycache::inline v0
