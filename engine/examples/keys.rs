//! Prints the reference of configuration keys, as it stands in the book:
//! `cargo run --package plugin-engine --example keys > engine/book/src/reference/configuration-keys.md`.

fn main() {
    print!("{}", plugin_engine::config::key_reference());
}
