//! Has the linker export the functions that stand in front of the system's from every test, as `plugin-engine` does.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    for name in ["pthread_create", "pthread_key_create", "pthread_key_delete"] {
        println!("cargo:rustc-link-arg-tests=-Wl,--export-dynamic-symbol={name}");
    }
}
