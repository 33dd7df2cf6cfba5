#include "aws/iso8601.hpp"

#include <algorithm>
#include <charconv>
#include <cstddef>

#include "base/ascii.hpp"

namespace valkeycache::inline v0 {
namespace detail {
namespace {

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
  std::chrono::minutes offset{0};
  const char sign = parts.front();
  if (sign == '+' || sign == '-') {
    parts.expect("+-");
    const int offset_hours = parts.number(2);
    parts.take(":");
    const int offset_minutes = parts.number(2);
    if (offset_hours > 23 || offset_minutes > 59) return std::nullopt;
    offset = std::chrono::hours(offset_hours) + std::chrono::minutes(offset_minutes);
    if (sign == '-') offset = -offset;
  } else {
    parts.expect("Zz");
  }
  namespace chrono = std::chrono;
  const chrono::year_month_day date(chrono::year(year_number),
                                    chrono::month(static_cast<unsigned>(month_number)),
                                    chrono::day(static_cast<unsigned>(day_number)));
  // 60 is a leap second.
  if (!parts.good_end() || !date.ok() || year_number < 1970 || hour > 23 || minute > 59 ||
      second > 60) {
    return std::nullopt;
  }
  if (year_number >= 2200) return chrono::sys_days(chrono::year(2200) / chrono::January / 1);
  return chrono::sys_days(date) + chrono::hours(hour) + chrono::minutes(minute) +
         chrono::seconds(second) - offset;
}

}  // namespace detail
}  // namespace valkeycache::inline v0
