#!/usr/bin/env bash
# Builds the book under engine/book, follows its links, and runs the commands of its quick starts on a clean clone of what is committed.
# Installs mdbook into the target directory where it is missing (cargo install), and Python from Debian's packages. The book then
# lies in `book` of the target directory. What chapters show of commands is compared by `cargo test --package plugin-engine-tests --test book`.
# With `--install` nothing is done beyond installing.
set -euo pipefail
cd "$(dirname "$0")/.."

mdbook_version=0.5.4
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

if ! command -v python3 >/dev/null 2>&1; then
    # Elsewhere than on Debian somebody has to install it by hand.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends python3 >/dev/null
fi
mdbook=$target/tools/bin/mdbook
if [ "$("$mdbook" --version 2>/dev/null)" != "mdbook v$mdbook_version" ]; then
    cargo install mdbook --quiet --locked --version "$mdbook_version" --no-default-features --features search \
        --root "$target/tools" --target-dir "$target/tools/build"
    rm -rf "$target/tools/build"
fi
if [ "${1:-}" = --install ]; then
    exit 0
fi

work=$(mktemp -d)
# A quick start that failed may have left its engine behind.
trap 'rm -rf "$work"' EXIT

said=$work/said
rm -rf "$target/book"
"$mdbook" build engine/book --dest-dir "$target/book" 2>&1 | tee "$said"
# What it cannot include it only mentions.
if grep -qE 'WARN|ERROR' "$said"; then
    fail "the book was not built without a word"
fi
if grep -rnF '{{#' "$target/book" --include='*.html'; then
    fail "something was not included"
fi
PYTHONDONTWRITEBYTECODE=1 python3 tests/book/links.py "$target/book"

# As people who have just cloned it: nothing but what is committed. Foreign crates are those that the tests have built already.
clone=$target/quick-start
rm -rf "$clone"
git clone --quiet . "$clone"
ln -s "$target" "$clone/target"
for start in operator author embedder; do
    printf '\n== the quick start of the %s\n' "$start"
    (
        cd "$clone"
        unset CARGO_TARGET_DIR PLUGIN_ENGINE_STATE
        timeout 1500 bash -euo pipefail -m "engine/book/src/begin/$start.sh"
    ) >"$work/$start.said" 2>&1 || { cat "$work/$start.said" >&2; fail "the quick start of the $start"; }
    tail -n 25 "$work/$start.said"
done
# Each has come to where it says that it comes.
grep -q 'clock .*shut_down' "$work/operator.said" || fail "the operator's engine did not stop in order"
grep -q 'would be loaded' "$work/author.said" || fail "the author's plugin would not be loaded"
grep -q 'still here' "$work/author.said" || fail "the author's plugin said nothing"
grep -q '^clock is Enabled after' "$work/embedder.said" || fail "the embedder's program did not end well"
echo
echo "The book is built: $target/book/index.html"
