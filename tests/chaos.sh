#!/usr/bin/env bash
# Chaos on the real program, for five minutes: plugins of every kind of sin, file operations, commands, signals, kills, pressure and a full disk,
# drawn from a seed, while an observer outside checks the promises. CHAOS_FOR=1h tests/chaos.sh goes on for longer, and CHAOS_SEED=7 draws the
# same plan again. The disk is only filled where a tmpfs can be mounted, as root; else that is said and left out.
#
# Exit status 1 if anything was found; the seed and where the evidence lies are said at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(--package plugin-engine-chaos --package plugin-engine-cli)
for manifest in plugins/*/Cargo.toml fixtures/*/Cargo.toml; do
    packages+=(--package "$(basename "$(dirname "$manifest")")")
done
cargo build --quiet --locked "${packages[@]}"
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

options=(--for "${CHAOS_FOR:-5m}")
if [ -n "${CHAOS_SEED:-}" ]; then
    options+=(--seed "$CHAOS_SEED")
fi
exec "$target/plugin-engine-chaos" "${options[@]}"
