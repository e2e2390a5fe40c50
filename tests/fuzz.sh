#!/usr/bin/env bash
# Fuzzes every reader of bytes that somebody else has written, one after the other. SECONDS for each; 200 by default, which is an hour
# for all eighteen. Needs a nightly compiler (rustup toolchain install nightly) and installs cargo-fuzz where it is missing.
#
# What is found lies in engine/fuzz/artifacts, and new inputs in engine/fuzz/target/corpus; engine/fuzz/README.md says what to do with either.
set -euo pipefail
cd "$(dirname "$0")/../engine/fuzz"

seconds=${1:-200}
if ! [[ $seconds =~ ^[1-9][0-9]{0,5}$ ]]; then
    echo "usage: tests/fuzz.sh [SECONDS-PER-TARGET]" >&2
    exit 2
fi
if ! cargo +nightly --version >/dev/null 2>&1; then
    echo "fuzzing needs a nightly compiler: rustup toolchain install nightly" >&2
    exit 1
fi
if ! cargo fuzz --version >/dev/null 2>&1; then
    cargo install cargo-fuzz --locked
fi

samples=../../fixtures/files
failed=()
for file in fuzz_targets/*.rs; do
    target=$(basename "$file" .rs)
    # New inputs go to the first directory; the others are only read.
    inputs=("target/corpus/$target" "corpus/$target")
    case $target in
        image | verdict) inputs+=("$samples") ;;
        signature) inputs+=("$samples/signatures") ;;
    esac
    options=(-max_total_time="$seconds" -rss_limit_mb=1024 -malloc_limit_mb=256 -max_len=65536 -timeout=10 -print_final_stats=1)
    if [[ -f dictionaries/$target.dict ]]; then
        options+=(-dict="dictionaries/$target.dict")
    fi
    mkdir -p "target/corpus/$target"
    printf '\n== %s\n' "$target"
    cargo +nightly fuzz run "$target" "${inputs[@]}" -- "${options[@]}" || failed+=("$target")
done

if ((${#failed[@]} > 0)); then
    printf '\nFound something in: %s. The inputs are in engine/fuzz/artifacts.\n' "${failed[*]}" >&2
    exit 1
fi
printf '\nNothing was found.\n'
