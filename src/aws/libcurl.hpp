// What all uses of libcurl have in common.
#pragma once

#include <valkeycache/config.hpp>

#include <string>

#include <curl/curl.h>

namespace valkeycache::inline v0 {
namespace detail {

// Once per process, before anything else of libcurl; thread-safe. False where it cannot be used.
bool initialize_libcurl() noexcept;

// No signals, no redirects, no netrc, http and https alone, TLS 1.2 at least, the path as it is
// given, and sockets that no program started by this process inherits.
void set_common_options(CURL* easy) noexcept;

// Takes the certificates of a PEM file for roots, and no others; "": the system's.
void set_trust(CURL* easy, const std::string& ca_file) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
