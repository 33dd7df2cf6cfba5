#include "entry/msgpack_writer.hpp"

#include <bit>
#include <cmath>
#include <cstddef>
#include <cstdint>
#include <system_error>

#include "base/json_cursor.hpp"
#include "base/number.hpp"
#include "entry/python_json.hpp"
#include "entry/python_value.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

void append_big_endian(std::string& out, std::uint64_t value, int bytes) {
  for (int shift = 8 * (bytes - 1); shift >= 0; shift -= 8) {
    out += static_cast<char>(static_cast<unsigned char>(value >> shift));
  }
}
void append_tagged(std::string& out, unsigned tag, std::uint64_t value, int bytes) {
  out += static_cast<char>(static_cast<unsigned char>(tag));
  append_big_endian(out, value, bytes);
}

void append_unsigned(std::string& out, std::uint64_t value) {
  if (value <= 0x7F) {
    append_big_endian(out, value, 1);
  } else if (value <= 0xFF) {
    append_tagged(out, 0xCC, value, 1);
  } else if (value <= 0xFFFF) {
    append_tagged(out, 0xCD, value, 2);
  } else if (value <= 0xFFFFFFFF) {
    append_tagged(out, 0xCE, value, 4);
  } else {
    append_tagged(out, 0xCF, value, 8);
  }
}
void append_negative(std::string& out, std::int64_t value) {
  const auto bits = static_cast<std::uint64_t>(value);
  if (value >= -32) {
    append_big_endian(out, bits, 1);
  } else if (value >= INT8_MIN) {
    append_tagged(out, 0xD0, bits, 1);
  } else if (value >= INT16_MIN) {
    append_tagged(out, 0xD1, bits, 2);
  } else if (value >= INT32_MIN) {
    append_tagged(out, 0xD2, bits, 4);
  } else {
    append_tagged(out, 0xD3, bits, 8);
  }
}

void append_text(std::string& out, std::string_view text) {
  const auto size = text.size();
  if (size <= 31) {
    append_big_endian(out, 0xA0 | size, 1);
  } else if (size <= 0xFF) {
    append_tagged(out, 0xD9, size, 1);
  } else if (size <= 0xFFFF) {
    append_tagged(out, 0xDA, size, 2);
  } else {
    append_tagged(out, 0xDB, size, 4);
  }
  out += text;
}

std::string container_header(unsigned fix, unsigned tag, std::size_t size) {
  std::string header;
  if (size <= 15) {
    append_big_endian(header, fix | size, 1);
  } else if (size <= 0xFFFF) {
    append_tagged(header, tag, size, 2);
  } else {
    append_tagged(header, tag + 1, size, 4);
  }
  return header;
}

// Over JSON that has no duplicates and no depth beyond the limit. False: a number too large.
class Writer {
 public:
  explicit Writer(std::string_view json) : cursor_(json) {}

  bool run(std::string& out) { return value(out); }

 private:
  bool value(std::string& out) {
    switch (cursor_.peek()) {
      case '{':
        return object(out);
      case '[':
        return array(out);
      case '"':
        return text(out);
      case 't':
      case 'f':
      case 'n': {
        std::string_view token;
        cursor_.literal(token);
        out += token == "null" ? '\xC0' : token == "true" ? '\xC3' : '\xC2';
        return true;
      }
      default:
        return number(out);
    }
  }

  bool text(std::string& out) {
    JsonStringToken token;
    cursor_.string(token);
    append_text(out, token.decode());
    return true;
  }

  bool number(std::string& out) {
    std::string_view token;
    if (!cursor_.number(token)) return false;
    if (token.find_first_of(".eE") != std::string_view::npos) {
      const auto real = parse_number<double>(token);
      if (!real || !std::isfinite(*real)) return false;
      append_tagged(out, 0xCB, std::bit_cast<std::uint64_t>(*real), 8);
      return true;
    }
    if (token.front() == '-') {
      const auto negative = parse_number<std::int64_t>(token);
      if (!negative) return false;
      if (*negative == 0) {
        append_unsigned(out, 0);
      } else {
        append_negative(out, *negative);
      }
      return true;
    }
    const auto natural = parse_number<std::uint64_t>(token);
    if (!natural) return false;
    append_unsigned(out, *natural);
    return true;
  }

  // How many elements there are is known at the end only, so the header goes in afterwards.
  bool array(std::string& out) {
    const auto begin = out.size();
    std::size_t count = 0;
    cursor_.expect('[');
    for (bool first = true; cursor_.next_element(first); ++count) {
      if (!value(out)) return false;
    }
    out.insert(begin, container_header(0x90, 0xDC, count));
    return true;
  }
  bool object(std::string& out) {
    const auto begin = out.size();
    std::size_t count = 0;
    JsonStringToken name;
    cursor_.expect('{');
    for (bool first = true; cursor_.next_member(first, name); ++count) {
      append_text(out, name.decode());
      if (!value(out)) return false;
    }
    out.insert(begin, container_header(0x80, 0xDE, count));
    return true;
  }

  JsonCursor cursor_;
};

}  // namespace

Result<std::string> write_msgpack(std::string_view json) {
  const auto plain = read_json(json, max_python_write_depth, OnLc::keep);
  std::string out;
  if (plain.kind != PythonValue::Kind::json || !Writer(plain.data).run(out)) {
    return Error{.code = ErrorCode::invalid_argument,
                 .message = "the value is not JSON that MessagePack can hold"};
  }
  return out;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
