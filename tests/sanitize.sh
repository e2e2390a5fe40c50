#!/usr/bin/env bash
# Runs integration tests with the engine, the tests and the plugin files instrumented by AddressSanitizer, or by ThreadSanitizer.
#
#     tests/sanitize.sh [--races]             over the tests named below
#     tests/sanitize.sh [--races] --planted   with planted bugs (tests/sanitizers/planted): each has to be found
#
# Builds with the compiler of the workspace, which is told to take options that are not settled yet, in target/sanitize;
# CARGO_PROFILE_DEV_DEBUG=1 has reports say lines, which takes longer to build. Installs llvm-symbolizer from Debian's packages where it is
# missing. tests/README.md says what is covered and what is not.
set -euo pipefail
cd "$(dirname "$0")/.."

sanitizer=address planted=false
for option in "$@"; do
    case "$option" in
        --races) sanitizer=thread ;;
        --planted) planted=true ;;
        *)
            echo "usage: tests/sanitize.sh [--races] [--planted]" >&2
            exit 2
            ;;
    esac
done

# What threads, files and instances go through at the boundary, and the plugin files for it.
tests=(calls isolation panics reloading smoke unmapping)
export TEST_PLUGINS="brings-a-library constructor-mark counter current-thread drop-panics fails fails-permanently gated hangs keeps-a-thread keeps-state noop
    panics panics-in-create panics-in-destroy panics-in-display panics-in-schema schema-is-none stays-mapped thread-locals thread-panics"
# Not run, with the reason.
left_out=(
    # Counts the updates of two seconds, of which a sanitizer leaves too few.
    eight_plugins_that_hang_take_no_update_from_those_that_work
)
if [[ $sanitizer = thread ]]; then
    # What is reported of code that is no longer mapped has no names by which it could be judged.
    tests=(calls isolation panics reloading smoke)
fi
if ! command -v llvm-symbolizer >/dev/null; then
    apt-get update -qq
    apt-get install -y -qq --no-install-recommends llvm >/dev/null
fi

out=$(realpath -m "${CARGO_TARGET_DIR:-target}/sanitize")
mkdir -p "$out"
# One run at a time: two would build into the same place.
exec {lock}>"$out/lock"
flock "$lock"

# The compiler is the one that everything else is built with, so what is looked into is what is shipped.
export RUSTC_BOOTSTRAP=1 CARGO_INCREMENTAL=0 CARGO_PROFILE_DEV_DEBUG=${CARGO_PROFILE_DEV_DEBUG:-0}
# With a target, build scripts and macros are not instrumented. As a variable, the Cargo that builds plugin files is told, too.
CARGO_BUILD_TARGET=$(rustc -vV | sed -n 's/^host: //p')
export CARGO_BUILD_TARGET

export CARGO_TARGET_DIR=$out/$sanitizer
# What is compiled in another way, see there.
export RUSTC_WORKSPACE_WRAPPER=$PWD/tests/sanitizers/rustc-$sanitizer
# Each report is a file of its own, so that one of a process whose end nobody looks at is seen, too.
reports=$out/reports
# The runtime is in the program alone: plugin files find it there, and so the program has to export it.
exported="-Clink-arg=-Wl,--export-dynamic-symbol=__interceptor_*"
case $sanitizer in
    address)
        export RUSTFLAGS="-Zsanitizer=address $exported,--export-dynamic-symbol=__asan_*"
        # Plugin files export the same names by design, which is no bug of theirs (detect_odr_violation). Files that stay mapped, and calls that are
        # abandoned, keep what they have (detect_leaks).
        export ASAN_OPTIONS="log_path=$reports/report:detect_odr_violation=0:detect_leaks=0"
        ;;
    thread)
        # The standard library is not instrumented, which has to be allowed. A thread that hangs is never joined, by design (report_thread_leaks).
        export RUSTFLAGS="-Zsanitizer=thread -Cunsafe-allow-abi-mismatch=sanitizer $exported,--export-dynamic-symbol=__tsan_*"
        export TSAN_OPTIONS="log_path=$reports/report:suppressions=$PWD/tests/sanitizers/races.suppressions:report_thread_leaks=0"
        ;;
esac

forget_reports() {
    rm -rf "$reports"
    mkdir -p "$reports"
}

# Runs tests of the sources in the current directory. The arguments are those of Cargo.
run() {
    cargo test --package plugin-engine-tests --locked "$@"
}

# The next build compiles the packages of this repository: Cargo goes by how old the sources are, and takes those with a planted bug and those without
# for the same package.
forget_build() {
    local crate
    for crate in plugin- fixtures/* plugins/*; do
        rm -rf "$CARGO_TARGET_DIR/$CARGO_BUILD_TARGET/debug/.fingerprint/$(basename "${crate%-}")"-*
    done
}

# Whether there is a report that says this.
reported() {
    grep -rqF -- "$1" "$reports"
}

if ! $planted; then
    if [[ -e $CARGO_TARGET_DIR/planted ]]; then
        forget_build
        rm "$CARGO_TARGET_DIR/planted"
    fi
    forget_reports
    failed=false
    time run --no-fail-fast "${tests[@]/#/--test=}" -- "${left_out[@]/#/--skip=}" || failed=true
    for report in "$reports"/*; do
        if [[ -f $report ]]; then
            cat "$report" >&2
            failed=true
        fi
    done
    if $failed; then
        printf '\nA test failed, or something was reported.\n' >&2
        exit 1
    fi
    printf '\nNothing was found.\n'
    exit 0
fi

# Each file is a set of bugs that do not get in each other's way: a difference as of `git diff`, with two lines before it for each bug, of which
# the first one says which test `fails: FILE TEST` and the second one what the report `says: `. The sources are copied, so that nobody has to take the bugs out again.
failed=false
for bugs in tests/sanitizers/planted/"$sanitizer"/*.patch; do
    printf '\n== %s\n' "$bugs"
    rm -rf "$out/sources"
    mkdir -p "$out/sources" "$CARGO_TARGET_DIR"
    git ls-files -z --cached --others --exclude-standard | tar --create --null --files-from=- | tar --extract --directory "$out/sources"
    patch --directory "$out/sources" --strip=1 --forward --quiet <"$bugs"
    forget_build
    touch "$CARGO_TARGET_DIR/planted"
    while read -r file test && read -r says; do
        forget_reports
        # Whether the test fails is no matter: what is reported is.
        (cd "$out/sources" && run --test "$file" -- --exact "$test") >"$out/planted.log" 2>&1 || true
        if grep -rqF -- "$says" "$reports"; then
            echo "found by $test: $says"
        else
            tail -20 "$out/planted.log" >&2
            echo "NOT FOUND by $test: $says" >&2
            failed=true
        fi
    done < <(sed -nE 's/^(fails|says): //p' "$bugs")
done
rm -rf "$out/sources"
if $failed; then
    exit 1
fi
printf '\nEvery planted bug was found.\n'
