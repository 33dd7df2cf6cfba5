// Many keys in one call: several commands whose outcomes meet in one future.
#pragma once

#include <atomic>
#include <cstddef>
#include <string>
#include <type_traits>
#include <utility>
#include <vector>

#include "valkey/command.hpp"
#include "valkey/decode.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// The future of a batch: a result per key, complete when the last part is.
template <class T>
class BatchFuture final : public FutureState<std::vector<Result<T>>> {
 public:
  // Every element is written by its part; until then it holds something cheap.
  explicit BatchFuture(std::size_t keys) {
    if constexpr (std::is_void_v<T>) {
      results_.resize(keys);
    } else {
      results_.resize(keys, Result<T>(T()));
    }
  }

  // Parts write different elements, each before its part_done().
  [[nodiscard]] Result<T>& result(std::size_t index) { return results_[index]; }
  // Before the first part is submitted; one more for the maker itself, see seal().
  void add_part() noexcept { parts_left_.fetch_add(1, std::memory_order_relaxed); }
  void part_done() noexcept {
    if (parts_left_.fetch_sub(1, std::memory_order_acq_rel) == 1) {
      this->complete(std::move(results_));
    }
  }
  // The maker has submitted all parts.
  void seal() noexcept { part_done(); }

 private:
  std::atomic<std::size_t> parts_left_{1};
  std::vector<Result<T>> results_;
};

// One MGET of a batch.
class MultiGetPart final : public CountedCommand {
 public:
  MultiGetPart(Ref<BatchFuture<Value>> batch, std::size_t first, std::size_t count)
      : batch_(std::move(batch)), first_(first), count_(count) {
    batch_->add_part();
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    if (reply.type != Reply::Type::array || reply.elements.size() != count_) {
      on_error(reply_error("MGET", reply));
      return reply.type == Reply::Type::error;
    }
    bool fits = true;
    for (std::size_t i = 0; i < count_; ++i) {
      auto& result = batch_->result(first_ + i);
      result = decode_value(std::move(reply.elements[i]), counters);
      fits = fits && result.has_value();
    }
    return fits;
  }
  void on_error(Error&& error) override {
    for (std::size_t i = 0; i < count_; ++i) batch_->result(first_ + i) = error;
  }
  void publish() noexcept override { batch_->part_done(); }

 private:
  Ref<BatchFuture<Value>> batch_;
  std::size_t first_;
  std::size_t count_;
};

// One GET of a batch, where keys may live on different servers.
class SingleGetPart final : public CountedCommand {
 public:
  SingleGetPart(Ref<BatchFuture<Value>> batch, std::size_t index)
      : batch_(std::move(batch)), index_(index) {
    batch_->add_part();
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    auto& result = batch_->result(index_);
    result = decode_value(std::move(reply), counters);
    return result.has_value() || result.error().code != ErrorCode::protocol_error;
  }
  void on_error(Error&& error) override { batch_->result(index_) = std::move(error); }
  void publish() noexcept override { batch_->part_done(); }

 private:
  Ref<BatchFuture<Value>> batch_;
  std::size_t index_;
};

// One SET of a batch.
class MultiSetPart final : public CountedCommand {
 public:
  MultiSetPart(Ref<BatchFuture<void>> batch, std::size_t index)
      : batch_(std::move(batch)), index_(index) {
    batch_->add_part();
  }
  bool on_reply(Reply&& reply, Counters& counters) override {
    auto& result = batch_->result(index_);
    result = decode_stored(std::move(reply), counters);
    return result.has_value() || result.error().code != ErrorCode::protocol_error;
  }
  void on_error(Error&& error) override { batch_->result(index_) = std::move(error); }
  void publish() noexcept override { batch_->part_done(); }

 private:
  Ref<BatchFuture<void>> batch_;
  std::size_t index_;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
