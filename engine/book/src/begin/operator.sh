# In a clone of the repository.
# ANCHOR: build
cargo build --package plugin-engine-cli --package clock --package system
export PATH="$PWD/target/debug:$PATH"
# ANCHOR_END: build
# ANCHOR: run
mkdir plugins.d
install -m 0644 target/debug/libclock.so target/debug/libsystem.so plugins.d/
plugin-engine run --plugins plugins.d --state state &
# ANCHOR_END: run
# ANCHOR: ask
until plugin-engine readiness >/dev/null 2>&1; do sleep 0.2; done
plugin-engine status
plugin-engine display clock
plugin-engine why system
plugin-engine history clock --limit 5
# ANCHOR_END: ask
# ANCHOR: change
plugin-engine disable system
plugin-engine enable system
printf 'interval = "5s"\n' > plugins.d/libclock.toml
plugin-engine config check plugins.d/libclock.toml
# ANCHOR_END: change
# ANCHOR: end
kill %1
wait %1
plugin-engine history clock --limit 1
# ANCHOR_END: end
