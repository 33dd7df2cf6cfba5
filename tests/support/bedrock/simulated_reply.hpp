// What the simulated Bedrock answers, whatever carries it.
#pragma once

#include <algorithm>
#include <chrono>
#include <cstddef>
#include <optional>
#include <string>
#include <string_view>
#include <vector>

#include "support/bedrock/fault.hpp"
#include "support/bedrock/sigv4_verifier.hpp"

namespace valkeycache::test {

struct Reply {
  int status = 200;
  // All but those that tell how long the body is.
  HeaderPairs headers = {};
  std::string body = {};
  // The length of the body is told beforehand.
  bool sized = true;
  // The body leaves in pieces of these sizes, the rest as one. A fault's own go before.
  std::vector<std::size_t> pieces = {};
  // After each of them. A fault's own goes before.
  std::chrono::milliseconds pace{0};
  // The body is sent and never ended.
  bool stall = false;

  std::chrono::milliseconds delay{0};
  std::optional<Fault> fault = {};
  bool is_call = false;
  bool hold = false;
};

// A reply's body as its fault leaves it, piece by piece. The reply has to stay.
class BodyPieces {
 public:
  BodyPieces() = default;
  explicit BodyPieces(const Reply& reply) : reply_(&reply), rest_(reply.body) {
    const auto& fault = reply.fault;
    if (fault && fault->cut_body_at) rest_ = rest_.substr(0, *fault->cut_body_at);
  }

  [[nodiscard]] bool done() const { return rest_.empty(); }

  std::string_view next() {
    auto size = rest_.size();
    const auto& fault = reply_->fault;
    if (fault && fault->piece != 0) {
      size = fault->piece;
    } else if (given_ < reply_->pieces.size()) {
      size = reply_->pieces[given_];
    }
    ++given_;
    const auto piece = rest_.substr(0, std::max<std::size_t>(size, 1));
    rest_.remove_prefix(piece.size());
    return piece;
  }

  // How long to wait after each.
  [[nodiscard]] std::chrono::milliseconds pause() const {
    const auto& fault = reply_->fault;
    return fault && fault->pause.count() != 0 ? fault->pause : reply_->pace;
  }

 private:
  const Reply* reply_ = nullptr;
  std::string_view rest_;
  std::size_t given_ = 0;
};

}  // namespace valkeycache::test
