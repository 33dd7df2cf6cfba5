// The decoder of event streams: AWS's vectors, every split, every truncation, lengths that lie.
#include "bedrock/event_stream.hpp"

#include <algorithm>
#include <cstdint>
#include <map>
#include <string>
#include <string_view>
#include <vector>

#include <gtest/gtest.h>

#include "bedrock/crc32.hpp"
#include "support/bedrock/event_frames.hpp"
#include "unit/aws/vectors.hpp"

namespace valkeycache {
namespace {

using detail::EventStreamDecoder;
using detail::EventStreamFault;
using detail::EventStreamHeader;
using detail::EventStreamMessage;
using nlohmann::json;
using Type = EventStreamHeader::Type;

const json& vectors() {
  static const json all = test::read_json(VALKEYCACHE_TEST_DATA "/eventstream.json").value();
  return all;
}

// The messages that are small enough to be cut at every byte.
std::vector<json> small_messages() {
  std::vector<json> small;
  for (const auto& one : vectors().at("messages")) {
    if (test::from_base64(one.at("frame_base64")).size() <= 512) small.push_back(one);
  }
  EXPECT_GT(small.size(), 10U);
  return small;
}

std::string unhexed(std::string_view text) {
  std::string out;
  for (std::size_t i = 0; i + 1 < text.size(); i += 2) {
    out += static_cast<char>(std::stoi(std::string(text.substr(i, 2)), nullptr, 16));
  }
  return out;
}

// What a message of the decoder and one of the vectors have to have in common.
json described(const EventStreamMessage& message) {
  json headers = json::array();
  for (const auto& header : message.headers) {
    json value;
    switch (header.type) {
      case Type::bool_true:
      case Type::bool_false:
        value = header.number == 1;
        break;
      case Type::byte:
      case Type::int16:
      case Type::int32:
        value = header.number;
        break;
      case Type::int64:
      case Type::timestamp:
        value = std::to_string(header.number);
        break;
      default:
        value = json::binary({header.bytes.begin(), header.bytes.end()});
        break;
    }
    headers.push_back({std::string(header.name), static_cast<int>(header.type), value});
  }
  return json::array({headers, json::binary({message.payload.begin(), message.payload.end()})});
}

json binary(const std::string& bytes) {
  return json::binary({bytes.begin(), bytes.end()});
}

json wanted(const json& vector) {
  json headers = json::array();
  for (const auto& header : vector.at("headers")) {
    const int type = header.at("type");
    json value = header.at("value");
    if (type == 6) {
      value = binary(test::from_base64(value));
    } else if (type == 7) {
      value = binary(value.get<std::string>());
    } else if (type == 9) {
      auto text = value.get<std::string>();
      std::erase(text, '-');
      value = binary(unhexed(text));
    }
    headers.push_back({header.at("name"), type, value});
  }
  return json::array({headers, binary(test::from_base64(vector.at("payload_base64")))});
}

struct Decoded {
  std::vector<json> messages;
  EventStreamFault fault = EventStreamFault::none;
};

// Feeds pieces of the sizes given, which are used again and again; 0 means all that is left.
Decoded decode(std::string_view bytes, const std::vector<std::size_t>& sizes) {
  Decoded decoded;
  EventStreamDecoder decoder;
  EventStreamMessage message;
  std::size_t piece = 0;
  while (!bytes.empty()) {
    const auto size = sizes.empty() ? 0 : sizes[piece++ % sizes.size()];
    // A copy that is just as long, so that a sanitizer sees what reads beyond it.
    const std::string chunk(bytes.substr(0, size == 0 ? bytes.size() : size));
    bytes.remove_prefix(chunk.size());
    std::string_view input = chunk;
    while (decoder.next(input, message)) decoded.messages.push_back(described(message));
    if (decoder.fault() == EventStreamFault::none) {
      EXPECT_TRUE(input.empty()) << "all of it is taken";
    }
  }
  decoded.fault = decoder.finish();
  return decoded;
}

TEST(Crc32, IsTheUsualOne) {
  EXPECT_EQ(detail::crc32(""), 0u);
  EXPECT_EQ(detail::crc32("123456789"), 0xCBF43926u);  // the check value of its definition
  EXPECT_EQ(detail::crc32("6789", detail::crc32("12345")), 0xCBF43926u);
}

TEST(EventStream, SingleMessagesOfTheVectors) {
  const auto& all = vectors();
  ASSERT_EQ(all.at("messages").size(), 19u);
  for (const auto& one : all.at("messages")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto frame = test::from_base64(one.at("frame_base64"));
    for (const auto& sizes : {std::vector<std::size_t>{}, {1}, {7}, {frame.size() - 1}}) {
      if (sizes == std::vector<std::size_t>{1} && frame.size() > 10000) continue;
      const auto decoded = decode(frame, sizes);
      EXPECT_EQ(decoded.fault, EventStreamFault::none) << detail::describe(decoded.fault);
      ASSERT_EQ(decoded.messages.size(), 1u);
      EXPECT_EQ(decoded.messages[0], wanted(one));
    }
  }
}

TEST(EventStream, SmallMessagesOfTheVectorsAtEverySplit) {
  for (const auto& one : small_messages()) {
    const auto frame = test::from_base64(one.at("frame_base64"));
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto want = wanted(one);
    for (std::size_t split = 1; split < frame.size(); ++split) {
      const auto decoded = decode(frame + frame, {split, frame.size() - split});
      ASSERT_EQ(decoded.fault, EventStreamFault::none) << split;
      ASSERT_EQ(decoded.messages, (std::vector<json>{want, want})) << split;
    }
  }
}

TEST(EventStream, SmallMessagesOfTheVectorsTruncatedAtEveryByte) {
  for (const auto& one : small_messages()) {
    const auto frame = test::from_base64(one.at("frame_base64"));
    for (std::size_t size = 1; size < frame.size(); ++size) {
      const auto decoded = decode(std::string_view(frame).substr(0, size), {5});
      EXPECT_EQ(decoded.fault, EventStreamFault::truncated) << size;
      EXPECT_TRUE(decoded.messages.empty());
    }
  }
}

TEST(EventStream, StreamsOfTheVectors) {
  const auto& all = vectors();
  ASSERT_EQ(all.at("streams").size(), 10u);
  for (const auto& one : all.at("streams")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto bytes = test::from_base64(one.at("stream_base64"));
    std::vector<json> want;
    for (const auto& frame : one.at("frames")) want.push_back(wanted(frame));
    const auto chunked = decode(bytes, one.at("chunk_sizes").get<std::vector<std::size_t>>());
    EXPECT_EQ(chunked.fault, EventStreamFault::none);
    EXPECT_EQ(chunked.messages, want);
    for (unsigned seed = 1; seed <= 20; ++seed) {
      const auto random = decode(bytes, test::random_sizes(seed));
      EXPECT_EQ(random.fault, EventStreamFault::none);
      EXPECT_EQ(random.messages, want) << seed;
    }
  }
}

TEST(EventStream, InvalidOnesOfTheVectors) {
  const std::map<std::string, EventStreamFault> faults{
      {"prelude_crc", EventStreamFault::prelude_crc},
      {"message_crc", EventStreamFault::message_crc},
      {"total_length", EventStreamFault::total_length},
      {"headers_length", EventStreamFault::headers_length},
      {"header_type", EventStreamFault::header_type},
      {"header_malformed", EventStreamFault::header_malformed},
      {"truncated", EventStreamFault::truncated}};
  const auto& all = vectors();
  ASSERT_EQ(all.at("invalid").size(), 23u);
  for (const auto& one : all.at("invalid")) {
    SCOPED_TRACE(one.at("name").get<std::string>());
    const auto bytes = test::from_base64(one.at("bytes_base64"));
    for (const auto& sizes : {std::vector<std::size_t>{}, {1}, {3, 11}}) {
      const auto decoded = decode(bytes, sizes);
      EXPECT_EQ(decoded.fault, faults.at(one.at("reason"))) << detail::describe(decoded.fault);
      EXPECT_EQ(decoded.messages.size(), one.at("good_frames_first").get<std::size_t>());
    }
  }
}

TEST(EventStream, AFaultIsForGood) {
  const auto good = test::event_frame("ping", "{}");
  auto bad = good;
  bad.back() = static_cast<char>(bad.back() ^ 1);
  EventStreamDecoder decoder;
  EventStreamMessage message;
  std::string_view input = bad;
  EXPECT_FALSE(decoder.next(input, message));
  EXPECT_EQ(decoder.fault(), EventStreamFault::message_crc);
  input = good;
  EXPECT_FALSE(decoder.next(input, message));
  EXPECT_EQ(input.size(), good.size());
  EXPECT_EQ(decoder.finish(), EventStreamFault::message_crc);
}

TEST(EventStream, EveryFlippedBitIsSeen) {
  const auto good = test::event_frame("messageStop", R"({"stopReason":"end_turn"})");
  for (std::size_t bit = 0; bit < good.size() * 8; ++bit) {
    auto bad = good;
    bad[bit / 8] = static_cast<char>(bad[bit / 8] ^ (1 << (bit % 8)));
    const auto decoded = decode(bad, {});
    EXPECT_NE(decoded.fault, EventStreamFault::none) << bit;
    EXPECT_TRUE(decoded.messages.empty()) << bit;
  }
}

TEST(EventStream, AnnouncedLengthsTakeNoMemory) {
  // The longest frame that is allowed, of which only the beginning ever comes.
  const auto prelude = test::frame_prelude(EventStreamDecoder::max_message_bytes, 0);
  EventStreamDecoder decoder;
  EventStreamMessage message;
  const auto bytes = prelude + std::string(100, 'x');
  std::string_view input = bytes;
  EXPECT_FALSE(decoder.next(input, message));
  EXPECT_EQ(decoder.fault(), EventStreamFault::none);
  EXPECT_LE(decoder.memory(), 4096u);
}

TEST(EventStream, TheLongestMessageIsTaken) {
  const std::string payload(EventStreamDecoder::max_message_bytes - 16, 'p');
  const auto frame = test::frame({}, payload);
  ASSERT_EQ(frame.size(), EventStreamDecoder::max_message_bytes);
  EventStreamDecoder decoder;
  EventStreamMessage message;
  std::string_view input = frame;
  ASSERT_TRUE(decoder.next(input, message));
  EXPECT_TRUE(message.payload == payload);
  const auto longer = test::frame({}, payload + "p");
  input = longer;
  EXPECT_FALSE(decoder.next(input, message));
  EXPECT_EQ(decoder.fault(), EventStreamFault::total_length);
}

TEST(EventStream, AHeaderWithoutANameIsMalformed) {
  EXPECT_EQ(decode(test::frame(std::string("\0\0", 2), "x"), {}).fault,
            EventStreamFault::header_malformed);
}

TEST(EventStream, FindsStringHeadersByName) {
  EventStreamMessage message;
  EventStreamDecoder decoder;
  const auto frame = test::event_frame("messageStop", "{}");
  std::string_view input = frame;
  ASSERT_TRUE(decoder.next(input, message));
  EXPECT_EQ(message.string_header(":event-type"), "messageStop");
  EXPECT_EQ(message.string_header(":message-type"), "event");
  EXPECT_EQ(message.string_header("absent"), "");
}

}  // namespace
}  // namespace valkeycache
