#!/usr/bin/env bash
# Chaos on the real program, for five minutes: plugins of every kind of sin, file operations, commands, signals, kills, pressure and a full disk,
# drawn from a seed, while an observer outside checks the promises. CHAOS_FOR=1h tests/chaos.sh goes on for longer, and CHAOS_SEED=7 draws the
# same plan again. The disk is only filled where a tmpfs can be mounted, as root, and plugins in C and C++ only come where there are cc and c++;
# else that is said and left out.
#
# Exit status 1 if anything was found; the seed and where the evidence lies are said at the end.
set -euo pipefail
cd "$(dirname "$0")/.."

cargo build --quiet --locked --workspace
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

# Named as Cargo names what it builds. What a compiler made that is no longer there is not used.
build_foreign() {
    local compiler=$1 standard=$2 source=$3 file
    file=$target/lib$(basename "${source%.*}").so
    rm -f "$file"
    if command -v "$compiler" >/dev/null; then
        "$compiler" -std="$standard" -shared -fPIC -fvisibility=hidden -O1 "${@:4}" -I plugin-api/c -o "$file" "$source"
    fi
}
build_foreign cc c11 plugins/c/free_space.c
build_foreign cc c11 tests/foreign/scripted.c
# With a table that lacks the function to update.
build_foreign cc c11 tests/foreign/misbuilt.c -DSIN=9
build_foreign c++ c++17 plugins/cpp/log_matches.cpp
build_foreign c++ c++17 tests/foreign/throws.cpp

options=(--for "${CHAOS_FOR:-5m}")
if [ -n "${CHAOS_SEED:-}" ]; then
    options+=(--seed "$CHAOS_SEED")
fi
exec "$target/plugin-engine-chaos" "${options[@]}"
