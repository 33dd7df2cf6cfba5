// Every case of cache_key.json: what the guide's own Python function made.

#include <valkeycache/cache_key.hpp>

#include <bit>
#include <cstdint>
#include <fstream>
#include <string>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/crypto.hpp"
#include "key/key_data.hpp"
#include "key/python_text.hpp"

namespace {

using namespace valkeycache;

const nlohmann::json& vectors() {
  static const auto cases =
      nlohmann::json::parse(std::ifstream(VALKEYCACHE_TEST_DATA "/cache_key.json"));
  return cases;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}

std::string text_of(const nlohmann::json& entry, const char* member) {
  return unhex(entry.at(member).get<std::string>());
}

bool is_float(const nlohmann::json& entry) {
  return entry.at("temp_type") == "float";
}
double float_of(const nlohmann::json& entry) {
  return std::bit_cast<double>(static_cast<std::uint64_t>(
      std::stoull(entry.at("temp_f64_hex").get<std::string>(), nullptr, 16)));
}

CacheKeyBuilder builder_of(const nlohmann::json& entry) {
  auto builder = CacheKey::builder();
  builder.prompt(text_of(entry, "prompt_utf8_hex")).model(text_of(entry, "model_utf8_hex"));
  if (is_float(entry)) {
    builder.temperature(float_of(entry));
  } else {
    builder.temperature_text(entry.at("temp_repr").get<std::string>());
  }
  return builder;
}

// The one case whose model names a '|', which is an error here.
bool names_a_pipe(const nlohmann::json& entry) {
  return text_of(entry, "model_utf8_hex").find('|') != std::string::npos;
}

void expect_python_key(const CacheKey& key, const nlohmann::json& entry) {
  EXPECT_EQ(key.text(), entry.at("key").get<std::string>());
  EXPECT_EQ(key.digest(), entry.at("sha256").get<std::string>());
  EXPECT_EQ(key.namespaces(), entry.at("namespace").get<std::vector<std::string>>());
  EXPECT_EQ(key.explain(), text_of(entry, "content_utf8_hex"));
  EXPECT_EQ(key.path(), "llm_responses/" + entry.at("key").get<std::string>());
  EXPECT_TRUE(key.is_simple());
}

TEST(CacheKeyVectors, AreAllHere) {
  EXPECT_EQ(vectors().size(), 146U);
}

TEST(CacheKeyVectors, BuilderMakesPythonsKeys) {
  for (const auto& entry : vectors()) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto key = builder_of(entry).build();
    if (names_a_pipe(entry)) {
      ASSERT_FALSE(key);
      EXPECT_EQ(key.error().code, ErrorCode::invalid_argument);
      continue;
    }
    ASSERT_TRUE(key) << key.error().message;
    expect_python_key(*key, entry);
  }
}

TEST(CacheKeyVectors, RequestsMakePythonsKeys) {
  int made = 0;
  for (const auto& entry : vectors()) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    if (names_a_pipe(entry)) continue;
    ChatRequest request(text_of(entry, "prompt_utf8_hex"));
    request.model(text_of(entry, "model_utf8_hex"));
    const auto temperature = entry.at("temp_repr").get<std::string>();
    if (is_float(entry)) {
      request.temperature(float_of(entry));
    } else {
      request.extra("inferenceConfig", R"({"temperature":)" + temperature + "}");
    }
    if (request.error()) {  // NaN and infinity have no JSON
      EXPECT_TRUE(temperature == "nan" || temperature == "inf" || temperature == "-inf");
      continue;
    }
    const auto key = CacheKey::of(request);
    ASSERT_TRUE(key) << key.error().message;
    expect_python_key(*key, entry);
    // What is sent is what was hashed.
    const auto sent = request.normalized();
    EXPECT_EQ(sent.temperature_text(), temperature);
    EXPECT_EQ(CacheKey::of(sent).value(), *key);
    ++made;
  }
  EXPECT_GE(made, 140);
}

TEST(CacheKeyVectors, DigestsWithoutAKeyAgree) {
  for (const auto& entry : vectors()) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto prompt = text_of(entry, "prompt_utf8_hex");
    EXPECT_EQ(detail::hex(detail::simple_digest(text_of(entry, "model_utf8_hex"),
                                                entry.at("temp_repr").get<std::string>(),
                                                detail::python_strip(prompt))),
              entry.at("sha256").get<std::string>());
  }
}

TEST(CacheKeyVectors, FloatsPrintAsPythonPrintsThem) {
  for (const auto& entry : vectors()) {
    if (!is_float(entry)) continue;
    EXPECT_EQ(detail::python_repr(float_of(entry)), entry.at("temp_repr").get<std::string>());
  }
}

}  // namespace
