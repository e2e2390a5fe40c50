#![no_main]

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| plugin_engine::fuzzing::boundary_c(bytes));
