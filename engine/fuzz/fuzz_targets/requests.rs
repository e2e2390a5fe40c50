#![no_main]

use std::sync::Arc;

/// The fuzzer's main function is not Rust's, which has a broken pipe be an error and not the end of the process.
fn bear_broken_pipes() {
    signal_hook::flag::register(signal_hook::consts::SIGPIPE, Arc::default())
        .expect("a signal can be handled");
}

libfuzzer_sys::fuzz_target!(init: bear_broken_pipes(), |bytes: &[u8]| plugin_engine_admin::fuzzing::requests(bytes));
