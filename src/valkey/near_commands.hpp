// The commands of a cache with a near tier.
#pragma once

#include <cstddef>
#include <utility>
#include <vector>

#include "valkey/batch.hpp"
#include "valkey/command.hpp"
#include "valkey/decode.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/pipeline.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// GET and PTTL together: what comes fills the tier.
class FillingGet final : public CommandFuture<Value> {
 public:
  FillingGet(NearTier& near, CacheKey key)
      : CommandFuture(&decode_value),
        near_(near),
        key_(std::move(key)),
        fill_(near.begin_fill(key_.path(), SteadyTime::clock::now())) {
    replies = 2;
  }

  bool on_early_reply(Reply&& reply) override {
    value_ = std::move(reply);
    return value_.type == Reply::Type::string || value_.type == Reply::Type::nil ||
           value_.type == Reply::Type::error;
  }
  // PTTL may be refused (a strict ACL): the value is good all the same.
  bool on_reply(Reply&& reply, Counters& counters) override {
    auto& feed = *home->near();
    feed.prove(fill_.asked);
    const bool known = reply.type == Reply::Type::integer;
    if (known && value_.type == Reply::Type::string) {
      near_.end_fill(fill_, key_.path(), value_.text, reply.integer, SteadyTime::clock::now(),
                     feed);
    }
    if (value_.type == Reply::Type::error) counters.errors.add();
    return CommandFuture::on_reply(std::move(value_), counters) &&
           (known || reply.type == Reply::Type::error);
  }

 private:
  NearTier& near_;
  const CacheKey key_;
  const NearTier::Fill fill_;
  Reply value_;
};

// One MGET of a batch for those keys that the tier does not have.
class SparseGetPart final : public CountedCommand {
 public:
  SparseGetPart(Ref<BatchFuture<Value>> batch, std::vector<std::size_t> indices)
      : batch_(std::move(batch)), indices_(std::move(indices)) {
    batch_->add_part();
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    if (reply.type != Reply::Type::array || reply.elements.size() != indices_.size()) {
      on_error(reply_error("MGET", reply));
      return reply.type == Reply::Type::error;
    }
    bool fits = true;
    for (std::size_t i = 0; i < indices_.size(); ++i) {
      auto& result = batch_->result(indices_[i]);
      result = decode_value(std::move(reply.elements[i]), counters);
      fits = fits && result.has_value();
    }
    return fits;
  }
  void on_error(Error&& error) override {
    for (const auto index : indices_) batch_->result(index) = error;
  }
  void publish() noexcept override { batch_->part_done(); }

 private:
  Ref<BatchFuture<Value>> batch_;
  const std::vector<std::size_t> indices_;
};

// Asks whether the server is still there, so that what it would have said is known to have been
// read. Any answer will do.
class Heartbeat final : public CountedCommand {
 public:
  Heartbeat(NearFeed& near, SteadyTime asked) : near_(near), asked_(asked) {
    append_request(request, {"PING"});
    pinned = internal = true;
  }
  [[nodiscard]] bool under_way() const noexcept { return is_waiting || in_flight; }
  bool on_reply(Reply&& reply, Counters& /*counters*/) override {
    near_.prove(asked_);
    return reply.type == Reply::Type::status || reply.type == Reply::Type::error;
  }
  void on_error(Error&& /*error*/) override {}
  void publish() noexcept override {}

 private:
  NearFeed& near_;
  const SteadyTime asked_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
