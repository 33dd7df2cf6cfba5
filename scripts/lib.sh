# shellcheck shell=bash disable=SC2034
# What the scripts share. Source it; it sets ROOT and changes nothing else.

ROOT="$(cd "$(dirname "${BASH_SOURCE[0]}")/.." && pwd)"
DEPS="$ROOT/.deps"

# What the libraries and the tests ask of their tools and of hiredis.
HIREDIS_MIN=1.1.0
REDIS_MIN=7.0.0

say() { printf '%s\n' "$*"; }
warn() { printf '%s\n' "$*" >&2; }
die() {
  warn "$*"
  exit 1
}

# version_at_least 1.10.2 1.2: true when the first is the second or newer.
version_at_least() {
  [[ "$(printf '%s\n%s\n' "$2" "$1" | sort -V | head -n 1)" == "$2" ]]
}

# The version in a hiredis.h, such as 1.2.0; nothing when there is no such file.
hiredis_header_version() {
  [[ -f "$1" ]] || return 0
  sed -n 's/^#define[[:space:]]*HIREDIS_\(MAJOR\|MINOR\|PATCH\)[[:space:]]*\([0-9]*\).*/\2/p' "$1" |
    head -n 3 | paste -sd . -
}

# "Valkey 8.0.1" or "Redis 7.0.15" for a server program; nothing when it does not run.
server_version() {
  local text
  text="$("$1" --version 2>/dev/null)" || return 0
  [[ "$text" =~ (Valkey|Redis)?.*v=([0-9][0-9.]*) ]] || return 0
  local name="${BASH_REMATCH[1]:-}"
  local version="${BASH_REMATCH[2]}"
  if [[ -z "$name" ]]; then
    case "${1##*/}" in
      valkey*) name=Valkey ;;
      *) name=Redis ;;
    esac
  fi
  printf '%s %s\n' "$name" "$version"
}

# Prints the path of the server that tests and demo start: $VALKEYCACHE_SERVER, else the one that
# scripts/setup unpacked, else valkey-server on the PATH, else a redis-server that is new enough.
# Fails when there is none. cmake/ValkeyCacheTest.cmake looks in the same places.
valkey_server() {
  if [[ -n "${VALKEYCACHE_SERVER:-}" ]]; then
    command -v -- "$VALKEYCACHE_SERVER" && return 0
    warn "VALKEYCACHE_SERVER names no program: $VALKEYCACHE_SERVER"
    return 1
  fi
  local candidate path version
  for candidate in "$DEPS/valkey/bin/valkey-server" valkey-server "$DEPS/valkey/bin/redis-server" \
    redis-server; do
    path="$(command -v -- "$candidate")" || continue
    version="$(server_version "$path")"
    case "$version" in
      Valkey\ *) ;;
      Redis\ *) version_at_least "${version#* }" "$REDIS_MIN" || continue ;;
      *) continue ;;
    esac
    printf '%s\n' "$path"
    return 0
  done
  return 1
}

# ccache, where there is one, keeps its cache beside the builds, for all presets. Without it, and in
# a CI that keeps no cache, precompiled headers and several sources at a time save the most.
launcher=(-DVALKEYCACHE_PRECOMPILE=ON -DVALKEYCACHE_UNITY=ON)
use_ccache() {
  command -v ccache >/dev/null || return 0
  export CCACHE_DIR="${CCACHE_DIR:-$ROOT/build/.ccache}"
  [[ -z "${CI:-}" || -d "$CCACHE_DIR" ]] || return 0
  export CCACHE_BASEDIR="$ROOT" CCACHE_NOHASHDIR=1 CCACHE_MAXSIZE="${CCACHE_MAXSIZE:-2G}"
  launcher=(-DVALKEYCACHE_PRECOMPILE=OFF -DVALKEYCACHE_UNITY=OFF -DCMAKE_C_COMPILER_LAUNCHER=ccache
    -DCMAKE_CXX_COMPILER_LAUNCHER=ccache)
}

# build_project <preset> [<cmake option>...] [-- <target>...]: configures and builds build/<preset>,
# all of it unless targets are named. Prints one line, or what failed.
build_project() {
  local preset="$1" started=$SECONDS log="$ROOT/build/$1/build-log.txt" options=() targets=()
  shift
  while [[ $# -gt 0 && "$1" != -- ]]; do
    options+=("$1")
    shift
  done
  if [[ $# -gt 1 ]]; then targets=(--target "${@:2}"); fi
  mkdir -p "$ROOT/build/$preset"
  use_ccache
  if ! (cd "$ROOT" && cmake --preset "$preset" "${launcher[@]}" "${options[@]}") >"$log" 2>&1; then
    cat "$log" >&2
    die "configuring build/$preset failed"
  fi
  [[ -e "$ROOT/build/$preset/.ninja_log" ]] || say "Building build/$preset, which takes minutes the first time"
  if [[ -t 1 ]]; then
    # On a terminal ninja keeps to one line, and prints what fails.
    cmake --build "$ROOT/build/$preset" "${targets[@]}" </dev/null ||
      die "building build/$preset failed"
  elif ! cmake --build "$ROOT/build/$preset" "${targets[@]}" >"$log" 2>&1 </dev/null; then
    # What failed, without the many lines of what did not.
    grep -vE '^\[[0-9]+/[0-9]+\] ' "$log" >&2 || true
    die "building build/$preset failed"
  fi
  say "Built build/$preset in $((SECONDS - started)) s"
}
