//! Prints what `engine/UNSAFE.md` is to hold.

fn main() {
    print!("{}", plugin_engine_tests::unsafe_inventory());
}
