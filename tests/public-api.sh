#!/usr/bin/env bash
# Compares the public interface of plugin-api, of plugin-engine, and of what the latter hands on of plugin-engine-core with what is written down in
# engine/api, and says what has changed; with --write it is written down anew. Whoever changes it on purpose commits that, so that a reader of the
# change sees what it means for others. Status 1 if it has changed.
#
# rustdoc describes a crate as JSON only where unstable features are allowed. The rustdoc that documents everything else is told so, and nothing but
# it: what it rests upon is what was built already, and no other toolchain is needed. If the form of its JSON is one that the crate
# `public-api` does not read, because the toolchain is older or newer, that is said, and nothing is compared.
set -euo pipefail
cd "$(dirname "$0")/.."

write=no
case ${1:-} in
    "") ;;
    --write) write=yes ;;
    *) echo "usage: tests/public-api.sh [--write]" >&2; exit 2 ;;
esac

target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')
work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

rustdoc=$(rustup which rustdoc 2>/dev/null || command -v rustdoc)
cat >"$work/rustdoc" <<END
#!/bin/sh
RUSTC_BOOTSTRAP=1 exec "$rustdoc" "\$@"
END
chmod +x "$work/rustdoc"

cargo build --quiet --locked --workspace --example public_api

# The interface of a crate with these features, an item a line.
list() {
    local crate=$1 features=$2 ended=0
    RUSTDOC=$work/rustdoc cargo rustdoc --quiet --locked --package "$crate" --lib --features "$features" \
        -- -Z unstable-options --output-format json --cap-lints allow
    "$target/debug/examples/public_api" "$target/doc/${crate//-/_}.json" >"$work/$crate.txt" || ended=$?
    if [ "$ended" = 3 ]; then
        echo "LEFT OUT: the public interface is not compared: $("$rustdoc" --version) describes it in another form than is read here"
        exit 0
    fi
    [ "$ended" = 0 ] || exit 1
}

list plugin-api async,schema
list plugin-engine history-sqlite,watch
list plugin-engine-core ""
# Of the core, what the engine hands on: lines that are about one of those names.
sed -n 's/^pub use plugin_engine::\([A-Za-z_]*\)$/\1/p' "$work/plugin-engine.txt" >"$work/names"
awk 'NR == FNR { handed_on["plugin_engine_core::" $1]; next }
    match($0, /plugin_engine_core::[A-Za-z_]+/) && substr($0, RSTART, RLENGTH) in handed_on' \
    "$work/names" "$work/plugin-engine-core.txt" >"$work/handed-on.txt"
mv "$work/handed-on.txt" "$work/plugin-engine-core.txt"

changed=no
for crate in plugin-api plugin-engine plugin-engine-core; do
    if [ "$write" = yes ]; then
        mkdir -p engine/api
        cp "$work/$crate.txt" "engine/api/$crate.txt"
    elif diff --unified=0 --label "engine/api/$crate.txt" --label "$crate as it is" "engine/api/$crate.txt" "$work/$crate.txt"; then
        echo "$crate: $(wc -l <"$work/$crate.txt") lines, as written down"
    else
        changed=yes
    fi
done
if [ "$changed" = yes ]; then
    echo "The public interface has changed. If that is meant: tests/public-api.sh --write, and a line in engine/CHANGELOG.md" >&2
    exit 1
fi
