// What the connections of the simulated Bedrock have in common, whatever they speak.
#pragma once

#include <functional>
#include <optional>
#include <type_traits>
#include <vector>

#include <boost/asio/io_context.hpp>
#include <boost/asio/ip/tcp.hpp>
#include <boost/asio/ssl.hpp>
#include <boost/asio/steady_timer.hpp>

#include "support/bedrock/simulated_service.hpp"

namespace valkeycache::test {

// Of one thread, that of the context.
struct ServerShared {
  boost::asio::io_context& context;
  SimulatedService& service;
  std::vector<std::function<void()>> held = {};  // answers that wait for release()
};

using PlainStream = boost::asio::ip::tcp::socket;
using TlsStream = boost::asio::ssl::stream<PlainStream>;

template <class Stream>
PlainStream& socket_of(Stream& stream) {
  if constexpr (std::is_same_v<Stream, TlsStream>) {
    return stream.next_layer();
  } else {
    return stream;
  }
}

// Ends the connection by a RST.
template <class Stream>
void reset_connection(Stream& stream) {
  boost::system::error_code ignored;
  socket_of(stream).set_option(PlainStream::linger(true, 0), ignored);
  socket_of(stream).close(ignored);
}

}  // namespace valkeycache::test
