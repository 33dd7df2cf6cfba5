#include "aws/iso8601.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

namespace valkeycache::inline v0 {
namespace detail {
namespace {

bool is_digit(char c) noexcept {
  return c >= '0' && c <= '9';
}

// Takes parts off the front of a text; the first one that does not fit spoils the rest.
class Parts {
 public:
  explicit Parts(std::string_view text) noexcept : rest_(text) {}

  int number(std::size_t digits) noexcept {
    int value = 0;
    if (rest_.size() < digits || !std::all_of(rest_.begin(), rest_.begin() + digits, is_digit)) {
      good_ = false;
      return 0;
    }
    std::from_chars(rest_.data(), rest_.data() + digits, value);
    rest_.remove_prefix(digits);
    return value;
  }
  bool take(std::string_view any_of) noexcept {
    if (rest_.empty() || any_of.find(rest_.front()) == std::string_view::npos) return false;
    rest_.remove_prefix(1);
    return true;
  }
  void expect(std::string_view any_of) noexcept { good_ = take(any_of) && good_; }
  void skip_digits() noexcept {
    while (!rest_.empty() && is_digit(rest_.front())) rest_.remove_prefix(1);
  }
  [[nodiscard]] char front() const noexcept { return rest_.empty() ? '\0' : rest_.front(); }
  [[nodiscard]] bool good_end() const noexcept { return good_ && rest_.empty(); }

 private:
  std::string_view rest_;
  bool good_ = true;
};

}  // namespace

std::optional<std::chrono::system_clock::time_point> parse_iso8601(std::string_view text) noexcept {
  using namespace std::chrono;
  Parts parts(text);
  const int year_number = parts.number(4);
  parts.expect("-");
  const int month_number = parts.number(2);
  parts.expect("-");
  const int day_number = parts.number(2);
  parts.expect("Tt ");
  const int hour = parts.number(2);
  parts.expect(":");
  const int minute = parts.number(2);
  parts.expect(":");
  const int second = parts.number(2);
  if (parts.take(".,")) {
    if (!is_digit(parts.front())) return std::nullopt;
    parts.skip_digits();
  }
  minutes offset{0};
  const char sign = parts.front();
  if (sign == '+' || sign == '-') {
    parts.expect("+-");
    const int offset_hours = parts.number(2);
    parts.take(":");
    const int offset_minutes = parts.number(2);
    if (offset_hours > 23 || offset_minutes > 59) return std::nullopt;
    offset = hours(offset_hours) + minutes(offset_minutes);
    if (sign == '-') offset = -offset;
  } else {
    parts.expect("Zz");
  }
  const year_month_day date(year(year_number), month(static_cast<unsigned>(month_number)),
                            day(static_cast<unsigned>(day_number)));
  // 60 is a leap second.
  if (!parts.good_end() || !date.ok() || year_number < 1970 || hour > 23 || minute > 59 ||
      second > 60) {
    return std::nullopt;
  }
  if (year_number >= 2200) return sys_days(year(2200) / January / 1);
  return sys_days(date) + hours(hour) + minutes(minute) + seconds(second) - offset;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
