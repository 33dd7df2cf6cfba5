// Amazon's event stream (application/vnd.amazon.eventstream), decoded incrementally. No I/O.
//
// A frame: u32 total length, u32 length of the headers, u32 CRC of these eight bytes, headers,
// payload, u32 CRC of everything before it; all big-endian. A header: u8 length of its name, the
// name, u8 type, the value.
#pragma once

#include <valkeycache/config.hpp>

#include <cstddef>
#include <cstdint>
#include <string>
#include <string_view>
#include <vector>

namespace valkeycache::inline v0 {
namespace detail {

struct EventStreamHeader {
  // The numbers of the wire.
  enum class Type : std::uint8_t {
    bool_true,
    bool_false,
    byte,
    int16,
    int32,
    int64,
    byte_array,
    string,
    timestamp,  // milliseconds since 1970
    uuid,
  };
  std::string_view name;
  Type type = Type::bool_true;
  std::int64_t number = 0;  // of the integers, a timestamp and a bool
  std::string_view bytes;  // of a byte array, a string (UTF-8 unless somebody lies) and a uuid (16)
};

struct EventStreamMessage {
  std::vector<EventStreamHeader> headers;
  std::string_view payload;

  // The value of the string header of that name; "" where there is none.
  [[nodiscard]] std::string_view string_header(std::string_view name) const noexcept;
};

enum class EventStreamFault : std::uint8_t {
  none,
  prelude_crc,
  message_crc,
  total_length,    // under 16 or over the limit
  headers_length,  // more than the frame holds
  header_type,     // unknown
  header_malformed,
  truncated,  // the input ends inside a frame
};
// In words. Never null, static storage.
const char* describe(EventStreamFault fault) noexcept;

// The first fault sticks: nothing comes out after it. The lengths of a frame are believed only once
// the CRC over them is right, and memory is taken for what has arrived, not for what is announced.
class EventStreamDecoder {
 public:
  // AWS's own decoder's limit.
  static constexpr std::size_t max_message_bytes = std::size_t{24} << 20;

  // Takes bytes off the front of `input`. True: `message` is the next one, valid until the next
  // call and as long as `input`'s bytes. False: all of `input` was taken and more is needed, or
  // there is a fault().
  bool next(std::string_view& input, EventStreamMessage& message);

  // The input is over.
  EventStreamFault finish() noexcept;

  [[nodiscard]] EventStreamFault fault() const noexcept { return fault_; }
  // What is kept for a frame that has not arrived whole.
  [[nodiscard]] std::size_t memory() const noexcept { return buffer_.capacity(); }

 private:
  bool fail(EventStreamFault fault) noexcept;
  bool check_prelude(std::string_view prelude) noexcept;
  bool decode(std::string_view frame, EventStreamMessage& message);
  bool fill(std::string_view& input, std::size_t size);

  std::string buffer_;
  bool drop_buffer_ = false;  // its message has been given out
  std::size_t total_ = 0;     // of the frame under way, once its prelude is checked; else 0
  std::size_t headers_ = 0;
  EventStreamFault fault_ = EventStreamFault::none;
};

}  // namespace detail
}  // namespace valkeycache::inline v0
