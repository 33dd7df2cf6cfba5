// MessagePack as Python's ormsgpack reads it, made into JSON text.
#pragma once

#include <string_view>

#include "entry/python_value.hpp"

namespace valkeycache::inline v0 {
namespace detail {

// Of the first value; what follows it is ignored, as Python does. Lengths longer than needed are
// read, of equal members the last wins, nesting ends at max_python_read_depth. Only Python can
// hold: binary data, extension types, NaN and infinity, and map keys that are no strings. Does not
// recurse, and allocates no more than a small multiple of what is there, whatever the lengths say.
VALKEYCACHE_API PythonValue read_msgpack(std::string_view bytes);

}  // namespace detail
}  // namespace valkeycache::inline v0
