#include <valkeycache/cache_key.hpp>

#include <algorithm>

#include "base/json_string.hpp"
#include "base/utf8.hpp"
#include "key/key_data.hpp"

namespace valkeycache::inline v0 {
namespace {

using detail::KeyAccess;
using detail::KeyData;
using detail::KeyForm;

Error invalid(std::string message) {
  return {.code = ErrorCode::invalid_argument, .message = "CacheKey: " + std::move(message)};
}

const std::vector<std::string>& simple_namespaces() {
  static const std::vector<std::string> namespaces{"llm_responses"};
  return namespaces;
}

// A part that becomes a namespace of its own.
std::optional<Error> check_label(std::string_view what, const std::optional<std::string>& label) {
  if (!label) return std::nullopt;
  if (label->empty()) return invalid(std::string(what) + " is empty; leave it unset instead");
  if (label->find('/') != std::string::npos) return invalid(std::string(what) + " holds a '/'");
  if (!detail::is_valid_utf8(*label)) return invalid(std::string(what) + " is invalid UTF-8");
  return std::nullopt;
}

std::optional<Error> check(const KeyOptions& options) {
  if (auto error = check_label("the tenant", options.tenant)) return error;
  if (auto error = check_label("the epoch", options.epoch)) return error;
  if (options.secret && options.secret->size() < detail::min_secret_bytes) {
    return invalid("the secret is shorter than 16 bytes");
  }
  return std::nullopt;
}

std::string simple_content(std::string_view model, std::string_view temperature,
                           std::string_view prompt) {
  constexpr std::string_view between = "|temp=";
  std::string content;
  content.reserve(model.size() + between.size() + temperature.size() + 1 + prompt.size());
  content += model;
  content += between;
  content += temperature;
  content += '|';
  content += prompt;
  return content;
}

const std::string& scope_of(const ChatRequest& request, const CacheIdentity& identity) {
  const bool own = request.is_invoke() && !identity.invoke_scope.empty();
  return own ? identity.invoke_scope : identity.scope;
}

std::string complete_content(const ChatRequest& request, const std::string& model,
                             const CacheIdentity& identity, const KeyOptions& options) {
  std::string content(request.is_invoke() ? detail::invoke_tag : detail::complete_tag);
  const auto text = [&content](std::string_view name, std::string_view value) {
    content += name;
    detail::append_json_string(content, value);
    content += ',';
  };
  content += '{';
  if (options.epoch) text(R"("epoch":)", *options.epoch);
  text(R"("model":)", model);
  content += R"("request":)";
  content += request.to_hashed_json();
  content += ',';
  text(R"("scope":)", scope_of(request, identity));
  if (options.tenant) text(R"("tenant":)", *options.tenant);
  if (options.variant) content += R"("variant":)" + std::to_string(*options.variant) + ',';
  content.back() = '}';
  return content;
}

// The rest of a key whose form, content, namespaces and, if it is raw, text are set.
CacheKey finish(std::shared_ptr<KeyData> data, const std::string* secret) {
  data->keyed = secret != nullptr;
  data->digest =
      secret ? detail::hmac_sha256(*secret, data->content) : detail::sha256(data->content);
  const auto& namespaces =
      data->form == KeyForm::simple ? simple_namespaces() : data->own_namespaces;
  std::size_t size = std::max(2 * data->digest.size(), data->raw_text.size());
  for (const auto& part : namespaces) size += part.size() + 1;
  auto& path = data->path;
  path.reserve(size);
  for (const auto& part : namespaces) (path += part) += '/';
  switch (data->form) {
    case KeyForm::simple:
      detail::append_hex(path, data->simple_part());
      break;
    case KeyForm::complete:
      detail::append_hex(path, data->digest);
      break;
    case KeyForm::raw:
      path += data->raw_text;
      break;
  }
  return KeyAccess::make(std::move(data));
}

Result<CacheKey> complete_key(const ChatRequest& request, const std::string& model,
                              const CacheIdentity& identity, const KeyOptions& options) {
  if (!detail::is_valid_utf8(model)) return invalid("the model's name is invalid UTF-8");
  if (!detail::is_valid_utf8(scope_of(request, identity))) {
    return invalid("the scope of the model's identity is invalid UTF-8");
  }
  auto data = std::make_shared<KeyData>();
  data->form = KeyForm::complete;
  data->content = complete_content(request, model, identity, options);
  data->own_namespaces.emplace_back("llm_complete");
  if (options.tenant) data->own_namespaces.push_back("tenant=" + *options.tenant);
  if (options.epoch) data->own_namespaces.push_back("epoch=" + *options.epoch);
  return finish(std::move(data), options.secret ? &*options.secret : nullptr);
}

}  // namespace

namespace detail {

Result<CacheKey> simple_key(std::string_view model, std::string_view temperature,
                            std::string_view prompt) {
  if (model.find('|') != std::string_view::npos) {
    return invalid("the model's name holds a '|', which separates it from the prompt");
  }
  if (!is_valid_utf8(model)) return invalid("the model's name is invalid UTF-8");
  if (!is_valid_utf8(prompt)) return invalid("the prompt is invalid UTF-8");
  auto data = std::make_shared<KeyData>();
  data->form = KeyForm::simple;
  data->content = simple_content(model, temperature, prompt);
  data->model_size = model.size();
  data->prompt_size = prompt.size();
  return finish(std::move(data), nullptr);
}

Sha256Digest simple_digest(std::string_view model, std::string_view temperature,
                           std::string_view prompt) {
  return sha256_of_parts({model, "|temp=", temperature, "|", prompt});
}

}  // namespace detail

Result<CacheKey> CacheKey::of(const ChatRequest& request, const CacheIdentity& identity,
                              const KeyOptions& options) {
  if (const Error* error = request.error()) return *error;
  if (auto error = check(options)) return *std::move(error);
  const std::string& model = request.model().empty() ? identity.model : request.model();
  if (!detail::forces_complete(options)) {
    if (const auto triple = request.as_triple()) {
      return detail::simple_key(options.key_model.empty() ? model : options.key_model,
                                triple->temperature, triple->prompt);
    }
  }
  return complete_key(request, model, identity, options);
}

Result<CacheKey> CacheKey::raw(std::vector<std::string> namespaces, std::string text) {
  for (const auto& part : namespaces) {
    if (part.empty()) return invalid("a namespace is empty");
    if (part.find('/') != std::string::npos) return invalid("a namespace holds a '/'");
  }
  if (text.empty()) return invalid("the key text is empty");
  if (text.find('/') != std::string::npos) return invalid("the key text holds a '/'");

  // Each part with its length before it, the text last: no two keys spell the same.
  auto data = std::make_shared<KeyData>();
  data->form = KeyForm::raw;
  data->content = detail::raw_tag;
  const auto append = [&data](std::string_view part) {
    data->content += std::to_string(part.size());
    data->content += ':';
    data->content += part;
    data->content += ',';
  };
  for (const auto& part : namespaces) append(part);
  append(text);
  data->own_namespaces = std::move(namespaces);
  data->raw_text = std::move(text);
  return finish(std::move(data), nullptr);
}

const std::string& CacheKey::text() const {
  return KeyAccess::data(*this).text();
}
const std::string& CacheKey::digest() const {
  return KeyAccess::data(*this).digest_hex();
}
const std::vector<std::string>& CacheKey::namespaces() const noexcept {
  return is_simple() ? simple_namespaces() : KeyAccess::data(*this).own_namespaces;
}
bool CacheKey::is_simple() const noexcept {
  return KeyAccess::data(*this).form == KeyForm::simple;
}
const std::string& CacheKey::path() const noexcept {
  return KeyAccess::data(*this).path;
}
bool CacheKey::equals(const CacheKey& other) const noexcept {
  const auto& a = KeyAccess::data(*this);
  const auto& b = KeyAccess::data(other);
  return a.path == b.path && a.digest == b.digest;
}
std::string CacheKey::explain() const {
  return KeyAccess::data(*this).content;
}

}  // namespace valkeycache::inline v0
