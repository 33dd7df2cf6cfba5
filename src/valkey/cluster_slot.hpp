// Which of a cluster's 16,384 slots a key lives in, and which argument of a request is the key.
// https://valkey.io/topics/cluster-spec/
#pragma once

#include <cstdint>
#include <optional>
#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

inline constexpr std::size_t cluster_slots = 16384;

// CRC16 of the key, or of what stands between its first '{' and the next '}' unless that is empty.
[[nodiscard]] std::uint16_t key_slot(std::string_view key) noexcept;

// The first key of an encoded request of ours; nullopt for one that has none (PING, SCAN …).
[[nodiscard]] std::optional<std::string_view> key_of_request(std::string_view request) noexcept;

}  // namespace detail
}  // namespace valkeycache::inline v0
