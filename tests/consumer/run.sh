#!/usr/bin/env bash
# What a user does with ValkeyCache: installs it, finds it, adds it, compiles against it. Called by
# ctest with a step's name; tests/consumer/CMakeLists.txt sets the environment.
#
#   VC_SOURCE    the source tree        VC_CMAKE    cmake
#   VC_WORK      a folder of our own    VC_FLAGS    of the compiler, for the copies
#   VC_CXX       the compiler           VC_LAUNCHER ccache, or nothing
#   VC_BEDROCK   ON or OFF              VC_BUNDLED  ON: hiredis is inside the library
#   VC_WERROR    ON or OFF              VC_VERSION  what everything must report
#   VC_UNITY     ON or OFF, for the copies
set -euo pipefail

fail() {
  printf 'FAILED: %s\n' "$*" >&2
  exit 1
}

quietly() { # runs a command; shows what it printed only when it fails
  local log="$VC_WORK/log.$$"
  if ! "$@" >"$log" 2>&1; then
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" >&2 || true
    rm -f "$log"
    fail "$*"
  fi
  rm -f "$log"
}

# A tree of its own for each step, always of the same shape (sources at its top, the build in
# build/x), so that a compiler cache knows the files again.
copy_sources() { # copy_sources <folder>
  rm -rf "$1"
  mkdir -p "$1"
  tar -C "$VC_SOURCE" -c --exclude=./build --exclude=./.git --exclude=./.deps/valkey . |
    tar -C "$1" -x
}

cmake_options=(-G Ninja "-DCMAKE_CXX_COMPILER=$VC_CXX" "-DCMAKE_BUILD_TYPE=Debug")
if [[ -n "${VC_LAUNCHER:-}" ]]; then
  # The flags of the main build, whose objects the cache then has already.
  cmake_options+=("-DCMAKE_CXX_COMPILER_LAUNCHER=$VC_LAUNCHER" "-DCMAKE_CXX_FLAGS_DEBUG=$VC_FLAGS")
  export CCACHE_NOHASHDIR=1
else
  cmake_options+=("-DCMAKE_CXX_FLAGS_DEBUG=-O0")
fi

build() { # build <source> <folder> [<cmake option>...]
  local source="$1" folder="$2"
  shift 2
  quietly "$VC_CMAKE" -S "$source" -B "$folder" "${cmake_options[@]}" "$@"
  quietly "$VC_CMAKE" --build "$folder"
}

# Installs into $VC_WORK/<name> from a copy of the sources, and deletes the copy.
install_from_copy() { # install_from_copy <name> [<cmake option>...]
  local name="$1" copy="$VC_WORK/$1-copy" prefix="$VC_WORK/$1"
  shift
  copy_sources "$copy"
  rm -rf "$prefix"
  CCACHE_BASEDIR="$copy" build "$copy" "$copy/build/x" -DVALKEYCACHE_BUILD_TESTS=OFF \
    -DVALKEYCACHE_BUILD_EXAMPLES=OFF "-DVALKEYCACHE_WERROR=$VC_WERROR" \
    "-DVALKEYCACHE_UNITY=$VC_UNITY" "$@"
  quietly "$VC_CMAKE" --install "$copy/build/x" --prefix "$prefix"
  rm -rf "$copy"
  if grep -rlE "$copy|$VC_SOURCE|/\.deps/" "$prefix" --include='*.cmake' --include='*.pc'; then
    fail "these name the source tree"
  fi
}

expect_version() { # expect_version <program>...: each runs and prints the version
  local program printed
  for program in "$@"; do
    printed="$("$program")" || fail "$program exits with $?"
    [[ "$printed" == "$VC_VERSION" ]] || fail "$program prints $printed, not $VC_VERSION"
  done
}

# (A pipe into "grep -q" fails now and then: what writes into it may find it closed.)
needs_curl() { [[ "$(ldd "$1")" == *libcurl* ]]; }

expect_curl_only_with_bedrock() { # expect_curl_only_with_bedrock <folder of programs>
  local program
  for program in cache_only own_model; do
    if needs_curl "$1/$program"; then
      ldd "$1/$program"
      fail "$program needs libcurl"
    fi
  done
  if [[ "$VC_BEDROCK" == ON ]]; then
    needs_curl "$1/everything" || fail "everything needs no libcurl: this test sees nothing"
  fi
}

# A bundled hiredis must show none of its names: neither defined nor wanted.
expect_hiredis_hidden() { # expect_hiredis_hidden <output of nm>
  local visible
  visible="$(grep -E ' [A-Za-z] _?(redis[A-Z]|__redis|sds[a-z]|hi_|hiredis)|^_?(redis[A-Z]|__redis|sds[a-z]|hi_|hiredis)[A-Za-z_]* [A-Z]' "$1" || true)"
  [[ -z "$visible" ]] || fail "hiredis shows: $visible"
}

step_install() {
  install_from_copy static
  local library="$VC_WORK/static/lib/libvalkeycache_cache.a"
  [[ -f "$library" ]] || fail "no $library"
  [[ -f "$VC_WORK/static/share/licenses/valkeycache/LICENSE" ]] || fail "no licence installed"
  if [[ "$VC_BUNDLED" == ON ]]; then
    [[ -f "$VC_WORK/static/share/licenses/valkeycache/hiredis.txt" ]] || fail "no hiredis notice"
    nm --extern-only --format=posix "$library" >"$VC_WORK/names" 2>/dev/null
    grep -q 'valkeycache_private_redisReaderFeed T' "$VC_WORK/names" || fail "no hiredis inside"
    expect_hiredis_hidden "$VC_WORK/names"
  fi
}

step_find_package() {
  local build="$VC_WORK/find_package-build" here="$VC_SOURCE/tests/consumer"
  rm -rf "$build" "$build"-*
  build "$here/find_package" "$build" "-DCMAKE_PREFIX_PATH=$VC_WORK/static"
  expect_version "$build/cache_only" "$build/own_model"
  [[ "$VC_BEDROCK" != ON ]] || expect_version "$build/everything"
  [[ "$VC_BUNDLED" != ON ]] || expect_version "$build/own_hiredis"
  expect_curl_only_with_bedrock "$build"

  # The examples are a user's project too.
  quietly "$VC_CMAKE" -S "$VC_SOURCE/examples" -B "$build-examples" "${cmake_options[@]}" \
    "-DCMAKE_PREFIX_PATH=$VC_WORK/static"
  quietly "$VC_CMAKE" --build "$build-examples" --target example_own_model
  VALKEY_URI=memory://example quietly "$build-examples/own_model"

  # Moved elsewhere, it works as well.
  cp -a "$VC_WORK/static" "$VC_WORK/moved"
  build "$here/find_package_parts" "$build-parts" "-DCMAKE_PREFIX_PATH=$VC_WORK/moved"
  expect_version "$build-parts/cache_only"
  rm -rf "$VC_WORK/moved"

  quietly "$VC_CMAKE" -S "$here/find_package_rules" -B "$build-rules" "${cmake_options[@]}" \
    "-DCMAKE_PREFIX_PATH=$VC_WORK/static"
}

expect_pkgconfig() { # expect_pkgconfig <prefix> [--static]: also with --static
  local prefix="$1" static="${2:-}" flags program built link
  local -A programs=([cache_only]=valkeycache-cache [own_model]=valkeycache-llm)
  [[ "$VC_BEDROCK" != ON ]] || programs[everything]=valkeycache
  export PKG_CONFIG_PATH="$prefix/lib/pkgconfig"
  for program in "${!programs[@]}"; do
    built="$VC_WORK/pkgconfig-$program"
    read -ra flags < <(pkg-config --cflags "${programs[$program]}")
    quietly "$VC_CXX" -std=c++20 -c "$VC_SOURCE/tests/consumer/programs/$program.cpp" \
      -o "$built.o" "${flags[@]}"
    for link in --libs ${static:+"--static --libs"}; do
      # shellcheck disable=SC2086 # two words
      read -ra flags < <(pkg-config $link "${programs[$program]}")
      quietly "$VC_CXX" "$built.o" -o "$built" "${flags[@]}"
      LD_LIBRARY_PATH="$prefix/lib" expect_version "$built"
    done
  done
  LD_LIBRARY_PATH="$prefix/lib" needs_curl "$VC_WORK/pkgconfig-cache_only" &&
    fail "by pkg-config, cache_only needs libcurl"
  local name
  for name in "$prefix"/lib/pkgconfig/*.pc; do
    name="$(basename "$name" .pc)"
    [[ "$(pkg-config --modversion "$name")" == "$VC_VERSION" ]] || fail "$name: wrong version"
    quietly pkg-config --print-errors --exists "$name >= 0.1"
  done
}

step_pkgconfig() {
  command -v pkg-config >/dev/null || fail "no pkg-config"
  expect_pkgconfig "$VC_WORK/static" --static
}

step_add_subdirectory() {
  local copy="$VC_WORK/sub-copy" here="$VC_SOURCE/tests/consumer" prefix="$VC_WORK/sub-prefix"
  copy_sources "$copy"
  CCACHE_BASEDIR="$copy" build "$here/add_subdirectory" "$copy/build/x" \
    "-DVALKEYCACHE_SOURCE=$copy" "-DVALKEYCACHE_WERROR=$VC_WERROR" \
    "-DVALKEYCACHE_UNITY=$VC_UNITY" -DVALKEYCACHE_BEDROCK=OFF
  expect_version "$copy/build/x/cache_only" "$copy/build/x/own_model"

  rm -rf "$prefix"
  quietly "$VC_CMAKE" --install "$copy/build/x" --prefix "$prefix"
  local installed
  installed="$(cd "$prefix" && find . -type f -o -type l | sort)"
  [[ "$installed" == ./bin/cache_only ]] || fail "the subdirectory installed: $installed"

  local tests
  tests="$(cd "$copy/build/x" && ctest -N | sed -n 's/^Total Tests: //p')"
  [[ "$tests" == 0 ]] || fail "the subdirectory added $tests tests"
  rm -rf "$copy"
}

step_shared() {
  local build="$VC_WORK/shared-build" library prefix="$VC_WORK/shared"
  install_from_copy shared -DBUILD_SHARED_LIBS=ON
  for library in cache llm ${VC_BEDROCK_LIBRARY:-}; do
    library="$prefix/lib/libvalkeycache_$library.so"
    [[ -L "$library" && -f "$library.$VC_VERSION" ]] || fail "no $library -> .$VC_VERSION"
    grep -q "SONAME.*\[$(basename "$library").${VC_VERSION%.*}\]" <<<"$(readelf -d "$library")" ||
      fail "wrong SONAME in $library"
    nm -D --defined-only --format=posix "$library" >"$VC_WORK/names"
    grep -q ' [TWV] ' "$VC_WORK/names" || fail "$library exports nothing"
    expect_hiredis_hidden "$VC_WORK/names"
    if grep -q 'nlohmann' "$VC_WORK/names"; then
      fail "$library exports nlohmann_json"
    fi
  done
  rm -rf "$build"
  build "$VC_SOURCE/tests/consumer/find_package" "$build" "-DCMAKE_PREFIX_PATH=$prefix"
  expect_version "$build/cache_only" "$build/own_model"
  [[ "$VC_BEDROCK" != ON ]] || expect_version "$build/everything"
  [[ "$VC_BUNDLED" != ON ]] || expect_version "$build/own_hiredis"
  expect_curl_only_with_bedrock "$build"
  expect_pkgconfig "$prefix"
}

# Each public header compiles by itself, without a warning, and brings in nothing of a third party.
step_headers() {
  local header failed=""
  while IFS= read -r header; do
    if ! printf '#include <%s>\n#include <%s>\nint main() {}\n' "$header" "$header" |
      "$VC_CXX" -std=c++20 -Wall -Wextra -Wpedantic -Wconversion -Wshadow -Werror -fsyntax-only \
        -I"$VC_SOURCE/include" -x c++ -; then
      failed+=" $header"
    fi
    if printf '#include <%s>\n' "$header" |
      "$VC_CXX" -std=c++20 -M -I"$VC_SOURCE/include" -x c++ - | grep -oE '/[^ ]+' |
      grep -E '/(hiredis|openssl|curl|nlohmann|boost)/'; then
      failed+=" $header"
    fi
  done < <(cd "$VC_SOURCE/include" && find valkeycache -name '*.hpp' | sort)
  [[ -z "$failed" ]] || fail "headers:$failed"
  if grep -rnE '#include <(iostream|regex|format|fstream|sstream|iomanip|locale)>' "$VC_SOURCE/include"; then
    fail "these are dear to whoever includes them"
  fi
}

# The umbrella header costs a user's compile at most 1.4 times what these seven headers cost.
step_compile_time() {
  local here="$VC_WORK/compile_time" round kind
  mkdir -p "$here"
  printf '#include <valkeycache/valkeycache.hpp>\n' >"$here/umbrella.cpp"
  printf '#include <%s>\n' string vector map chrono functional memory optional >"$here/standard.cpp"
  : >"$here/umbrella.times"
  : >"$here/standard.times"

  # Processor time, not the clock's, in turns, so that other work on the machine weighs on both.
  local TIMEFORMAT='%3U %3S'
  for round in {0..15}; do
    for kind in umbrella standard; do
      { time "$VC_CXX" -std=c++20 -fsyntax-only -I"$VC_SOURCE/include" "$here/$kind.cpp"; } \
        2>"$here/time"
      # The first round warms the file cache.
      [[ $round -eq 0 ]] || awk '{ print $1 + $2 }' "$here/time" >>"$here/$kind.times"
    done
  done
  local -A least median
  for kind in umbrella standard; do
    least[$kind]="$(sort -n "$here/$kind.times" | head -n 1)"
    median[$kind]="$(sort -n "$here/$kind.times" | sed -n 8p)"
  done
  local by_least by_median
  by_least="$(awk "BEGIN { printf \"%.2f\", ${least[umbrella]} / ${least[standard]} }")"
  by_median="$(awk "BEGIN { printf \"%.2f\", ${median[umbrella]} / ${median[standard]} }")"
  printf 'umbrella header: %s s, seven standard headers: %s s (least of 15)\n' \
    "${least[umbrella]}" "${least[standard]}"
  printf 'compile ratio: %s by the least, %s by the median; at most 1.40\n' "$by_least" "$by_median"
  # A busy machine disturbs the one or the other; a header that is too dear is so by both.
  awk "BEGIN { exit !($by_least <= 1.40 || $by_median <= 1.40) }" ||
    fail "the umbrella header is too dear"
}

# The programs must not depend on what the caller's AWS settings say.
# shellcheck disable=SC2086
unset ${!AWS_@}

mkdir -p "$VC_WORK"
case "${1:-}" in
  install | find_package | pkgconfig | add_subdirectory | shared | headers | compile_time)
    "step_$1"
    ;;
  *) fail "no such step: ${1:-}" ;;
esac
