#!/usr/bin/env bash
# Replaces a plugin file under a running engine with Debian's rsync. Installs it if it is absent (as root, from Debian's packages). Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v rsync >/dev/null 2>&1; then
    apt-get update -q >/dev/null
    apt-get install -q -y --no-install-recommends rsync >/dev/null
fi

cargo test --quiet --locked --workspace --test watching -- --ignored rsync_replaces_a_file
