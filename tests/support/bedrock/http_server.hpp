// A small HTTP server on a loopback port whose answers a function makes.
#pragma once

#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/bedrock/sigv4_verifier.hpp"

namespace valkeycache::test {

struct HttpAnswer {
  int status = 200;
  std::string body = {};
  HeaderPairs headers = {};
  // Exactly these bytes instead, and then the end of the connection.
  std::optional<std::string> raw = {};
  // Nothing at all, until the client goes away.
  bool hang = false;
};

// Runs from construction to destruction on a thread of its own, on which it calls the handler. All
// members are thread-safe.
class HttpServer {
 public:
  using Handler = std::function<HttpAnswer(const ReceivedRequest&)>;

  explicit HttpServer(Handler handler);
  ~HttpServer();
  HttpServer(const HttpServer&) = delete;
  HttpServer& operator=(const HttpServer&) = delete;

  // "http://127.0.0.1:PORT".
  [[nodiscard]] std::string url() const;
  // In the order in which they came, also those that were left without an answer.
  [[nodiscard]] std::vector<ReceivedRequest> requests() const;

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace valkeycache::test
