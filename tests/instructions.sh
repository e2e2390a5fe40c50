#!/usr/bin/env bash
# Counts the instructions of an update, of a read of a snapshot, of an event and of a question to the history with Valgrind's callgrind, and compares them with
# those of engine/benches/baseline.toml: which a busy machine does not change, as it does times. `--write` stores what was counted instead.
# Words after that are the names of those to count. Installs valgrind from Debian's packages where it is missing.
set -euo pipefail
cd "$(dirname "$0")/.."

# By how many percent an operation may differ from the baseline. What one thread does by itself differs by less than a tenth of one from run to run; where workers
# share the work it depends on who comes when.
tolerance_percent() {
    case "$1" in
        snapshot_read | history_newest_1000) echo 0.5 ;;
        event_heard | event_unheard) echo 1 ;;
        *) echo 5 ;;
    esac
}
baseline=engine/benches/baseline.toml

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

write=0
if [ "${1:-}" = --write ]; then
    write=1
    shift
fi
wanted=" $* "

if ! command -v valgrind >/dev/null 2>&1; then
    # Elsewhere than on Debian somebody has to install it by hand.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends valgrind >/dev/null
fi

# The plugins that it loads, and no others.
export TEST_PLUGINS="noop publishes"
program=$(cargo bench --no-run --locked --package plugin-engine-bench --features callgrind --bench instructions --message-format json |
    sed -n 's/.*"name":"instructions".*"executable":"\([^"]*\)".*/\1/p' | tail -n 1)
[ -x "$program" ] || fail "the program to count was not built"
# Builds the plugins, too, which is not to be counted.
"$program" snapshots 1

work=$(mktemp -d)
trap 'rm -rf "$work"' EXIT

# All instructions of each thread of one run, a line a thread, in the order in which they were started.
count() {
    rm -f "$work"/out*
    valgrind --tool=callgrind --separate-threads=yes --callgrind-out-file="$work/out" "$program" "$1" "$2" >"$work/said" 2>&1 ||
        { cat "$work/said" >&2; fail "$1 $2"; }
    local file
    for file in "$work"/out-*; do
        # Written twice over: for a part of the run and for the whole.
        awk '/^(summary|totals):/ { said = $2 } END { print said + 0 }' "$file"
    done
}

# What one operation takes: what to run, few, many, operations in each of these; and by whom: the thread that asks, which is the first one, or all others. Those
# are the workers: another one may lend a hand, and the rest does next to nothing.
per_operation() {
    count "$1" "$2" >"$work/few"
    count "$1" "$3" >"$work/many"
    awk -v of="$((($3 - $2) * $4))" -v who="$5" '
        { if (FNR == NR) sign = -1; else sign = 1 }
        FNR == 1 { asking += sign * $1; next }
        { others += sign * $1 }
        END { printf "%.2f\n", (who == "asking" ? asking : who == "others" ? others : asking + others) / of }' "$work/few" "$work/many"
}

# As many as make what differs by chance small.
measure() {
    case "$1" in
        update_worker) per_operation updates 10 110 1000 others ;;
        update_cycle) per_operation updates 10 110 1000 asking ;;
        snapshot_read) per_operation snapshots 1000 101000 1 asking ;;
        event_heard) per_operation events 5 55 1000 both ;;
        event_unheard) per_operation events-unheard 5 55 1000 both ;;
        history_newest_1000) per_operation queries 10 1010 1 asking ;;
    esac
}

stored() { sed -n "s/^$1 = //p" "$baseline" 2>/dev/null || true; }

compiler=$(rustc --version | cut -d ' ' -f 2)
results=$work/results
changed=0
printf '%-22s %12s %12s %9s\n' 'instructions' 'counted' 'stored' 'differs'
for name in update_worker update_cycle snapshot_read event_heard event_unheard history_newest_1000; do
    [ "$wanted" = '  ' ] || [[ $wanted == *" $name "* ]] || continue
    counted=$(measure "$name")
    echo "$name = $counted" >>"$results"
    before=$(stored "$name")
    differs=$(awk -v now="$counted" -v before="${before:-0}" 'BEGIN { if (before > 0) printf "%+.2f %%", 100 * (now - before) / before; else print "new" }')
    printf '%-22s %12s %12s %9s\n' "$name" "$counted" "${before:--}" "$differs"
    awk -v now="$counted" -v before="${before:-0}" -v most="$(tolerance_percent "$name")" \
        'BEGIN { exit !(before > 0 && 100 * (now - before) / before <= most && 100 * (before - now) / before <= most) }' || changed=$((changed + 1))
done

if [ "$write" = 1 ]; then
    [ "$wanted" = '  ' ] || fail "a baseline is of all of them"
    {
        echo "# Instructions per operation, counted by callgrind and stored by tests/instructions.sh --write. Other compilers and C libraries make other figures."
        echo "compiler = \"$compiler\""
        cat "$results"
    } >"$baseline"
    echo "stored in $baseline"
    exit 0
fi
if [ "$(stored compiler)" != "\"$compiler\"" ]; then
    echo "the baseline was stored with the compiler $(stored compiler), this one is \"$compiler\": store it anew before judging by it"
fi
[ "$changed" = 0 ] || fail "$changed differ by more than chance: mend it, or store what is so on purpose with --write"
