#include "support/bedrock/event_frames.hpp"

#include <random>
#include <stdexcept>

#include <boost/crc.hpp>
#include <openssl/evp.h>

namespace valkeycache::test {
namespace {

std::string big_endian(std::size_t value, int bytes) {
  std::string out;
  for (int i = bytes - 1; i >= 0; --i) out += static_cast<char>((value >> (8 * i)) & 0xFF);
  return out;
}

std::string checksum(std::string_view bytes) {
  boost::crc_32_type crc;
  crc.process_bytes(bytes.data(), bytes.size());
  return big_endian(crc.checksum(), 4);
}

std::string json_headers(std::string_view message_type, std::string_view name,
                         std::string_view type) {
  return frame_header(name, type) + frame_header(":content-type", "application/json") +
         frame_header(":message-type", message_type);
}

}  // namespace

std::string frame_header(std::string_view name, std::string_view value) {
  std::string out = big_endian(name.size(), 1);
  out.append(name).append("\7").append(big_endian(value.size(), 2)).append(value);
  return out;
}

std::string frame_prelude(std::size_t total, std::size_t headers) {
  const auto lengths = big_endian(total, 4) + big_endian(headers, 4);
  return lengths + checksum(lengths);
}

std::string frame(std::string_view headers, std::string_view payload) {
  auto out = frame_prelude(headers.size() + payload.size() + 16, headers.size());
  out.append(headers).append(payload);
  return out + checksum(out);
}

std::string event_frame(std::string_view type, std::string_view payload) {
  return frame(json_headers("event", ":event-type", type), payload);
}

std::string exception_frame(std::string_view type, std::string_view payload) {
  return frame(json_headers("exception", ":exception-type", type), payload);
}

std::string error_frame(std::string_view code, std::string_view message) {
  return frame(frame_header(":message-type", "error") + frame_header(":error-code", code) +
                   frame_header(":error-message", message),
               "");
}

std::string stream_of_mebibytes(std::size_t count) {
  const auto piece =
      event_frame("contentBlockDelta", R"({"contentBlockIndex":0,"delta":{"text":")" +
                                           std::string(std::size_t{1} << 20, 'x') + R"("}})");
  auto stream = event_frame("messageStart", R"({"role":"assistant"})");
  stream.reserve((count + 1) * piece.size());
  for (std::size_t i = 0; i < count; ++i) stream += piece;
  return stream += event_frame("contentBlockStop", R"({"contentBlockIndex":0})") +
                   event_frame("messageStop", R"({"stopReason":"end_turn"})");
}

std::vector<std::size_t> random_sizes(unsigned seed, std::size_t largest, std::size_t count) {
  std::mt19937 generator(seed);
  std::vector<std::size_t> sizes(count);
  for (auto& size : sizes) size = generator() % largest + 1;
  return sizes;
}

std::string from_base64(const std::string& base64) {
  std::string_view text = base64;
  std::string out(text.size() / 4 * 3, '\0');
  const int size = EVP_DecodeBlock(reinterpret_cast<unsigned char*>(out.data()),
                                   reinterpret_cast<const unsigned char*>(text.data()),
                                   static_cast<int>(text.size()));
  if (size < 0) throw std::invalid_argument("no Base64");
  out.resize(static_cast<std::size_t>(size));
  for (int i = 0; i < 2 && !text.empty() && text.ends_with('='); ++i) {
    text.remove_suffix(1);
    out.pop_back();
  }
  return out;
}

}  // namespace valkeycache::test
