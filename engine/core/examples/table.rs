//! Prints the table of transitions, as it stands in `engine/ARCHITECTURE.md`.

fn main() {
    print!("{}", plugin_engine_core::table());
}
