#!/bin/sh
# Has promtool check the metrics of a running engine, and a real Prometheus scrape them: as OpenMetrics, without a warning.
# Needs root or sudo where promtool is not there yet (Debian's package prometheus), and curl.
set -eu
root=$(cd "$(dirname "$0")/.." && pwd)
target=${CARGO_TARGET_DIR:-$root/target}

if ! command -v promtool >/dev/null || ! command -v prometheus >/dev/null; then
    as_root=$([ "$(id -u)" = 0 ] || echo sudo)
    $as_root apt-get install --yes --no-install-recommends prometheus >/dev/null
fi

cd "$root"
cargo build --quiet --locked --workspace
dir=$(mktemp -d)
engine=
prometheus=
finish() {
    [ -z "$prometheus" ] || kill "$prometheus" 2>/dev/null || true
    [ -z "$engine" ] || kill "$engine" 2>/dev/null || true
    wait 2>/dev/null || true
    rm -r "$dir"
}
trap finish EXIT

fail() {
    echo "$1" >&2
    exit 1
}

# Waits up to half a minute for something to be so.
await() {
    what=$1
    shift
    for _ in $(seq 300); do
        if "$@" >/dev/null 2>&1; then return; fi
        sleep 0.1
    done
    [ ! -f "$dir/prometheus.log" ] || cat "$dir/prometheus.log" >&2
    fail "waited half a minute for $what"
}

mkdir "$dir/plugins"
for name in clock counter hangs panics; do
    cp "$target/debug/lib$name.so" "$dir/plugins/"
done
"$target/debug/plugin-engine" run --plugins "$dir/plugins" --state "$dir/state" --http 127.0.0.1:0 \
    >/dev/null 2>"$dir/engine.log" &
engine=$!
await "the engine" grep -q 'http://' "$dir/engine.log"
addr=$(sed -n 's|.*http://\([0-9.:]*\);.*|\1|p' "$dir/engine.log" | head -n 1)
metrics="http://$addr/metrics"
await "a panic" sh -c "curl -fsS $metrics | grep -q 'plugin_panics_total{plugin=\"panics\"} [1-9]'"

# What promtool reads is the format of before OpenMetrics.
curl -fsS -H 'Accept: text/plain' "$metrics" >"$dir/classic"
promtool check metrics <"$dir/classic" >"$dir/checked" 2>&1 || { cat "$dir/checked" >&2; fail "promtool complains"; }
[ ! -s "$dir/checked" ] || { cat "$dir/checked" >&2; fail "promtool warns"; }

cat >"$dir/prometheus.yml" <<YAML
global:
  scrape_interval: 1s
  scrape_timeout: 1s
scrape_configs:
  - job_name: plugin-engine
    static_configs:
      - targets: ["$addr"]
YAML
port=$(python3 -c 'import socket; s = socket.socket(); s.bind(("127.0.0.1", 0)); print(s.getsockname()[1])')
prometheus --config.file="$dir/prometheus.yml" --storage.tsdb.path="$dir/data" \
    --web.listen-address="127.0.0.1:$port" --log.level=debug >"$dir/prometheus.log" 2>&1 &
prometheus=$!

query() {
    curl -fsS -G "http://127.0.0.1:$port/api/v1/query" --data-urlencode "query=$1"
}
has() {
    query "$1" | grep -q "\"value\":\[[^]]*\"$2\"\]"
}
await "the scrape" has 'up{job="plugin-engine"}' 1
await "a state" has 'plugin_engine_plugin_state{plugin="clock",state="Error"}' 0
await "a rate" sh -c "curl -fsS -G http://127.0.0.1:$port/api/v1/query --data-urlencode \
    'query=sum(rate(plugin_engine_plugin_updates_total{plugin=\"clock\"}[5s])) > 0' | grep -q '\"value\"'"
await "a quantile" sh -c "curl -fsS -G http://127.0.0.1:$port/api/v1/query --data-urlencode \
    'query=histogram_quantile(0.99, rate(plugin_engine_plugin_update_duration_seconds_bucket{plugin=\"clock\"}[5s]))' | grep -q '\"value\"'"
# Units and kinds come from the OpenMetrics text alone.
curl -fsS "http://127.0.0.1:$port/api/v1/metadata?metric=plugin_engine_plugin_update_duration_seconds" |
    grep -q '"type":"histogram"' || fail "the kind of a metric has not come through"
if grep -E 'level=(warn|error)' "$dir/prometheus.log" | grep -i scrape; then
    fail "Prometheus warns of what it has scraped"
fi
echo "promtool and Prometheus are content with $(grep -c -v '^#' "$dir/classic") samples"
