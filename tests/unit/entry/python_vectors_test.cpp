// Every case of python_entries.json: what the Python original stored, and what it made of bytes
// that were made by hand.

#include <valkeycache/entry.hpp>

#include <algorithm>
#include <cstdint>
#include <fstream>
#include <string>
#include <vector>

#include <gtest/gtest.h>
#include <nlohmann/json.hpp>

#include "base/crypto.hpp"
#include "base/json_depth.hpp"
#include "entry/python_codec.hpp"

namespace {

using namespace valkeycache;
using nlohmann::ordered_json;
using Kind = detail::PythonValue::Kind;

const ordered_json& vectors() {
  static const auto all =
      ordered_json::parse(std::ifstream(VALKEYCACHE_TEST_DATA "/python_entries.json"));
  return all;
}

std::string unhex(const std::string& text) {
  std::string bytes;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    bytes += static_cast<char>(std::stoi(text.substr(i, 2), nullptr, 16));
  }
  return bytes;
}
std::string raw_of(const ordered_json& entry) {
  return unhex(entry.at("raw_hex").get<std::string>());
}
std::string hex_of(const std::string& bytes) {
  return detail::hex({reinterpret_cast<const std::uint8_t*>(bytes.data()), bytes.size()});
}
bool is_representable(const ordered_json& entry) {
  return entry.value("json_representable", false);
}

// Order of members and kinds of numbers included.
void expect_json(const detail::PythonValue& value, const ordered_json& expected) {
  ASSERT_EQ(value.kind, Kind::json);
  EXPECT_EQ(ordered_json::parse(value.data).dump(), expected.dump());
}

// Python takes an unknown extension inside a map for None. Nothing vouches for that: a miss here.
bool is_unknown_extension(const ordered_json& entry) {
  return entry.value("note", "") == "unknown extension inside a map";
}

CacheKey any_key() {
  return CacheKey::raw({}, "k").value();
}
EntryCodec langgraph() {
  return EntryCodec({.format = EntryFormat::langgraph});
}

TEST(PythonEntries, AreAllHere) {
  EXPECT_EQ(vectors().at("entries").size(), 87U);
  EXPECT_EQ(vectors().at("decode_cases").size(), 41U);
}

TEST(PythonEntries, AreReadAsWhatTheySay) {
  for (const auto& entry : vectors().at("entries")) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto value = detail::python_decode(raw_of(entry));
    const auto tag = entry.at("tag").get<std::string>();
    if (tag == "bytes" || tag == "bytearray") {
      EXPECT_EQ(value.kind, Kind::bytes);
      EXPECT_EQ(value.data, raw_of(entry).substr(tag.size() + 1));
    } else if (is_representable(entry)) {
      expect_json(value, entry.at("value_json"));
    } else {
      EXPECT_EQ(value.kind, Kind::python_only);
    }
  }
}

TEST(PythonEntries, AreWrittenAsPythonWritesThem) {
  int written = 0;
  for (const auto& entry : vectors().at("entries")) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    if (!is_representable(entry)) continue;
    const auto bytes = detail::python_encode(entry.at("value_json").dump());
    ASSERT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(hex_of(*bytes), entry.at("raw_hex").get<std::string>());
    ++written;
  }
  EXPECT_EQ(written, 73);
}

TEST(PythonEntries, SurviveTheJsonForm) {
  for (const auto& entry : vectors().at("entries")) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    if (!is_representable(entry)) continue;
    const auto json = entry.at("value_json").dump();
    const auto bytes = detail::python_encode_json(json);
    if (!detail::json_depth_within(json, detail::max_json_depth)) {
      EXPECT_FALSE(bytes);
      continue;
    }
    ASSERT_TRUE(bytes) << bytes.error().message;
    EXPECT_EQ(bytes->substr(0, 5), "json:");
    expect_json(detail::python_decode(*bytes), entry.at("value_json"));
  }
}

TEST(PythonEntries, HandMadeBytesAreHitsAndMissesAsForPython) {
  for (const auto& entry : vectors().at("decode_cases")) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto value = detail::python_decode(raw_of(entry));
    if (!entry.at("python_hit").get<bool>()) {
      EXPECT_EQ(value.kind, Kind::malformed);
    } else if (is_unknown_extension(entry)) {
      EXPECT_EQ(value.kind, Kind::python_only);
    } else if (!is_representable(entry)) {
      EXPECT_TRUE(value.kind == Kind::python_only || value.kind == Kind::bytes);
    } else if (entry.value("value_json_omitted", false)) {
      EXPECT_EQ(value.kind, Kind::json);
      // "1022 nested maps"
      const auto depth = std::stoul(entry.at("note").get<std::string>());
      const char bracket =
          entry.at("note").get<std::string>().find("maps") == std::string::npos ? '[' : '{';
      EXPECT_EQ(std::count(value.data.begin(), value.data.end(), bracket),
                static_cast<std::ptrdiff_t>(depth));
    } else {
      expect_json(value, entry.at("value_json"));
    }
  }
}

TEST(PythonEntries, GiveAnswersInTheLanggraphFormat) {
  int answers = 0;
  const auto check = [&](const ordered_json& entry, bool readable) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto decoded = langgraph().decode(raw_of(entry), any_key(), "w");
    const auto& value = entry.contains("value_json") ? entry.at("value_json") : ordered_json();
    if (readable && value.is_object() && value.contains("response") &&
        value.at("response").is_string()) {
      EXPECT_EQ(decoded.fault, EntryFault::none);
      EXPECT_EQ(decoded.entry.response, value.at("response").get<std::string>());
      ++answers;
    } else {
      EXPECT_TRUE(decoded.fault == EntryFault::unsupported || decoded.fault == EntryFault::corrupt);
      EXPECT_EQ(decoded.entry.response, "");
    }
  };
  for (const auto& entry : vectors().at("entries")) check(entry, is_representable(entry));
  for (const auto& entry : vectors().at("decode_cases")) {
    check(entry, is_representable(entry) && !is_unknown_extension(entry));
  }
  EXPECT_GT(answers, 30);
}

TEST(PythonEntries, AreForeignInTheStandardFormat) {
  const EntryCodec standard;
  for (const auto& entry : vectors().at("entries")) {
    EXPECT_EQ(standard.decode(raw_of(entry), any_key(), "w").fault, EntryFault::foreign_format)
        << entry.at("id");
  }
  for (const auto& entry : vectors().at("decode_cases")) {
    const auto raw = raw_of(entry);
    EXPECT_EQ(standard.decode(raw, any_key(), "w").fault,
              detail::has_python_tag(raw) ? EntryFault::foreign_format : EntryFault::corrupt)
        << entry.at("id");
  }
}

TEST(PythonEntries, StandUnderTheSameWireKeys) {
  int valid = 0;
  int refused = 0;
  for (const auto& entry : vectors().at("entries")) {
    SCOPED_TRACE(entry.at("id").get<std::string>());
    const auto namespaces = entry.at("namespace").get<std::vector<std::string>>();
    const auto text = entry.at("key").get<std::string>();
    const auto key = CacheKey::raw(namespaces, text);
    bool ambiguous = text.find('/') != std::string::npos;
    for (const auto& part : namespaces) {
      ambiguous |= part.empty() || part.find('/') != std::string::npos;
    }
    if (ambiguous) {
      ASSERT_FALSE(key);
      EXPECT_EQ(key.error().code, ErrorCode::invalid_argument);
      ++refused;
      continue;
    }
    ASSERT_TRUE(key) << key.error().message;
    auto prefix = entry.at("prefix").get<std::string>();
    if (prefix.back() != ':' && prefix.back() != '/') prefix += ':';
    EXPECT_EQ(hex_of(prefix + key->path()), entry.at("wire_key_hex").get<std::string>());
    ++valid;
  }
  EXPECT_EQ(refused, 3);
  EXPECT_EQ(valid, 84);
}

}  // namespace
