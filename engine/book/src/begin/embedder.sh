# In a clone of the repository.
# ANCHOR: run
mkdir -p plugins.d
cargo build --package clock
install -m 0644 target/debug/libclock.so plugins.d/
cargo run --package plugin-engine --example embed -- plugins.d
# ANCHOR_END: run
