#!/usr/bin/env bash
# Measures the engine beside what one would pick instead of it (libloading, abi_stable, tokio, pools and threads by hand, wasmtime, extism, a child process; SQLite and
# redb), prints tables, and writes those and the plots of the book. Takes some minutes beside a long build of what is compared, of which nothing else here
# knows. `--draw` writes tables and plots from what was measured last. Other words go to the program: `--rounds N`, words from names of groups; then
# nothing is written. Needs `strip`, and runs best on a machine that does nothing else.
set -euo pipefail
cd "$(dirname "$0")/.."

crate=engine/benches/comparison
book=engine/book/src/about
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/comparison

# The plugins that it loads, and no others.
export TEST_PLUGINS="noop publishes"
# wasmtime asks for a newer compiler than the engine does, and is content with the engine's.
cargo build --release --locked --ignore-rust-version --manifest-path "$crate/Cargo.toml" --target-dir "$target"
program=$target/release/plugin-engine-comparison

case "${1:-}" in
    '') "$program" --json "$crate/measured.json" ;;
    --draw) ;;
    *) exec "$program" "$@" ;;
esac
"$program" draw "$crate/measured.json" "$crate/measured.md" "$book"
echo "written: $crate/measured.md, $book/cost-*.svg"
