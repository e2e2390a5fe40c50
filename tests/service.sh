#!/usr/bin/env bash
# Checks the files for running the engine as a service, in `engine/docs/service`, with Debian's own linters: systemd-analyze, yamllint and
# promtool. Installs those that are absent (as root, from Debian's packages). Part of `.ci/run`.
set -euo pipefail
cd "$(dirname "$0")/.."

need() {
    command -v "$1" >/dev/null 2>&1 && return
    # Once is enough.
    [[ ${updated:-} ]] || apt-get update -q >/dev/null
    updated=yes
    apt-get install -q -y --no-install-recommends "$2" >/dev/null
}
need systemd-analyze systemd
need yamllint yamllint
need promtool prometheus
need jq jq
/usr/bin/python3 -c 'import seccomp' 2>/dev/null || {
    [[ ${updated:-} ]] || apt-get update -q >/dev/null
    apt-get install -q -y --no-install-recommends python3-seccomp >/dev/null
}

cargo build --quiet --locked --workspace
target=$(realpath "${CARGO_TARGET_DIR:-target}")/debug
docs=engine/docs/service
dir=$(mktemp -d)
trap 'rm -rf "$dir"' EXIT
ok() { printf 'ok: %s\n' "$1"; }
fail() {
    printf '%s\n' "$@" >&2
    exit 1
}

# The unit, with the program where it was built.
sed "s|/usr/local/bin/plugin-engine|$target/plugin-engine|" "$docs/plugin-engine.service" >"$dir/plugin-engine.service"
grep -q "^ExecStart=$target/plugin-engine run " "$dir/plugin-engine.service" || fail 'the unit does not start the program'
said=$(systemd-analyze verify --man=no "$dir/plugin-engine.service" 2>&1) || fail "$said"
[[ -z $said ]] || fail "$said"
ok 'systemd-analyze verify has nothing to say of the unit'
said=$(systemd-analyze security --offline=true --threshold=20 "$dir/plugin-engine.service" 2>&1) || fail "$said"
ok "systemd-analyze security: $(grep -o 'Overall exposure.*[0-9]' <<<"$said")"

# The drop-in is for a later systemd than that of Debian 12.
version=$(systemd-analyze --version | awk 'NR == 1 { print $2 }')
if ((version >= 253)); then
    mkdir "$dir/plugin-engine.service.d"
    cp "$docs/notify-reload.conf" "$dir/plugin-engine.service.d/"
    said=$(systemd-analyze verify --man=no "$dir/plugin-engine.service" 2>&1) || fail "$said"
    [[ -z $said ]] || fail "$said"
    ok 'systemd-analyze verify has nothing to say of the drop-in'
fi

# What the unit forbids does not keep plugin files from being loaded: memory that is written and then run is refused from here on.
mkdir "$dir/plugins"
cp "$target/libclock.so" "$dir/plugins/"
cat >"$dir/confined.py" <<'PYTHON'
import ctypes, mmap, os, sys
PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN = 65, 1
if ctypes.CDLL(None).prctl(PR_SET_MDWE, PR_MDWE_REFUSE_EXEC_GAIN, 0, 0, 0) != 0:
    sys.exit(77)
try:
    mmap.mmap(-1, 4096, prot=mmap.PROT_READ | mmap.PROT_WRITE | mmap.PROT_EXEC)
    sys.exit("memory could be written and run all the same")
except PermissionError:
    os.execv(sys.argv[1], sys.argv[1:])
PYTHON
status=0
run=("$target/plugin-engine" run --plugins "$dir/plugins" --cycles 1 --json)
said=$(/usr/bin/python3 "$dir/confined.py" "${run[@]}" 2>&1) || status=$?
if [[ $status == 77 ]]; then
    printf 'skipped: this kernel cannot refuse memory that is written and run\n'
elif [[ $status != 0 || $said != *'"update_completed"'* ]]; then
    fail 'a plugin does not run where memory may not be written and run:' "$said"
else
    ok 'a plugin runs where memory may not be written and run'
fi

yamllint --strict -d '{extends: default, rules: {line-length: {max: 140}}}' "$docs/kubernetes.yaml"
ok 'yamllint has nothing to say of the manifest'

# Nor do the system calls that it forbids: the same set as a filter, with what a state directory and HTTP need.
cat >"$dir/filtered.py" <<'PYTHON'
import ctypes, os, re, subprocess, sys
import seccomp

def calls(name):
    said = subprocess.run(["systemd-analyze", "syscall-filter", name], capture_output=True, text=True, check=True)
    words = [line.strip() for line in said.stdout.splitlines()[1:]]
    found = set()
    for word in words:
        if word.startswith("@"):
            found |= calls(word)
        elif word and not word.startswith("#"):
            found.add(word)
    return found

allowed = calls("@default")
for line in re.findall(r"^SystemCallFilter=(.*)$", open(sys.argv[1]).read(), re.M):
    named = set().union(*(calls(name) for name in line.lstrip("~").split()))
    allowed = allowed - named if line.startswith("~") else allowed | named
PR_SET_NO_NEW_PRIVS, EPERM = 38, 1
rules = seccomp.SyscallFilter(seccomp.ERRNO(EPERM))
for name in sorted(allowed):
    try:
        rules.add_rule(seccomp.ALLOW, name)
    except RuntimeError:
        pass  # Of another kind of machine.
ctypes.CDLL(None).prctl(PR_SET_NO_NEW_PRIVS, 1, 0, 0, 0)
try:
    rules.load()
except Exception:
    sys.exit(77)
try:
    os.nice(-1)
    sys.exit("a call that is forbidden was made")
except PermissionError:
    os.execv(sys.argv[2], sys.argv[2:])
PYTHON
status=0
said=$(/usr/bin/python3 "$dir/filtered.py" "$docs/plugin-engine.service" "${run[@]}" --state "$dir/state" --http 127.0.0.1:0 2>&1) || status=$?
if [[ $status == 77 ]]; then
    printf 'skipped: no filter of system calls can be set here\n'
elif [[ $status != 0 || $said != *'"update_completed"'* ]]; then
    fail 'a plugin does not run under the filter of system calls:' "$said"
else
    ok 'a plugin, a state directory and HTTP run under the filter of system calls'
fi

# The arguments of the manifest, the container file and the unit are such as the program takes.
help=$("$target/plugin-engine" run --help)
cat "$docs/kubernetes.yaml" "$docs/Containerfile" "$docs/plugin-engine.service" |
    grep -v '^ *#' | grep -E '^ExecStart|^CMD|^ +- --' | grep -oE -- '--[a-z-]+' | sort -u >"$dir/arguments"
[[ -s $dir/arguments ]] || fail 'no arguments were found'
while read -r argument; do
    grep -qE -- "$argument( |\$|=)" <<<"$help" || fail "run has no $argument"
done <"$dir/arguments"
ok "run takes $(paste -sd ' ' "$dir/arguments")"

# The queries of the dashboard, as rules: promtool reads no dashboards.
jq -r '.. | .expr? // empty' "$docs/grafana-dashboard.json" |
    sed -e 's/\$__rate_interval/5m/g' -e 's/\$[a-z]*/.*/g' >"$dir/queries"
[[ $(wc -l <"$dir/queries") -gt 20 ]] || fail 'the dashboard has too few queries'
{
    printf 'groups:\n  - name: dashboard\n    rules:\n'
    awk -v q="'" '{ gsub(q, q q); printf "      - record: query:%d\n        expr: %s%s%s\n", NR, q, $0, q }' "$dir/queries"
} >"$dir/rules.yaml"
said=$(promtool check rules "$dir/rules.yaml" 2>&1) || fail "$said"
ok "promtool reads $(wc -l <"$dir/queries") queries of the dashboard"
