#include "bench/report.hpp"

#include <algorithm>
#include <cmath>
#include <iomanip>
#include <ostream>
#include <sstream>
#include <stdexcept>

#include <nlohmann/json.hpp>

namespace valkeycache::bench {
namespace {

// Four digits say more than these machines repeat.
std::string number(double value) {
  std::ostringstream text;
  const int digits = value == 0 ? 0 : static_cast<int>(std::floor(std::log10(std::abs(value))));
  text << std::fixed << std::setprecision(digits >= 3 ? 0 : 3 - std::max(digits, 0)) << value;
  return text.str();
}

}  // namespace

std::optional<bool> held(const Row& row) {
  if (row.must.empty()) return std::nullopt;
  std::istringstream words(row.must);
  std::string what, relation;
  double limit = 0;
  if (!(words >> what >> relation >> limit)) throw std::logic_error("must: " + row.must);
  const auto subject = what == "value" ? row.value : row.ratio.value();
  return relation == "<=" ? subject <= limit : subject >= limit;
}

std::string to_json(const std::vector<Row>& rows) {
  auto list = nlohmann::ordered_json::array();
  const auto or_null = [](const auto& optional) {
    return optional ? nlohmann::ordered_json(*optional) : nlohmann::ordered_json(nullptr);
  };
  for (const auto& row : rows) {
    nlohmann::ordered_json item;
    item["name"] = row.name;
    item["value"] = row.value;
    item["unit"] = row.unit;
    item["baseline"] = or_null(row.baseline);
    item["ratio"] = or_null(row.ratio);
    item["must"] = row.must.empty() ? nlohmann::ordered_json() : nlohmann::ordered_json(row.must);
    item["held"] = or_null(held(row));
    list.push_back(std::move(item));
  }
  return list.dump(1) + "\n";
}

void print_header(std::ostream& out) {
  out << std::left << std::setw(34) << "row" << std::right << std::setw(12) << "value"
      << std::setw(12) << "baseline"
      << "  " << std::left << std::setw(8) << "unit" << std::right << std::setw(8) << "ratio"
      << "  must\n";
}

void print_row(std::ostream& out, const Row& row) {
  out << std::left << std::setw(34) << row.name << std::right << std::setw(12) << number(row.value)
      << std::setw(12) << (row.baseline ? number(*row.baseline) : "") << "  " << std::left
      << std::setw(8) << row.unit << std::right << std::setw(8)
      << (row.ratio ? number(*row.ratio) : "");
  if (const auto is_held = held(row)) {
    out << "  " << row.must << (*is_held ? "  held" : "  NOT HELD");
  }
  out << std::endl;
}

}  // namespace valkeycache::bench
