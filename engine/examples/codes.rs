//! Prints the reference of all codes, as it stands in `engine/CODES.md`:
//! `cargo run --package plugin-engine --example codes > engine/CODES.md`.

use plugin_engine::Code;

fn main() {
    print!("{}", Code::reference());
}
