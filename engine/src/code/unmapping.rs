//! 050x: unmapping.

super::codes! {
    UNMAP_BUSY = "PE0501", "a file that is being unmapped occupies the loader" {
        cause: "A file whose `unmap` is `when-safe` is being unmapped, and code of it that runs at its end (a destructor of the library) hangs. The system's loader does one file at a time, so nothing else can be loaded until it returns.",
        example: "plugins.d/libsystem.so: waits for plugins.d/libclock.so, which is being unmapped and whose code that runs at its end has not returned [PE0501]",
        remedy: "Give back what the plugin holds in `destroy`, which has a deadline of its own. Restart the engine to get rid of a destructor that never returns, and leave `unmap` at `never` for that plugin.",
    }
}
