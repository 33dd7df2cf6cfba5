#include <valkeycache/valkey_cache.hpp>

#include <algorithm>
#include <span>
#include <utility>

#include "base/errors.hpp"
#include "base/fork.hpp"
#include "valkey/batch.hpp"
#include "valkey/cache_access.hpp"
#include "valkey/cache_core.hpp"
#include "valkey/clear.hpp"
#include "valkey/connection.hpp"
#include "valkey/decode.hpp"
#include "valkey/fleet.hpp"
#include "valkey/memory_backend.hpp"
#include "valkey/near_commands.hpp"
#include "valkey/near_tier.hpp"
#include "valkey/scripts.hpp"
#include "valkey/settings.hpp"
#include "valkey/wire.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// What all copies of a ValkeyCache hold together: its end is the cache's end.
class CacheHandle {
 public:
  explicit CacheHandle(std::shared_ptr<CacheCore> core)
      : core_(std::move(core)), context_(core_->context()) {}
  CacheHandle(const CacheHandle&) = delete;
  CacheHandle& operator=(const CacheHandle&) = delete;
  ~CacheHandle() {
    if (core_->forked()) {
      // Its thread, its locks and its socket are the parent's: leave everything as it is.
      new std::shared_ptr<CacheCore>(core_);  // NOLINT(bugprone-unused-raii)
      return;
    }
    core_->close();
  }
  [[nodiscard]] CacheCore& core() const noexcept { return *core_; }
  [[nodiscard]] const std::shared_ptr<const CallbackContext>& context() const noexcept {
    return context_;
  }

 private:
  std::shared_ptr<CacheCore> core_;
  std::shared_ptr<const CallbackContext> context_;
};

CacheCore& CacheAccess::core(const ValkeyCache& cache) {
  return cache.handle_->core();
}

}  // namespace detail

namespace {

using detail::append_argument;
using detail::append_request;
using detail::append_request_header;
using detail::BatchFuture;
using detail::CacheCore;
using detail::CacheHandle;
using detail::Command;
using detail::CommandFuture;
using detail::Ref;

constexpr std::size_t keys_per_mget = 512;

Error too_large() {
  return {.code = ErrorCode::too_large,
          .message = "the value is longer than max_value_bytes; nothing was sent"};
}

// The TTL that counts, or why it cannot.
Result<Ttl> effective_ttl(const CacheCore& core, Ttl ttl) {
  const auto effective = ttl.value_or(core.options().ttl).value_or(Ttl::none());
  if (!effective.is_valid()) {
    return detail::error_invalid("ttl must be at least a millisecond and fit into 64 bits of them");
  }
  return effective;
}

bool in_whole_seconds(Ttl ttl) {
  return ttl.duration().count() % 1000 == 0;
}

// SET key value [NX] [EX s | PX ms]
Result<void> append_set(std::string& request, const CacheCore& core, const CacheKey& key,
                        std::string_view value, Ttl ttl, bool only_if_absent) {
  auto effective = effective_ttl(core, ttl);
  if (!effective) return std::move(effective).error();
  if (value.size() > core.options().max_value_bytes) {
    return too_large();
  }
  const auto& prefix = core.options().prefix;
  request.reserve(prefix.size() + key.path().size() + value.size() + 96);
  const bool expires = effective->is_finite();
  append_request_header(request, 3U + (only_if_absent ? 1U : 0U) + (expires ? 2U : 0U));
  append_argument(request, "SET");
  append_argument(request, prefix, key.path());
  append_argument(request, value);
  if (only_if_absent) append_argument(request, "NX");
  if (expires) {
    const auto milliseconds = effective->duration().count();
    const bool seconds = in_whole_seconds(*effective);
    append_argument(request, seconds ? "EX" : "PX");
    append_argument(request, seconds ? milliseconds / 1000 : milliseconds);
  }
  return {};
}

// A command that is about to be sent, and its future.
template <class T>
class Sending {
 public:
  Sending(const CacheHandle& handle, typename CommandFuture<T>::Decode decode,
          Command::Effect effect)
      : core_(handle.core()), command_(detail::PooledCommandFuture<T>::make(decode)) {
    command_->set_context(handle.context());
    command_->set_helper(&core_);
    command_->effect = effect;
  }
  // To be filled.
  [[nodiscard]] std::string& request() noexcept { return command_->request; }
  Future<T> submit(const CallOptions& options) {
    command_->deadline = core_.deadline_for(options);
    auto future = Ref<detail::FutureState<T>>::share(command_.get());
    core_.submit(Ref<Command>::adopt(command_.detach()), options.stop_token);
    return FutureAccess::make<T>(std::move(future));
  }
  // The near tier's copy goes with every write, once the command has its place in the order.
  Future<T> submit_write(const CacheKey& key, const CallOptions& options) {
    auto sent = submit(options);
    if (auto* near = core_.near()) near->invalidate(key.path());
    return sent;
  }

 private:
  CacheCore& core_;
  Ref<detail::PooledCommandFuture<T>> command_;
};

template <class T>
Future<T> send(const CacheHandle& handle, std::initializer_list<std::string_view> request,
               typename CommandFuture<T>::Decode decode, Command::Effect effect,
               const CallOptions& options) {
  Sending<T> sending(handle, decode, effect);
  append_request(sending.request(), request);
  return sending.submit(options);
}

template <class T>
Future<T> send_write(const CacheHandle& handle, const CacheKey& key,
                     std::initializer_list<std::string_view> request,
                     typename CommandFuture<T>::Decode decode, Command::Effect effect,
                     const CallOptions& options) {
  Sending<T> sending(handle, decode, effect);
  append_request(sending.request(), request);
  return sending.submit_write(key, options);
}

// GET by way of the near tier.
Future<detail::Value> near_get(const CacheHandle& handle, detail::NearTier& near,
                               const CacheKey& key, const CallOptions& options) {
  auto& core = handle.core();
  if (!options.stop_token.stop_requested()) {
    if (const auto entry = near.find(key.path(), detail::SteadyTime::clock::now(), true)) {
      Promise<detail::Value> promise(handle.context());
      promise.set(detail::Value(entry->value()));
      return promise.future();
    }
  }
  core.counters().gets.add();
  auto command = Ref<detail::FillingGet>::adopt(new detail::FillingGet(near, key));
  command->set_context(handle.context());
  command->set_helper(&core);
  const auto wire_key = core.options().prefix + key.path();
  append_request(command->request, {"GET", wire_key});
  append_request(command->request, {"PTTL", wire_key});
  command->deadline = core.deadline_for(options);
  auto future = Ref<detail::FutureState<detail::Value>>::share(command.get());
  core.submit(Ref<Command>::adopt(command.detach()), options.stop_token);
  return FutureAccess::make<detail::Value>(std::move(future));
}

void submit_single_get(CacheCore& core, Ref<BatchFuture<detail::Value>> batch, std::size_t index,
                       const CacheKey& key, detail::SteadyTime deadline,
                       const std::stop_token& token) {
  auto part = Ref<detail::SingleGetPart>::adopt(new detail::SingleGetPart(std::move(batch), index));
  part->request += "*2\r\n$3\r\nGET\r\n";
  append_argument(part->request, core.options().prefix, key.path());
  part->deadline = deadline;
  core.submit(std::move(part), token);
}

// MGETs of those keys that the tier does not have.
Future<std::vector<Result<detail::Value>>> near_get(const CacheHandle& handle,
                                                    detail::NearTier& near,
                                                    const std::vector<CacheKey>& keys,
                                                    const CallOptions& options) {
  auto& core = handle.core();
  auto batch = Ref<BatchFuture<detail::Value>>::adopt(new BatchFuture<detail::Value>(keys.size()));
  batch->set_context(handle.context());
  batch->set_helper(&core);
  const auto deadline = core.deadline_for(options);
  const auto now = detail::SteadyTime::clock::now();
  const bool look = !options.stop_token.stop_requested();
  std::vector<std::size_t> missing;
  const auto fetch = [&] {
    if (missing.empty()) return;
    core.counters().gets.add(missing.size());
    std::string request;
    append_request_header(request, missing.size() + 1);
    append_argument(request, "MGET");
    for (const auto index : missing) {
      append_argument(request, core.options().prefix, keys[index].path());
    }
    auto part = Ref<detail::SparseGetPart>::adopt(
        new detail::SparseGetPart(batch, std::exchange(missing, {})));
    part->request = std::move(request);
    part->deadline = deadline;
    core.submit(std::move(part), options.stop_token);
  };
  for (std::size_t i = 0; i < keys.size(); ++i) {
    if (const auto entry = look ? near.find(keys[i].path(), now, false) : nullptr) {
      batch->result(i) = detail::Value(entry->value());
      continue;
    }
    if (core.sharded()) {
      core.counters().gets.add();
      submit_single_get(core, batch, i, keys[i], deadline, options.stop_token);
      continue;
    }
    missing.push_back(i);
    if (missing.size() == keys_per_mget) fetch();
  }
  fetch();
  batch->seal();
  return FutureAccess::make<std::vector<Result<detail::Value>>>(std::move(batch));
}

// Errors that are found before anything is sent count too.
template <class T>
Future<T> refuse(const CacheHandle& handle, Error error) {
  handle.core().counters().errors.add();
  Promise<T> promise(handle.context());
  promise.set(std::move(error));
  return promise.future();
}

// PING, timed from its submission.
class Ping final : public CommandFuture<std::chrono::microseconds> {
 public:
  Ping() : CommandFuture(nullptr) {}
  bool on_reply(detail::Reply&& reply, detail::Counters& /*counters*/) override {
    const bool pong = reply.type == detail::Reply::Type::status;
    const bool fits = pong || reply.type == detail::Reply::Type::error;
    if (pong) {
      store(std::chrono::duration_cast<std::chrono::microseconds>(detail::SteadyTime::clock::now() -
                                                                  begun_));
    } else {
      store(detail::reply_error("PING", reply));
    }
    return fits;
  }

 private:
  detail::SteadyTime begun_ = detail::SteadyTime::clock::now();
};

std::shared_ptr<detail::CacheHandle> make_handle(std::shared_ptr<CacheCore> core) {
  return std::make_shared<detail::CacheHandle>(std::move(core));
}

}  // namespace

// --- opening ---

Result<ValkeyCache> ValkeyCache::open(ValkeyCacheOptions options) {
  auto checked = detail::checked(std::move(options));
  if (!checked) return std::move(checked).error();
  std::shared_ptr<detail::TlsContext> tls;
  if (checked->tls.enabled) {
    auto made = detail::TlsContext::make(checked->tls);
    if (!made) return std::move(made).error();
    tls = *std::move(made);
    if (checked->tls.insecure_skip_verification) {
      detail::report(checked->log, LogLevel::warning, "valkey",
                     "tls.insecure_skip_verification: whoever answers is taken for the server");
    }
  }
  auto core = CacheCore::start(
      *std::move(checked), "vkc-valkey",
      [&](const ValkeyCacheOptions& kept, detail::Poller& poller,
          detail::Counters& counters) -> std::unique_ptr<detail::Backend> {
        if (kept.deployment == Deployment::single && kept.connections == 1) {
          return std::make_unique<detail::Connection>(kept, poller, counters, std::move(tls));
        }
        return std::make_unique<detail::Fleet>(kept, poller, counters, std::move(tls));
      });
  if (!core) return std::move(core).error();
  return ValkeyCache(make_handle(*std::move(core)));
}

Result<ValkeyCache> ValkeyCache::open(std::string_view uri, ValkeyCacheOptions options) {
  auto location = detail::parse_uri(uri, std::move(options));
  if (!location) return std::move(location).error();
  if (!location->in_memory) return open(std::move(location->options));
  location->options.password_provider.needs_tls = false;  // nobody asks for passwords there
  auto checked = detail::checked(std::move(location->options));
  if (!checked) return std::move(checked).error();
  auto store = detail::MemoryStore::named(location->memory_name, checked->clock);
  auto core =
      CacheCore::start(*std::move(checked), "vkc-memory",
                       [&](const ValkeyCacheOptions&, detail::Poller&, detail::Counters& counters) {
                         return std::make_unique<detail::MemoryBackend>(store, counters);
                       });
  if (!core) return std::move(core).error();
  return ValkeyCache(make_handle(*std::move(core)));
}

// --- one key ---

Future<std::optional<std::string>> ValkeyCache::get(const CacheKey& key,
                                                    CallOptions options) const {
  auto& core = handle_->core();
  if (auto* near = core.near()) return near_get(*handle_, *near, key, options);
  core.counters().gets.add();
  Sending<detail::Value> sending(*handle_, &detail::decode_value, Command::Effect::none);
  auto& request = sending.request();
  request += "*2\r\n$3\r\nGET\r\n";
  append_argument(request, prefix(), key.path());
  return sending.submit(options);
}

NearHit ValkeyCache::find_near(std::string_view path) const {
  auto* near = handle_->core().near();
  return near ? NearHit(near->find(path, detail::SteadyTime::clock::now(), false)) : NearHit();
}

bool ValkeyCache::keep_object(const NearHit& hit, std::shared_ptr<const void> object,
                              const void* type, std::size_t bytes) const {
  auto* near = handle_->core().near();
  return near && hit &&
         near->attach(*hit.entry_, std::move(object), type, bytes,
                      detail::SteadyTime::clock::now());
}

Future<void> ValkeyCache::set(const CacheKey& key, std::string value, Ttl ttl,
                              CallOptions options) const {
  Sending<void> sending(*handle_, &detail::decode_stored, Command::Effect::store);
  auto made = append_set(sending.request(), handle_->core(), key, value, ttl, false);
  if (!made) return refuse<void>(*handle_, std::move(made).error());
  return sending.submit_write(key, options);
}

Future<bool> ValkeyCache::set_if_absent(const CacheKey& key, std::string value, Ttl ttl,
                                        CallOptions options) const {
  Sending<bool> sending(*handle_, &detail::decode_stored_if_absent, Command::Effect::store);
  auto made = append_set(sending.request(), handle_->core(), key, value, ttl, true);
  if (!made) return refuse<bool>(*handle_, std::move(made).error());
  return sending.submit_write(key, options);
}

Future<bool> ValkeyCache::erase_if(const CacheKey& key, std::string value,
                                   CallOptions options) const {
  return send_write<bool>(*handle_, key,
                          {"EVAL", detail::erase_if_script, "1", wire_key(key), value},
                          &detail::decode_erased, Command::Effect::change, options);
}

Future<bool> ValkeyCache::expire_if(const CacheKey& key, std::string value, Ttl ttl,
                                    CallOptions options) const {
  if (!ttl.is_finite()) {
    return refuse<bool>(*handle_, detail::error_invalid("expire_if needs a finite, valid ttl"));
  }
  return send_write<bool>(*handle_, key,
                          {"EVAL", detail::expire_if_script, "1", wire_key(key), value,
                           std::to_string(ttl.duration().count())},
                          &detail::decode_expired, Command::Effect::change, options);
}

Future<bool> ValkeyCache::replace_if(const CacheKey& key, std::string expected, std::string value,
                                     Ttl ttl, CallOptions options) const {
  const auto& core = handle_->core();
  const auto effective = effective_ttl(core, ttl);
  if (!effective) return refuse<bool>(*handle_, effective.error());
  if (std::max(value.size(), expected.size()) > core.options().max_value_bytes) {
    return refuse<bool>(*handle_, too_large());
  }
  const auto milliseconds = effective->is_finite() ? effective->duration().count() : 0;
  return send_write<bool>(*handle_, key,
                          {"EVAL", detail::replace_if_script, "1", wire_key(key), expected, value,
                           std::to_string(milliseconds)},
                          &detail::decode_replaced, Command::Effect::store, options);
}

Future<bool> ValkeyCache::erase(const CacheKey& key, CallOptions options) const {
  return send_write<bool>(*handle_, key, {"DEL", wire_key(key)}, &detail::decode_erased,
                          Command::Effect::change, options);
}

Future<bool> ValkeyCache::touch(const CacheKey& key, Ttl ttl, CallOptions options) const {
  if (!ttl.is_finite())
    return refuse<bool>(*handle_, detail::error_invalid("touch needs a finite, valid ttl"));
  const auto milliseconds = ttl.duration().count();
  const bool seconds = in_whole_seconds(ttl);
  return send_write<bool>(*handle_, key,
                          {seconds ? "EXPIRE" : "PEXPIRE", wire_key(key),
                           std::to_string(seconds ? milliseconds / 1000 : milliseconds)},
                          &detail::decode_expired, Command::Effect::change, options);
}

Future<std::optional<Ttl>> ValkeyCache::ttl(const CacheKey& key, CallOptions options) const {
  return send<std::optional<Ttl>>(*handle_, {"PTTL", wire_key(key)}, &detail::decode_ttl,
                                  Command::Effect::none, options);
}

// --- many keys ---

Future<std::vector<Result<std::optional<std::string>>>> ValkeyCache::get(
    std::vector<CacheKey> keys, CallOptions options) const {
  auto& core = handle_->core();
  if (auto* near = core.near()) return near_get(*handle_, *near, keys, options);
  core.counters().gets.add(keys.size());
  auto batch = Ref<BatchFuture<detail::Value>>::adopt(new BatchFuture<detail::Value>(keys.size()));
  batch->set_context(handle_->context());
  batch->set_helper(&core);
  const auto deadline = core.deadline_for(options);
  if (core.sharded()) {
    for (std::size_t i = 0; i < keys.size(); ++i) {
      submit_single_get(core, batch, i, keys[i], deadline, options.stop_token);
    }
    batch->seal();
    return FutureAccess::make<std::vector<Result<detail::Value>>>(std::move(batch));
  }
  for (std::size_t first = 0; first < keys.size(); first += keys_per_mget) {
    const auto count = std::min(keys_per_mget, keys.size() - first);
    auto part = Ref<detail::MultiGetPart>::adopt(new detail::MultiGetPart(batch, first, count));
    append_request_header(part->request, count + 1);
    append_argument(part->request, "MGET");
    for (const auto& key : std::span(keys).subspan(first, count)) {
      append_argument(part->request, prefix(), key.path());
    }
    part->deadline = deadline;
    core.submit(std::move(part), options.stop_token);
  }
  batch->seal();
  return FutureAccess::make<std::vector<Result<detail::Value>>>(std::move(batch));
}

Future<std::vector<Result<void>>> ValkeyCache::set(std::vector<KeyValue> entries,
                                                   CallOptions options) const {
  auto& core = handle_->core();
  auto* const near = core.near();
  auto batch = Ref<BatchFuture<void>>::adopt(new BatchFuture<void>(entries.size()));
  batch->set_context(handle_->context());
  batch->set_helper(&core);
  const auto deadline = core.deadline_for(options);
  for (std::size_t i = 0; i < entries.size(); ++i) {
    const auto& entry = entries[i];
    std::string request;
    auto made = append_set(request, core, entry.key, entry.value, entry.ttl, false);
    if (!made) {
      core.counters().errors.add();
      batch->result(i) = std::move(made).error();
      continue;
    }
    auto part = Ref<detail::MultiSetPart>::adopt(new detail::MultiSetPart(batch, i));
    part->request = std::move(request);
    part->effect = Command::Effect::store;
    part->deadline = deadline;
    core.submit(std::move(part), options.stop_token);
    if (near) near->invalidate(entry.key.path());
  }
  batch->seal();
  return FutureAccess::make<std::vector<Result<void>>>(std::move(batch));
}

// --- all keys ---

Future<std::uint64_t> ValkeyCache::clear(ClearOptions options) const {
  return detail::clear_prefix(handle_->core(), prefix(), std::move(options));
}

Future<std::uint64_t> ValkeyCache::clear(std::vector<std::string> namespaces,
                                         ClearOptions options) const {
  auto& core = handle_->core();
  auto prefix = this->prefix();
  for (const auto& part : namespaces) {
    if (part.empty() || part.find('/') != std::string::npos) {
      return refuse<std::uint64_t>(*handle_,
                                   detail::error_invalid("a namespace is empty or holds '/'"));
    }
    prefix += part;
    prefix += '/';
  }
  return detail::clear_prefix(core, std::move(prefix), std::move(options));
}

// --- the connection itself ---

Future<std::chrono::microseconds> ValkeyCache::ping(CallOptions options) const {
  auto& core = handle_->core();
  auto command = Ref<Ping>::adopt(new Ping);
  command->set_context(handle_->context());
  command->set_helper(&core);
  command->request = detail::make_request({"PING"});
  command->deadline = core.deadline_for(options);
  auto future = Ref<detail::FutureState<std::chrono::microseconds>>::share(command.get());
  core.submit(Ref<Command>::adopt(command.detach()), options.stop_token);
  return FutureAccess::make<std::chrono::microseconds>(std::move(future));
}

Future<void> ValkeyCache::flush(std::chrono::milliseconds timeout) const {
  return handle_->core().flush(timeout);
}

ValkeyCacheStats ValkeyCache::stats() const {
  return handle_->core().stats();
}

Ttl ValkeyCache::default_ttl() const noexcept {
  return handle_->core().options().ttl.value_or(Ttl::none());
}

bool ValkeyCache::has_near_cache() const noexcept {
  return handle_->core().near() != nullptr;
}

const std::string& ValkeyCache::prefix() const noexcept {
  return handle_->core().options().prefix;
}

std::string ValkeyCache::wire_key(const CacheKey& key) const {
  return prefix() + key.path();
}

bool ValkeyCache::connected() const noexcept {
  return handle_->core().connected();
}

}  // namespace valkeycache::inline v0
