// TLS over another transport.
#pragma once

#include <memory>

#include "valkey/tls_context.hpp"
#include "valkey/transport.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// `socket` may still be connecting.
std::unique_ptr<Transport> secure(std::unique_ptr<Transport> socket,
                                  TlsContext::Connection connection);

}  // namespace detail
}  // namespace valkeycache::inline v0
