#include <valkeycache/cache_key.hpp>

#include <bit>

#include "base/utf8.hpp"
#include "key/key_data.hpp"
#include "key/python_text.hpp"

namespace valkeycache::inline v0 {
namespace {

Error invalid(const char* message) {
  return {.code = ErrorCode::invalid_argument, .message = std::string("CacheKey: ") + message};
}

// A program asks with one temperature, or few: printing it takes a third of the time that a small
// key takes. Trivial, so that it may be used until the very end of its thread.
struct PrintedTemperature {
  std::uint64_t bits = 0;
  std::size_t size = 0;
  char text[32] = {};
};
thread_local PrintedTemperature last_printed;

std::string printed(double value) {
  const auto bits = std::bit_cast<std::uint64_t>(value);
  if (last_printed.size != 0 && last_printed.bits == bits) {
    return {last_printed.text, last_printed.size};
  }
  auto text = detail::python_repr(value);
  if (text.size() <= sizeof last_printed.text) {
    last_printed.bits = bits;
    last_printed.size = text.copy(last_printed.text, sizeof last_printed.text);
  }
  return text;
}

}  // namespace

CacheKeyBuilder CacheKey::builder() {
  return {};
}

CacheKeyBuilder& CacheKeyBuilder::model(std::string_view name) {
  model_.emplace(name);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::temperature(double value) {
  temperature_ = printed(value);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::temperature(int value) {
  temperature_ = std::to_string(value);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::temperature_text(std::string_view number) {
  temperature_ = detail::python_number(number).value_or("");
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::prompt(std::string_view text) {
  prompt_.emplace(text);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::key_model(std::string_view alias) {
  options_.key_model = alias;
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::tenant(std::string_view name) {
  options_.tenant.emplace(name);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::epoch(std::string_view name) {
  options_.epoch.emplace(name);
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::variant(std::uint64_t number) {
  options_.variant = number;
  return *this;
}
CacheKeyBuilder& CacheKeyBuilder::secret(std::string_view bytes) {
  options_.secret.emplace(bytes);
  return *this;
}

Result<CacheKey> CacheKeyBuilder::build() const {
  if (!prompt_) return invalid("no prompt was given");
  if (!temperature_) return invalid("no temperature was given");
  if (temperature_->empty()) return invalid("temperature_text is no usable JSON number");
  const bool simple = !detail::forces_complete(options_);
  if (!model_ && (!simple || options_.key_model.empty())) return invalid("no model was given");
  // Stripping reads the text as UTF-8.
  if (!detail::is_valid_utf8(*prompt_)) return invalid("the prompt is invalid UTF-8");
  const auto prompt = detail::python_strip(*prompt_);
  if (simple) {
    return detail::simple_key(options_.key_model.empty() ? *model_ : options_.key_model,
                              *temperature_, prompt);
  }
  return CacheKey::of(ChatRequest::from_triple(
                          *model_, {.temperature = *temperature_, .prompt = std::string(prompt)}),
                      {}, options_);
}

}  // namespace valkeycache::inline v0
