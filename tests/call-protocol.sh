#!/usr/bin/env bash
# Checks the model of the call protocol, tests/call-protocol.pml, with Spin: every state that it can get into. Then plants each bug that
# the model has (`#ifdef BUG_…`), which has to be found. Installs Spin from Debian's packages where it is missing.
set -euo pipefail
# Also in $(…): a model that Spin or the compiler refuses must end the script, not be looked at with the checker of the one before.
shopt -s inherit_errexit
cd "$(dirname "$0")/.."

if ! command -v spin >/dev/null || ! command -v gcc >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq spin gcc libc6-dev >/dev/null
fi
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
# Beside the checker, because that is where Spin looks for the path to an error.
cp tests/call-protocol.pml "$dir"
model=call-protocol.pml
cd "$dir"

# Makes a checker of the model with these definitions and looks at every state: for what is asserted and for an end that is none, or
# for a property of all moments.
check() {
    local property=$1
    shift
    local how=(-DNOCLAIM) which=()
    if [[ $property != none ]]; then
        how=()
        which=(-N "$property")
    fi
    spin -a "$@" "$model" >spin.log || {
        cat spin.log >&2
        return 1
    }
    gcc -O2 -w -DSAFETY -DCOLLAPSE "${how[@]}" -o pan pan.c
    ./pan -m1000000 -w24 "${which[@]}" 2>/dev/null
}

for property in none stays_unloaded can_be_called_again; do
    said=$(check "$property")
    if ! grep -q 'errors: 0' <<<"$said" || grep -qE 'max search depth too small|Search not completed' <<<"$said"; then
        printf '%s\n' "$said"
        spin -t -p -g "$model" | tail -60 || true
        echo "the call protocol does not hold: $property" >&2
        exit 1
    fi
    printf '%-20s holds in %s states\n' "$property" "$(sed -n 's/ *\([0-9.e+]*\) states, stored.*/\1/p' <<<"$said")"
done

failed=0
for bug in $(grep -oE 'BUG_[A-Z_]+' "$model" | sort -u); do
    found=
    for property in none stays_unloaded can_be_called_again; do
        said=$(check "$property" "-D$bug")
        if grep -q 'errors: [1-9]' <<<"$said"; then
            found=$property
            break
        fi
    done
    if [[ -z $found ]]; then
        echo "NOT FOUND: $bug" >&2
        failed=1
    else
        printf '%-46s found by %s\n' "$bug" "$found"
    fi
done
exit "$failed"
