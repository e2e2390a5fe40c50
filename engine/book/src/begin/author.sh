# In a clone of the repository.
# ANCHOR: new
cargo new --quiet --lib plugins/uptime
cargo add --quiet --offline --package uptime --path plugin-api plugin-api
printf '\n[lib]\ncrate-type = ["cdylib"]\n' >> plugins/uptime/Cargo.toml
# ANCHOR_END: new
# ANCHOR: code
cp engine/book/src/begin/uptime.rs plugins/uptime/src/lib.rs
# ANCHOR_END: code
# ANCHOR: build
cargo build --package uptime --package plugin-engine-cli
export PATH="$PWD/target/debug:$PATH"
plugin-engine inspect target/debug/libuptime.so
# ANCHOR_END: build
# ANCHOR: run
mkdir -p plugins.d
install -m 0644 target/debug/libuptime.so plugins.d/
RUST_LOG=info plugin-engine run --plugins plugins.d --for 3s
# ANCHOR_END: run
