#include "entry/msgpack_reader.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <string>
#include <vector>

#include "base/utf8.hpp"
#include "entry/json_builder.hpp"
#include "key/python_text.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

class MsgpackReader {
 public:
  explicit MsgpackReader(std::string_view bytes) : rest_(bytes) {}

  PythonValue run() {
    if (!value()) return {.kind = fault_};
    while (!pending_.empty()) {
      if (pending_.back() == 0) {
        pending_.pop_back();
        builder_.end();
        continue;
      }
      --pending_.back();
      if (builder_.in_object() && !key()) return {.kind = fault_};
      if (!value()) return {.kind = fault_};
    }
    // Only at the end, for malformed bytes are just that, whatever came before.
    if (python_only_) return {.kind = PythonValue::Kind::python_only};
    return {.kind = PythonValue::Kind::json, .data = builder_.take()};
  }

 private:
  using Kind = PythonValue::Kind;

  bool malformed() noexcept {
    fault_ = Kind::malformed;
    return false;
  }
  bool give_up_on_python_only() noexcept {
    fault_ = Kind::python_only;
    return false;
  }

  bool take(std::size_t size, std::string_view& bytes) noexcept {
    if (rest_.size() < size) return malformed();
    bytes = rest_.substr(0, size);
    rest_.remove_prefix(size);
    return true;
  }
  // A big-endian number of 1, 2, 4 or 8 bytes.
  bool number(std::size_t size, std::uint64_t& value) noexcept {
    std::string_view bytes;
    if (!take(size, bytes)) return false;
    value = 0;
    for (const char c : bytes) value = (value << 8) | static_cast<unsigned char>(c);
    return true;
  }

  bool string(std::uint64_t size, std::string_view& text) noexcept {
    return take(static_cast<std::size_t>(size), text) && (is_valid_utf8(text) || malformed());
  }

  bool key() {
    std::uint64_t lead = 0;
    if (!number(1, lead)) return false;
    std::uint64_t size = 0;
    if (lead >= 0xA0 && lead <= 0xBF) {
      size = lead & 0x1F;
    } else if (lead >= 0xD9 && lead <= 0xDB) {
      if (!number(std::size_t{1} << (lead - 0xD9), size)) return false;
    } else {
      // A key of another type. What follows cannot be kept under a name, so it ends here.
      return give_up_on_python_only();
    }
    std::string_view text;
    if (!string(size, text)) return false;
    builder_.member(std::string(text));
    return true;
  }

  bool container(bool object, std::uint64_t size) {
    if (builder_.depth() >= max_python_read_depth) return malformed();
    if (object) {
      builder_.begin_object();
    } else {
      builder_.begin_array();
    }
    pending_.push_back(size);
    return true;
  }

  bool text(std::uint64_t size) {
    std::string_view bytes;
    if (!string(size, bytes)) return false;
    builder_.string(bytes);
    return true;
  }

  // Something of that many bytes with no JSON.
  bool skip(std::uint64_t size) {
    std::string_view bytes;
    if (!take(static_cast<std::size_t>(size), bytes)) return false;
    python_only_ = true;
    builder_.scalar("null");
    return true;
  }

  bool integer(std::uint64_t value) {
    builder_.scalar(std::to_string(value));
    return true;
  }
  bool integer(std::int64_t value) {
    builder_.scalar(std::to_string(value));
    return true;
  }
  bool real(double value) {
    if (!std::isfinite(value)) return skip(0);
    builder_.scalar(python_repr(value));
    return true;
  }

  bool value() {
    std::uint64_t lead = 0;
    if (!number(1, lead)) return false;
    if (lead <= 0x7F) return integer(lead);
    if (lead <= 0x8F) return container(true, lead & 0x0F);
    if (lead <= 0x9F) return container(false, lead & 0x0F);
    if (lead <= 0xBF) return text(lead & 0x1F);
    if (lead >= 0xE0) return integer(static_cast<std::int64_t>(lead) - 256);

    std::uint64_t n = 0;
    switch (lead) {
      case 0xC0:
        builder_.scalar("null");
        return true;
      case 0xC2:
        builder_.scalar("false");
        return true;
      case 0xC3:
        builder_.scalar("true");
        return true;
      case 0xC4:  // binary
      case 0xC5:
      case 0xC6:
        return number(std::size_t{1} << (lead - 0xC4), n) && skip(n);
      case 0xC7:  // extensions: a length, a type, the data
      case 0xC8:
      case 0xC9:
        return number(std::size_t{1} << (lead - 0xC7), n) && skip(n + 1);
      case 0xCA:
        return number(4, n) &&
               real(static_cast<double>(std::bit_cast<float>(static_cast<std::uint32_t>(n))));
      case 0xCB:
        return number(8, n) && real(std::bit_cast<double>(n));
      case 0xCC:
      case 0xCD:
      case 0xCE:
      case 0xCF:
        return number(std::size_t{1} << (lead - 0xCC), n) && integer(n);
      case 0xD0:
        return number(1, n) &&
               integer(std::int64_t{static_cast<std::int8_t>(static_cast<std::uint8_t>(n))});
      case 0xD1:
        return number(2, n) &&
               integer(std::int64_t{static_cast<std::int16_t>(static_cast<std::uint16_t>(n))});
      case 0xD2:
        return number(4, n) &&
               integer(std::int64_t{static_cast<std::int32_t>(static_cast<std::uint32_t>(n))});
      case 0xD3:
        return number(8, n) && integer(static_cast<std::int64_t>(n));
      case 0xD4:  // extensions of 1, 2, 4, 8 and 16 bytes
      case 0xD5:
      case 0xD6:
      case 0xD7:
      case 0xD8:
        return skip((std::uint64_t{1} << (lead - 0xD4)) + 1);
      case 0xD9:
      case 0xDA:
      case 0xDB:
        return number(std::size_t{1} << (lead - 0xD9), n) && text(n);
      case 0xDC:
      case 0xDD:
        return number(std::size_t{2} << (lead - 0xDC), n) && container(false, n);
      case 0xDE:
      case 0xDF:
        return number(std::size_t{2} << (lead - 0xDE), n) && container(true, n);
      default:  // 0xC1 means nothing
        return malformed();
    }
  }

  std::string_view rest_;
  JsonBuilder builder_;
  std::vector<std::uint64_t> pending_;  // values (or members) still to come, outermost first
  bool python_only_ = false;
  Kind fault_ = Kind::malformed;
};

}  // namespace

PythonValue read_msgpack(std::string_view bytes) {
  return MsgpackReader(bytes).run();
}

}  // namespace detail
}  // namespace valkeycache::inline v0
