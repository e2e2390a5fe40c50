#!/usr/bin/env bash
# Builds the plugins in Zig with Zig's own compiler, and runs the tests of them. The compiler comes from PyPI (the package ziglang, with which
# pip brings the whole of it) and goes with all that it keeps into `zig` of the target directory: 900 MB, of which nothing is left elsewhere.
# ZIG_VERSION=0.16.0 tests/zig.sh takes another one. Installs pip if it is absent (as root, from Debian's packages).
set -euo pipefail
cd "$(dirname "$0")/.."

version=${ZIG_VERSION:-0.17.1}
dir=$(realpath -m "${CARGO_TARGET_DIR:-target}")/zig
compiler=$dir/ziglang-$version
if ! [ -x "$compiler/ziglang/zig" ]; then
    if ! python3 -m pip --version >/dev/null 2>&1; then
        apt-get update -q >/dev/null
        apt-get install -q -y --no-install-recommends python3-pip >/dev/null
    fi
    rm -rf "$compiler" "$compiler.new"
    mkdir -p "$dir"
    python3 -m pip install --quiet --disable-pip-version-check --root-user-action ignore --no-cache-dir --no-compile \
        --target "$compiler.new" "ziglang==$version"
    mv "$compiler.new" "$compiler"
fi
export ZIG_GLOBAL_CACHE_DIR=$dir/cache ZIG_LOCAL_CACHE_DIR=$dir/cache ZIG_PLUGINS=$dir/plugins
zig=$compiler/ziglang/zig
echo "Zig $("$zig" version)"

mkdir -p "$ZIG_PLUGINS"
include=(-I plugin-api/c -I plugin-api/zig)
"$zig" translate-c -lc "${include[@]}" plugins/zig/newest_file.h >"$dir/c.zig"
for source in plugins/zig/newest_file.zig tests/foreign/breaks.zig; do
    name=$(basename "$source" .zig)
    "$zig" build-lib -dynamic -OReleaseSafe -fstrip -lc "${include[@]}" --name "$name" -femit-bin="$ZIG_PLUGINS/$name.so" \
        plugin-api/zig/plugin_guard.c --dep plugin_api "-Mroot=$source" \
        -OReleaseSafe --dep c -Mplugin_api=plugin-api/zig/plugin_api.zig "-Mc=$dir/c.zig"
done

cargo test --quiet --locked --package plugin-engine-tests --test zig_plugins -- --ignored
