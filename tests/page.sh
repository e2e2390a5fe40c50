#!/usr/bin/env bash
# Looks at the status page of a running engine with Debian's Chromium. Installs that if it is absent (as root, from Debian's packages).
# Leaves pictures in `page-shots` of the target directory. Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "$0")/.."

packages=(chromium chromium-driver python3-selenium fonts-dejavu-core)
if ! dpkg --status "${packages[@]}" >/dev/null 2>&1; then
    apt-get update -q >/dev/null
    apt-get install -q -y --no-install-recommends "${packages[@]}" >/dev/null
fi

cargo build --quiet --locked --workspace
target=$(realpath "${CARGO_TARGET_DIR:-target}")

# Debian's Python, for which its packages are made.
export PAGE_TARGET=$target/debug PAGE_SHOTS=$target/page-shots PYTHONDONTWRITEBYTECODE=1
cd tests/page
exec /usr/bin/python3 -m unittest --verbose modules_test page_test
