#!/usr/bin/env bash
# Checks what the workspace is built from: licences, sources and forbidden crates, with engine/deny.toml; and known weaknesses where the
# database of them can be fetched. Where it cannot, that is said, and is no failure: nothing was found out either way.
#
# Installs cargo-deny into target/tools where it is missing, which takes some minutes once.
set -euo pipefail
cd "$(dirname "$0")/.."

version=0.20.2
tools=${CARGO_TARGET_DIR:-target}/tools
export PATH="$tools/bin:$PATH"
if ! cargo deny --version >/dev/null 2>&1; then
    cargo install cargo-deny --locked --version "$version" --root "$tools"
fi

cargo deny --all-features check --config engine/deny.toml licenses bans sources

# The database is a repository of its own, beside Cargo's.
if ! cargo deny --all-features fetch db --config engine/deny.toml >/dev/null 2>&1; then
    printf '\nThe database of weaknesses cannot be fetched here: they were not looked for.\n' >&2
    exit 0
fi
cargo deny --all-features check --config engine/deny.toml advisories
