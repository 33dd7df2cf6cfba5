// Reads the small XML documents that AWS's older services answer with.
//
// Far less than XML: elements, attributes (passed over), text, the five named entities and
// character references, and one declaration in front. No document types, comments, CDATA sections
// or processing instructions: none of these services sends them, and most of what goes wrong with
// XML is in them. Text and elements do not mix.
#pragma once

#include <valkeycache/config.hpp>

#include <functional>
#include <string>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

// Calls leaf(path, text) for each element without elements inside, in order; the path is the names
// from the outermost on, "Response/Result/Value", as written. False where the bytes are not one
// whole well-formed document in UTF-8 of that kind, or nest deeper than 16; leaves may have been
// told of before that is seen.
using OnXmlLeaf = std::function<void(std::string_view path, std::string text)>;
bool read_xml_leaves(std::string_view xml, const OnXmlLeaf& leaf);

}  // namespace detail
}  // namespace valkeycache::inline v0
