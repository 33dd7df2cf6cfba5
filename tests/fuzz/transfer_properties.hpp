// What must hold of an export's lines, whatever bytes stand there. As in properties.hpp.
#pragma once

#include <string>
#include <string_view>
#include <variant>

#include "transfer/key_path.hpp"
#include "transfer/line.hpp"
#include "transfer/line_seal.hpp"

namespace valkeycache_fuzz {

using namespace valkeycache;

inline const char* check_export_line(std::string_view bytes) {
  static const detail::LineSeal seal(std::string(32, 's'), "llm_cache:", "id");
  // Whoever can guess a MAC has found something else than a fault of the reader.
  if (seal.holds(bytes)) return "a MAC that nobody made";
  auto line = detail::read_line(bytes);
  std::string written;
  if (const auto* head = std::get_if<detail::ExportHead>(&line)) {
    written = detail::write_line(*head);
    const auto again = detail::read_line(written);
    const auto* same = std::get_if<detail::ExportHead>(&again);
    if (!same || same->prefix != head->prefix || same->id != head->id ||
        same->created_ms != head->created_ms) {
      return "writing changes a head";
    }
  } else if (const auto* entry = std::get_if<detail::ExportedEntry>(&line)) {
    written = detail::write_line(*entry);
    const auto again = detail::read_line(written);
    const auto* same = std::get_if<detail::ExportedEntry>(&again);
    if (!same || same->path != entry->path || same->value != entry->value ||
        same->ttl_ms != entry->ttl_ms) {
      return "writing changes an entry";
    }
    const auto key = detail::key_of_path(entry->path);
    if (key && key->path() != entry->path) return "a key of another path";
  } else if (const auto* end = std::get_if<detail::ExportEnd>(&line)) {
    written = detail::write_line(*end);
    const auto again = detail::read_line(written);
    const auto* same = std::get_if<detail::ExportEnd>(&again);
    if (!same || same->entries != end->entries) return "writing changes an end";
  } else {
    return nullptr;
  }
  if (written.find('\n') != std::string::npos) return "a line of two lines";
  auto sealed = written;
  seal.seal(sealed);
  if (!seal.holds(sealed)) return "a seal that does not hold";
  if (seal.holds(written)) return "a seal that nobody made";
  if (detail::read_line(sealed).index() != line.index()) return "a seal that changes the line";
  return nullptr;
}

}  // namespace valkeycache_fuzz
