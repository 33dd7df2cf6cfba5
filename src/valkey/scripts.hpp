// The scripts that EVAL sends. Each touches one key only, as a cluster wants it.
// https://valkey.io/commands/eval/
#pragma once

#include <string_view>

namespace valkeycache::inline v0 {
namespace detail {

inline constexpr std::string_view erase_if_script =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('DEL',KEYS[1]) end return 0";
inline constexpr std::string_view expire_if_script =
    "if redis.call('GET',KEYS[1])==ARGV[1] then return redis.call('PEXPIRE',KEYS[1],ARGV[2]) end "
    "return 0";
// A TTL of 0 is none.
inline constexpr std::string_view replace_if_script =
    "if redis.call('GET',KEYS[1])~=ARGV[1] then return 0 end "
    "if ARGV[3]=='0' then redis.call('SET',KEYS[1],ARGV[2]) "
    "else redis.call('SET',KEYS[1],ARGV[2],'PX',ARGV[3]) end return 1";

}  // namespace detail
}  // namespace valkeycache::inline v0
