#![no_main]

#[path = "../damaged_history.rs"]
mod damaged_history;

libfuzzer_sys::fuzz_target!(|bytes: &[u8]| damaged_history::history(bytes));
