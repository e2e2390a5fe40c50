//! Has the linker export the functions that stand in front of the system's, so that plugin files find them first.

fn main() {
    println!("cargo:rerun-if-changed=build.rs");
    let target = |key| std::env::var(key).unwrap_or_default();
    if target("CARGO_CFG_TARGET_OS") != "linux" || target("CARGO_CFG_TARGET_ENV") != "gnu" {
        return;
    }
    for name in [
        "pthread_create",
        "pthread_key_create",
        "pthread_key_delete",
        "_exit",
        "_Exit",
    ] {
        println!("cargo:rustc-link-arg-bins=-Wl,--export-dynamic-symbol={name}");
    }
}
