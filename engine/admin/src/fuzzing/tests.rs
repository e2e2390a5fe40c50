//! Everything that fuzzing has found to matter is read again, whole, cut and spoilt. Needs no fuzzer.

use super::READERS;

#[path = "../../../fuzz/replay.rs"]
mod replaying;
#[path = "../../../src/sequence.rs"]
mod sequence;

use replaying::{files, fuzz_dir, replay};
use sequence::Sequence;

/// Where the targets lie, and what they are fed.
const FUZZ_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/../fuzz");

#[test]
fn requests_that_fuzzing_found_are_answered_as_promised() {
    replay(&READERS, "requests", 50);
}

#[test]
fn tokens_that_fuzzing_found_are_taken_or_refused_as_promised() {
    replay(&READERS, "token", 50);
}

#[test]
fn values_that_fuzzing_found_are_read_as_promised() {
    replay(&READERS, "wire", 50);
}

#[test]
fn every_value_of_the_wire_is_read_as_promised() {
    let dir = fuzz_dir().join("../wire/fixtures");
    for (file, bytes) in files(&dir) {
        replaying::run(super::wire, &bytes, &file, "whole");
    }
}

#[test]
fn every_reader_has_a_target_that_calls_it() {
    let targets = files(&fuzz_dir().join("fuzz_targets"));
    for (name, _) in READERS {
        let target = targets
            .iter()
            .find(|(file, _)| *file == format!("{name}.rs"));
        let (_, text) = target.unwrap_or_else(|| panic!("{name} has no target"));
        let call = format!("plugin_engine_admin::fuzzing::{name}(bytes)");
        assert!(String::from_utf8_lossy(text).contains(&call), "{name}");
    }
}
