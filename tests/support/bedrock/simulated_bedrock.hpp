// A simulated Bedrock Runtime on a loopback port: checks signatures, speaks Converse,
// ConverseStream and InvokeModel over HTTP/1.1 and HTTP/2, has faults.
#pragma once

#include <chrono>
#include <cstddef>
#include <cstdint>
#include <functional>
#include <memory>
#include <optional>
#include <string>
#include <vector>

#include "support/bedrock/fault.hpp"
#include "support/bedrock/sigv4_verifier.hpp"

namespace valkeycache::test {

// The keys that are known from the start; example keys of AWS's documentation.
inline constexpr const char* simulated_access_key = "AKIAIOSFODNN7EXAMPLE";
inline constexpr const char* simulated_secret_key = "wJalrXUtnFEMI/K7MDENG/bPxRfiCYEXAMPLEKEY";

struct SimulatedBedrockOptions {
  std::uint16_t port = 0;  // 0: any free one
  std::string access_key = simulated_access_key;
  std::string secret_key = simulated_secret_key;
  std::string session_token = {};
  std::string region = {};        // that has to be signed; "": any
  std::string bearer_token = {};  // "": none is accepted
  bool allow_anonymous = false;
  std::chrono::milliseconds delay{0};
  std::chrono::milliseconds stream_pace{0};
  // PEM files for https; empty: plain http.
  std::string certificate_file = {};
  std::string key_file = {};
  bool http2 = true;  // is agreed to over https; over plain http whoever begins in it is answered
  std::uint32_t max_streams = 128;  // of one HTTP/2 connection, at a time
  bool old_tls = false;             // 1.1 and no newer
};

struct RecordedRequest : ReceivedRequest {
  std::size_t connection = 0;  // which one, from 1
};

struct SimulatedBedrockStats {
  std::size_t connections = 0;
  std::size_t calls = 0;    // requests, whatever came of them
  std::size_t answers = 0;  // of those, answered by the model
  std::size_t refused = 0;  // for their signature or token
  std::size_t faults = 0;   // met with a fault
  std::size_t aborted = 0;  // the client went away before the response was sent
  std::size_t in_flight = 0;
  std::size_t max_in_flight = 0;
  std::size_t bytes_sent = 0;  // handed to the system, of responses over HTTP/1.1
};

// Runs from construction to destruction on a thread of its own. All members are thread-safe.
class SimulatedBedrock {
 public:
  explicit SimulatedBedrock(SimulatedBedrockOptions options = {});
  ~SimulatedBedrock();
  SimulatedBedrock(const SimulatedBedrock&) = delete;
  SimulatedBedrock& operator=(const SimulatedBedrock&) = delete;

  [[nodiscard]] std::uint16_t port() const;
  // "http://127.0.0.1:PORT".
  [[nodiscard]] std::string url() const;

  // How long the model takes over an answer.
  void set_delay(std::chrono::milliseconds delay);
  // The pause after each event of a streamed answer; 0: all at once, in pieces cut at random.
  void set_stream_pace(std::chrono::milliseconds pace);
  void set_stop_reason(std::string reason);
  // The service's clock against the machine's: its Date header and what it thinks of signatures.
  void set_clock_offset(std::chrono::seconds offset);

  // Keeps every answer back, until release().
  void hold();
  void release();

  // The next calls meet these faults, one each; after them, all is well again.
  void add_fault(Fault fault, int times = 1);
  // Asked for each call that no queued fault took.
  void set_rule(std::function<std::optional<Fault>(const RecordedRequest&)> rule);

  void add_caller(const std::string& access_key, KnownCaller caller);
  void expire_token(const std::string& session_token);

  [[nodiscard]] SimulatedBedrockStats stats() const;
  [[nodiscard]] std::vector<RecordedRequest> requests() const;
  [[nodiscard]] std::size_t calls() const { return stats().calls; }

 private:
  class Server;
  std::unique_ptr<Server> server_;
};

}  // namespace valkeycache::test
