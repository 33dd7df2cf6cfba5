// Rows as JSON and as a table for people.
#pragma once

#include <iosfwd>
#include <string>
#include <vector>

#include "bench/bench.hpp"

namespace valkeycache::bench {

// A list of {name, value, unit, baseline, ratio, must, held}; what a row does not have is null.
std::string to_json(const std::vector<Row>& rows);
// The README's table of such a JSON text.
std::string to_markdown(const std::string& json);
void print_header(std::ostream& out);
void print_row(std::ostream& out, const Row& row);

}  // namespace valkeycache::bench
