#!/usr/bin/env bash
# The way from nothing to a running, reloaded plugin, as an author goes it: `plugin-engine new`, `cargo test`, `cargo build`,
# `plugin-engine validate`, a copy into the plugin directory of a running engine, a change, and another copy. TEMPLATE is minimal unless another one is named. Says how long each
# step took. Needs the Rust toolchain; what the repository depends on is fetched first, the project itself is built without a network. Part of
# `.ci/run`.
set -euo pipefail
cd "$(dirname "$0")/.."

template=${1:-minimal}
repository=$PWD
target=$(realpath -m "${CARGO_TARGET_DIR:-target}")
work=$(mktemp -d)
engine_pid=
finish() {
    status=$?
    if [[ -n $engine_pid ]]; then
        kill -TERM "$engine_pid" 2>/dev/null || true
        wait "$engine_pid" 2>/dev/null || true
    fi
    if ((status != 0)) && [[ -f $work/log ]]; then
        cat "$work/log" >&2
    fi
    rm -rf "$work"
    exit "$status"
}
trap finish EXIT

step() {
    local began=$EPOCHREALTIME
    printf '\n== %s\n' "$*"
    "$@"
    awk -v began="$began" -v ended="$EPOCHREALTIME" 'BEGIN { printf "   (%.1f s)\n", ended - began }'
}

# Waits until a command has the output that is looked for; a minute and a half at most.
await() {
    local pattern=$1
    shift
    for _ in {1..900}; do
        if "$@" 2>/dev/null | grep -Eq -- "$pattern"; then
            return
        fi
        sleep 0.1
    done
    echo "never came to $pattern: $*" >&2
    "$@" >&2 || true
    return 1
}

# Under another name first, so that nobody sees half of it.
drop_in() {
    cp "$target/release/libfirst_plugin.so" plugins.d/libfirst_plugin.so.new
    mv plugins.d/libfirst_plugin.so.new plugins.d/libfirst_plugin.so
}

step cargo fetch --quiet --locked
step cargo build --quiet --locked --package plugin-engine-cli
plugin_engine=$target/debug/plugin-engine
# The project builds where the engine was built, and as it was, so what both need is built once for each profile.
export CARGO_TARGET_DIR=$target CARGO_NET_OFFLINE=true
export CARGO_PROFILE_DEV_DEBUG=line-tables-only CARGO_PROFILE_RELEASE_DEBUG=line-tables-only

cd "$work"
began=$EPOCHREALTIME
step "$plugin_engine" new first-plugin --template "$template" --api-path "$repository"
cd first-plugin
step cargo test --quiet
step cargo build --quiet --release
step "$plugin_engine" validate "$target/release/libfirst_plugin.so"
mkdir -p plugins.d
step drop_in
"$plugin_engine" run --plugins plugins.d --state state >"$work/log" 2>&1 &
engine_pid=$!
step await '"updates":([2-9]|[1-9][0-9])' "$plugin_engine" status first-plugin --state state --json
step "$plugin_engine" display first-plugin --state state

# A new version of it, dropped over the old one.
sed -i 's/^version = "0.1.0"$/version = "0.2.0"/' Cargo.toml
step cargo build --quiet --release
step drop_in
step await '"version":"0.2.0"' "$plugin_engine" status first-plugin --state state --json
step await '"cause":"reloaded"' "$plugin_engine" history first-plugin --state state --json
step "$plugin_engine" why first-plugin --state state

awk -v began="$began" -v ended="$EPOCHREALTIME" \
    'BEGIN { printf "\nFrom `new` to a validated, reloaded plugin in %.0f s.\n", ended - began }'
