#!/usr/bin/env bash
# The history of an engine, asked with the shell of SQLite as engine/history-store/SCHEMA.md says: while the engine runs, after it was killed, and after a stop.
set -euo pipefail
cd "$(dirname "$0")/.."

if ! command -v sqlite3 >/dev/null 2>&1; then
    # Elsewhere than on Debian somebody has to install it by hand.
    as_root=()
    [ "$(id -u)" = 0 ] || as_root=(sudo)
    "${as_root[@]}" apt-get update -qq
    "${as_root[@]}" apt-get install -y -qq --no-install-recommends sqlite3 >/dev/null
fi

fail() { printf 'FAILED: %s\n' "$*" >&2; exit 1; }

cargo build --quiet --locked --workspace
target=$(cargo metadata --format-version 1 --no-deps --locked | sed 's/.*"target_directory":"\([^"]*\)".*/\1/')/debug

dir=$(mktemp -d)
trap 'kill -9 "${engine:-}" 2>/dev/null || true; rm -rf "$dir"' EXIT
mkdir "$dir/plugins"
# The plugin that the documented questions ask about, and one that fails.
cp "$target/libnoop.so" "$dir/plugins/noop.so"
cp "$target/libfails.so" "$dir/plugins/fails.so"
printf '[[plugin]]\nid = "plugin-1"\nfile = "noop.so"\ninterval = "10ms"\n[[plugin]]\nid = "fails"\nfile = "fails.so"\ninterval = "10ms"\n' > "$dir/engine.toml"

ask() { sqlite3 -readonly -bail "$dir/state/history.db" "$1"; }

start() {
    "$target/plugin-engine" run --no-watch --plugins "$dir/plugins" --config "$dir/engine.toml" --state "$dir/state" >/dev/null 2>"$dir/said" &
    engine=$!
}

# Waits until the question has an answer other than 0.
await() {
    for _ in $(seq 600); do
        answer=$(ask "$1" 2>/dev/null || true)
        [ -n "$answer" ] && [ "$answer" != 0 ] && return
        kill -0 "$engine" 2>/dev/null || { cat "$dir/said" >&2; fail "the engine has ended"; }
        sleep 0.1
    done
    fail "no answer within a minute: $1"
}

# Every question of the documentation, each with an answer.
ask_all() {
    local question='' asked=0 inside=0
    while IFS= read -r line; do
        case "$line" in
            '```sql') inside=1; question='' ;;
            '```') if [ "$inside" = 1 ]; then
                    inside=0
                    asked=$((asked + 1))
                    [ -n "$(ask "$question")" ] || fail "no answer $1: $question"
                fi ;;
            *) [ "$inside" = 1 ] && question+="$line"$'\n' ;;
        esac
    done < engine/history-store/SCHEMA.md
    [ "$asked" -ge 5 ] || fail "only $asked questions are documented"
    echo "$asked questions answered $1"
}

start
await "SELECT count(*) > 50 FROM transitions WHERE error_kind IS NOT NULL"
ask_all "while the engine runs"
kill -9 "$engine"
wait "$engine" 2>/dev/null || true
ask_all "after it was killed"
start
await "SELECT count(*) = 2 FROM engine_runs"
kill -TERM "$engine"
wait "$engine" || fail "the engine did not stop in order"
ask_all "after a stop"
[ "$(ask "SELECT stopped_at IS NULL, lost_last IS NULL FROM engine_runs ORDER BY started_seq")" = $'1|1\n0|0' ] ||
    fail "the two runs: $(ask "SELECT * FROM engine_runs")"
# All numbers stand for something: transitions, starts and stops, what was lost, folded or left as a gap.
missing=$(ask "SELECT (SELECT max(stopped_seq) FROM engine_runs) - (SELECT count(*) FROM transitions) - (SELECT count(*) + count(stopped_seq) + ifnull(sum(lost_last - lost_first + 1), 0) FROM engine_runs) - (SELECT ifnull(sum(transitions), 0) FROM folded) - (SELECT ifnull(sum(transitions), 0) FROM gaps)")
[ "$missing" = 0 ] || fail "$missing numbers stand for nothing"
echo "the history is complete"
