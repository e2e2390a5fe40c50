#!/usr/bin/env bash
# Tries signatures the whole way with Debian's minisign: keys made and files signed by it, judged by `inspect` and obeyed by `run`.
# Installs minisign if it is absent (as root, from Debian's packages). Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v minisign >/dev/null 2>&1; then
    apt-get update -q >/dev/null
    apt-get install -q -y --no-install-recommends minisign >/dev/null
fi

cargo build --quiet --locked --workspace
target=${CARGO_TARGET_DIR:-target}/debug
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
mkdir "$dir/plugins"
plugin=$dir/plugins/libclock.so
cp "$target/libclock.so" "$plugin"

key() { minisign -G -W -p "$dir/$1.pub" -s "$dir/$1.key" >/dev/null; }
sign() { minisign -S -s "$dir/$1.key" -m "$plugin" -t 'clock, signed for the test' "${@:2}" >/dev/null; }
key trusted
key other
cat >"$dir/engine.toml" <<TOML
[verify]
require_signature = true
trusted_keys = ["$(tail -1 "$dir/trusted.pub")"]
TOML

# What `inspect` says of the plugin: its exit status, and that its output has the words.
expect() {
    local status=0 output
    output=$("$target/plugin-engine" inspect --config "$dir/engine.toml" "$plugin") || status=$?
    if [[ $status != "$1" || $output != *"$2"* ]]; then
        printf 'expected status %s and "%s", got status %s:\n%s\n' "$1" "$2" "$status" "$output" >&2
        exit 1
    fi
    printf 'ok: %s\n' "$2"
}

# How many plugins a run of one cycle loads.
runs() {
    local output
    output=$("$target/plugin-engine" run --plugins "$dir/plugins" --config "$dir/engine.toml" --for 100ms --json 2>"$dir/errors") || true
    if [[ $(grep -c '"cause":"created"' <<<"$output") != "$1" ]]; then
        printf 'expected %s plugins to run, got:\n%s\n%s\n' "$1" "$output" "$(cat "$dir/errors")" >&2
        exit 1
    fi
    printf 'ok: a run creates %s\n' "$1"
}

expect 1 '[PE0140]'
runs 0
sign other
expect 1 'was made with a key that is not trusted [PE0141]'
sign trusted -l
expect 1 'old form without a hash'
sign trusted
expect 0 'signed by a trusted key: clock, signed for the test'
runs 1
printf 'x' >>"$plugin"
expect 1 'was made for other bytes, or was changed [PE0141]'
runs 0
sign trusted
expect 0 'would be loaded'
sed -i 's/for the test/for the best/' "$plugin.minisig"
expect 1 '[PE0141]'
