#!/usr/bin/env bash
# Checks the simulated Bedrock with the official AWS SDK for JavaScript.
#
#   run.sh install <folder>           puts the SDK there, by npm
#   run.sh test <folder> <simulated_bedrock>
#
# scripts/test --sdk does both. `test` exits with 77 where the SDK is not there, which ctest counts
# as skipped; `install` fails where node or npm is missing.
set -euo pipefail

here="$(cd "$(dirname "${BASH_SOURCE[0]}")" && pwd)"
node_min=20

usable_node() {
  command -v node >/dev/null &&
    [[ "$(node --version | sed 's/^v\([0-9]*\).*/\1/')" -ge $node_min ]]
}

install_sdk() {
  local folder="$1"
  if ! usable_node || ! command -v npm >/dev/null; then
    printf 'The test with the AWS SDK for JavaScript needs node %d or newer and npm.\n' \
      "$node_min" >&2
    return 1
  fi
  mkdir -p "$folder"
  if cmp -s "$here/package.json" "$folder/package.json" &&
    [[ -d "$folder/node_modules/@aws-sdk/client-bedrock-runtime" ]]; then
    return 0
  fi
  cp "$here/package.json" "$folder/package.json"
  if ! (cd "$folder" && npm install --no-audit --no-fund --ignore-scripts --no-package-lock) \
    >"$folder/npm-log.txt" 2>&1 </dev/null; then
    cat "$folder/npm-log.txt" >&2
    rm -f "$folder/package.json"
    printf 'npm could not install the AWS SDK for JavaScript.\n' >&2
    return 1
  fi
}

test_with_sdk() {
  export VC_SDK="$1" VC_SIMULATED_BEDROCK="$2"
  if ! usable_node || [[ ! -d "$VC_SDK/node_modules/@aws-sdk/client-bedrock-runtime" ]]; then
    printf 'The AWS SDK for JavaScript is not there; scripts/test --sdk gets it.\n'
    return 77
  fi
  # Nothing of whoever runs it.
  local name
  for name in ${!AWS_@} http_proxy https_proxy all_proxy HTTP_PROXY HTTPS_PROXY ALL_PROXY; do
    unset "$name"
  done
  export AWS_EC2_METADATA_DISABLED=true AWS_CONFIG_FILE=/dev/null
  export AWS_SHARED_CREDENTIALS_FILE=/dev/null NODE_NO_WARNINGS=1
  node --test "$here/simulated_bedrock.test.mjs"
}

case "${1:-}" in
  install) install_sdk "${2:?install needs a folder}" ;;
  test) test_with_sdk "${2:?test needs a folder}" "${3:?test needs a program}" ;;
  *)
    sed -n '2,8s/^# \{0,1\}//p' "${BASH_SOURCE[0]}" >&2
    exit 2
    ;;
esac
