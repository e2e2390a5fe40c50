#!/usr/bin/env bash
# Runs the models of what threads of the engine do to each other (engine/src/models), with the checkers Loom and Shuttle.
#
#     tests/models.sh             within bounds that fit into two minutes, beside the building
#     tests/models.sh 3           with larger bounds: one more switch of threads for Loom, that many times the orders for Shuttle
#     tests/models.sh --planted   as without it, so that it is known to hold, and then with planted bugs (tests/models/planted): each has to be found by
#                                 the model that it names
#
# MODELS_SEED chooses other orders for Shuttle. Needs nothing but the Rust toolchain; builds in target/models, because the locks of the
# whole engine are exchanged.
set -euo pipefail
cd "$(dirname "$0")/.."

export MODELS_EFFORT=1
planted=false
case "${1:-}" in
    "") ;;
    --planted) planted=true ;;
    *)
        if ! [[ $1 =~ ^[1-9][0-9]?$ ]]; then
            echo "usage: tests/models.sh [EFFORT from 1 to 99 | --planted]" >&2
            exit 2
        fi
        MODELS_EFFORT=$1
        ;;
esac

out=$PWD/target/models
# Nothing of a program that runs a million times is looked at with a debugger.
export CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=0
# One run at a time: two would build each other's sources into the same place.
mkdir -p "$out"
exec {lock}>"$out/lock"
flock "$lock"

# Runs the models of the sources in the current directory with one checker. The names of the models are the other arguments.
run() {
    local checker=$1
    shift
    RUSTFLAGS="--cfg $checker" CARGO_TARGET_DIR="$out/$checker" \
        cargo test --package plugin-engine --lib --features history-sqlite --locked -- --test-threads=1 "$@"
}

# The next build with this checker compiles the packages of this repository. Cargo goes by how old the sources are, and takes those with a planted bug and those
# without for the same package, so that it would run what was built last.
forget_build() {
    rm -rf "$out/$1"/debug/.fingerprint/plugin-*
}

for checker in loom shuttle; do
    printf '\n== %s\n' "$checker"
    if [[ -e $out/$checker/planted ]]; then
        forget_build "$checker"
        rm "$out/$checker/planted"
    fi
    time run "$checker" models::
done
printf '\nAll models hold.\n'
if ! $planted; then
    exit 0
fi

# Each file is a set of bugs for one checker that do not get in each other's way: a difference as of `diff -u`, with a line
# `fails: MODEL` before it for each model that has to find one. The sources are copied, so that nobody has to take them out again.
failed=0
for bugs in tests/models/planted/*.patch; do
    checker=$(basename "$bugs")
    checker=${checker%%-*}
    printf '\n== %s\n' "$bugs"
    rm -rf "$out/sources"
    mkdir -p "$out/sources"
    git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$out/sources"
    patch --directory "$out/sources" --strip=1 --forward --quiet <"$bugs"
    forget_build "$checker"
    mkdir -p "$out/$checker"
    touch "$out/$checker/planted"
    (cd "$out/sources" && RUSTFLAGS="--cfg $checker" CARGO_TARGET_DIR="$out/$checker" \
        cargo test --package plugin-engine --lib --features history-sqlite --locked --no-run)
    while read -r model; do
        # One that hangs has been found, too.
        if (cd "$out/sources" && timeout 120 bash -c "$(declare -f run); out='$out' run $checker --exact $model" >"$out/planted.log" 2>&1); then
            echo "NOT FOUND by $model" >&2
            failed=1
        elif ! grep -qF "$model" "$out/planted.log"; then
            echo "$model did not run:" >&2
            tail -20 "$out/planted.log" >&2
            failed=1
        else
            echo "found by $model"
        fi
    done < <(sed -n 's/^fails: //p' "$bugs")
done
rm -rf "$out/sources"
if ((failed)); then
    exit 1
fi
printf '\nEvery planted bug was found.\n'
