#include "bedrock/event_stream.hpp"

#include <algorithm>

#include "bedrock/crc32.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

using HeaderType = EventStreamHeader::Type;

constexpr std::size_t prelude_size = 12;
constexpr std::size_t crc_size = 4;
constexpr std::size_t smallest_message = prelude_size + crc_size;

// Big-endian; the sign is extended from the first byte where `is_signed`.
std::int64_t read_number(std::string_view bytes, bool is_signed) noexcept {
  std::uint64_t value = 0;
  if (is_signed && !bytes.empty() && (static_cast<unsigned char>(bytes[0]) & 0x80) != 0) {
    value = ~std::uint64_t{0};
  }
  for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
  return static_cast<std::int64_t>(value);
}

std::uint32_t read_u32(std::string_view bytes, std::size_t at) noexcept {
  return static_cast<std::uint32_t>(read_number(bytes.substr(at, 4), false));
}

// Takes `size` bytes off the front; false where there are fewer.
bool take(std::string_view& rest, std::size_t size, std::string_view& taken) noexcept {
  if (size > rest.size()) return false;
  taken = rest.substr(0, size);
  rest.remove_prefix(size);
  return true;
}

bool take_counted(std::string_view& rest, std::size_t size_of_count,
                  std::string_view& taken) noexcept {
  std::string_view count;
  return take(rest, size_of_count, count) &&
         take(rest, static_cast<std::size_t>(read_number(count, false)), taken);
}

// How many bytes a value of a fixed size has.
std::size_t fixed_size(HeaderType type) noexcept {
  switch (type) {
    case HeaderType::byte:
      return 1;
    case HeaderType::int16:
      return 2;
    case HeaderType::int32:
      return 4;
    case HeaderType::int64:
    case HeaderType::timestamp:
      return 8;
    case HeaderType::uuid:
      return 16;
    default:
      return 0;
  }
}

EventStreamFault take_header(std::string_view& rest, EventStreamHeader& header) noexcept {
  std::string_view type;
  if (!take_counted(rest, 1, header.name) || header.name.empty() || !take(rest, 1, type)) {
    return EventStreamFault::header_malformed;
  }
  if (static_cast<unsigned char>(type[0]) > static_cast<unsigned char>(HeaderType::uuid)) {
    return EventStreamFault::header_type;
  }
  header.type = static_cast<HeaderType>(type[0]);
  bool whole = true;
  switch (header.type) {
    case HeaderType::bool_true:
    case HeaderType::bool_false:
      header.number = header.type == HeaderType::bool_true ? 1 : 0;
      break;
    case HeaderType::byte_array:
    case HeaderType::string:
      whole = take_counted(rest, 2, header.bytes);
      break;
    default: {
      std::string_view value;
      whole = take(rest, fixed_size(header.type), value);
      if (header.type == HeaderType::uuid) {
        header.bytes = value;
      } else {
        header.number = read_number(value, true);
      }
      break;
    }
  }
  return whole ? EventStreamFault::none : EventStreamFault::header_malformed;
}

}  // namespace

const char* describe(EventStreamFault fault) noexcept {
  switch (fault) {
    case EventStreamFault::none:
      return "nothing is wrong";
    case EventStreamFault::prelude_crc:
      return "the checksum of a frame's lengths is wrong";
    case EventStreamFault::message_crc:
      return "the checksum of a frame is wrong";
    case EventStreamFault::total_length:
      return "a frame's length is out of bounds";
    case EventStreamFault::headers_length:
      return "a frame's headers are longer than the frame";
    case EventStreamFault::header_type:
      return "a header is of an unknown type";
    case EventStreamFault::header_malformed:
      return "a header is malformed";
    case EventStreamFault::truncated:
      return "it ends inside a frame";
  }
  return "";
}

std::string_view EventStreamMessage::string_header(std::string_view name) const noexcept {
  for (const auto& header : headers) {
    if (header.name == name && header.type == HeaderType::string) return header.bytes;
  }
  return {};
}

bool EventStreamDecoder::fail(EventStreamFault fault) noexcept {
  fault_ = fault;
  std::string().swap(buffer_);
  return false;
}

// Tops the buffer up to `size` bytes.
bool EventStreamDecoder::fill(std::string_view& input, std::size_t size) {
  const auto taken = std::min(size - buffer_.size(), input.size());
  buffer_.append(input.substr(0, taken));
  input.remove_prefix(taken);
  return buffer_.size() == size;
}

bool EventStreamDecoder::check_prelude(std::string_view prelude) noexcept {
  if (crc32(prelude.substr(0, 8)) != read_u32(prelude, 8)) {
    return fail(EventStreamFault::prelude_crc);
  }
  const std::size_t total = read_u32(prelude, 0);
  if (total < smallest_message || total > max_message_bytes) {
    return fail(EventStreamFault::total_length);
  }
  headers_ = read_u32(prelude, 4);
  if (headers_ > total - smallest_message) return fail(EventStreamFault::headers_length);
  total_ = total;
  return true;
}

bool EventStreamDecoder::decode(std::string_view frame, EventStreamMessage& message) {
  total_ = 0;
  const auto covered = frame.substr(0, frame.size() - crc_size);
  if (crc32(covered) != read_u32(frame, covered.size())) {
    return fail(EventStreamFault::message_crc);
  }
  message.headers.clear();
  message.payload = covered.substr(prelude_size + headers_);
  auto rest = covered.substr(prelude_size, headers_);
  while (!rest.empty()) {
    auto& header = message.headers.emplace_back();
    if (const auto fault = take_header(rest, header); fault != EventStreamFault::none) {
      message.headers.clear();
      return fail(fault);
    }
  }
  return true;
}

bool EventStreamDecoder::next(std::string_view& input, EventStreamMessage& message) {
  if (fault_ != EventStreamFault::none) return false;
  if (drop_buffer_) {
    drop_buffer_ = false;
    buffer_.clear();
  }
  if (buffer_.empty() && input.size() >= prelude_size) {
    if (!check_prelude(input.substr(0, prelude_size))) return false;
    if (input.size() >= total_) {  // nothing has to be copied
      const auto frame = input.substr(0, total_);
      input.remove_prefix(total_);
      return decode(frame, message);
    }
  }
  if (total_ == 0) {
    if (!fill(input, prelude_size) || !check_prelude(buffer_)) return false;
  }
  if (!fill(input, total_)) return false;
  drop_buffer_ = true;
  return decode(buffer_, message);
}

EventStreamFault EventStreamDecoder::finish() noexcept {
  if (fault_ == EventStreamFault::none && !drop_buffer_ && !buffer_.empty()) {
    fail(EventStreamFault::truncated);
  }
  return fault_;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
