#!/usr/bin/env bash
# Compiles every C++ block of the README and the guides. Called by ctest:
#
#   run.sh snippets           README.md and docs/*.md
#   run.sh snippets_can_fail  proves on small texts that a wrong block would be seen
#   run.sh links              every relative link in them names something that is there
#
# VC_SOURCE is the source tree, VC_WORK a folder of our own, VC_CXX the compiler.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"

# check_file <file> <shown name>: prints how many blocks there were; fails when one is wrong.
check_file() {
  local out="$VC_WORK/${2//[^A-Za-z0-9]/_}" source result=0
  rm -rf "$out"
  mkdir -p "$out"
  awk -v "out=$out" -v "name=$2" -f "$here/snippets.awk" "$1" || result=1
  for source in "$out"/*.cpp; do
    [[ -e "$source" ]] || continue
    # A reader's example may leave a variable unused, and nothing else.
    "$VC_CXX" -std=c++20 -fsyntax-only -Wall -Wextra -Werror -Wno-unused-variable \
      -Wno-unused-but-set-variable -I"$VC_SOURCE/include" "$source" || result=1
  done
  return "$result"
}

snippets() {
  local file count total=0 result=0
  for file in "$VC_SOURCE"/README.md "$VC_SOURCE"/docs/*.md; do
    [[ -e "$file" ]] || continue
    if ! count="$(check_file "$file" "${file#"$VC_SOURCE"/}")"; then result=1; fi
    printf '%s: %s\n' "${file#"$VC_SOURCE"/}" "$count"
    total=$((total + count))
  done
  printf '%d blocks of C++\n' "$total"
  [[ $total -gt 0 ]] || return 1
  return "$result"
}

expect() { # expect good|bad <text>
  printf '%s\n' "$2" >"$VC_WORK/case.md"
  local found=good
  check_file "$VC_WORK/case.md" case.md >"$VC_WORK/case.log" 2>&1 || found=bad
  if [[ $found != "$1" ]]; then
    cat "$VC_WORK/case.log"
    printf 'this was taken for %s:\n%s\n' "$found" "$2"
    return 1
  fi
}

snippets_can_fail() {
  expect good $'```cpp\nint main() {}\n```'
  expect bad $'```cpp\nint main() { return nothing; }\n```'
  expect good $'```cpp\nTtl ttl = 5min;\n```'
  expect bad $'```cpp\nTtl ttl = "5min";\n```'
  grep -q 'case.md:2:' "$VC_WORK/case.log" || return 1
  expect bad $'```cpp\nclass A { int value; };\ntemplate <class T> T f();\n```'
  expect good $'<!-- snippet: declarations -->\n```cpp\ntemplate <class T> T f();\n```'
  expect good $'<!-- snippet: coroutine -->\n```cpp\nco_await Future<void>();\n```'
  expect good $'<!-- snippet: setup extern Ttl ttl; -->\n\n```cpp\nbool b = ttl.is_none();\n```'
  expect bad $'```cpp\nbool b = ttl.is_none();\n```'
  expect good $'<!-- snippet: name=a -->\n```cpp\nTtl ttl;\n```\ntext\n<!-- snippet: needs=a -->\n```cpp\nttl = 5s;\n```'
  expect bad $'<!-- snippet: needs=a -->\n```cpp\nint i;\n```'
  expect bad $'<!-- snippet: skip -->\n```cpp\nint i;\n```'
  expect bad $'```cpp\nint i;'
  expect good $'```cpp\n#include <list>\nstd::list<int> l;\n```'
  expect good $'```sh\nnot C++\n```'
}

# Every relative link names something that is there.
links() {
  local file link target count=0 result=0
  for file in "$VC_SOURCE"/README.md "$VC_SOURCE"/docs/*.md; do
    while IFS= read -r link; do
      target="${link%%#*}"
      [[ -n "$target" && "$target" != *://* ]] || continue
      count=$((count + 1))
      if [[ ! -e "$(dirname "$file")/$target" ]]; then
        printf '%s links to %s, which is not there\n' "${file#"$VC_SOURCE"/}" "$target"
        result=1
      fi
    done < <(grep -oE '\]\([^)[:space:]]+\)' "$file" | sed -E 's/^\]\(//; s/\)$//')
  done
  printf '%d links\n' "$count"
  [[ $count -gt 0 ]] || return 1
  return "$result"
}

mkdir -p "$VC_WORK"
case "${1:-}" in
  snippets | snippets_can_fail | links) "$1" ;;
  *)
    echo "no such step: ${1:-}" >&2
    exit 2
    ;;
esac
