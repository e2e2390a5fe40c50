//! Every file that fuzzing has found to matter goes through its reader again, whole, cut and spoilt. Needs no fuzzer.

use super::*;
use crate::sequence::Sequence;

#[path = "../fuzz/replay.rs"]
mod replaying;

use replaying::{corpus, files, fuzz_dir, run};
use std::panic::catch_unwind;

/// Where the targets lie, and what they are fed.
const FUZZ_DIR: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/fuzz");

/// The most files that are kept for the readers of all crates, and the most bytes of them all.
const FILES_MAX: usize = 300;
const LEN_MAX: usize = 300 * 1_024;
/// How often each file is spoilt.
const SPOILT: usize = 200;

fn replay(name: &str) {
    replaying::replay(&READERS, name, SPOILT);
}

#[test]
fn manifests_that_fuzzing_found_are_answered_as_promised() {
    replay("manifest");
}

#[test]
fn libraries_that_fuzzing_found_are_answered_as_promised() {
    replay("image");
}

#[test]
fn caches_of_the_loader_that_fuzzing_found_are_answered_as_promised() {
    replay("loader_cache");
}

#[test]
fn files_that_fuzzing_found_are_judged_as_promised() {
    replay("verdict");
}

#[test]
fn locks_that_fuzzing_found_are_answered_as_promised() {
    replay("lock");
}

#[test]
fn signatures_that_fuzzing_found_are_answered_as_promised() {
    replay("signature");
}

#[test]
fn configurations_that_fuzzing_found_are_answered_as_promised() {
    replay("config");
}

#[test]
fn marks_of_calls_that_fuzzing_found_are_answered_as_promised() {
    replay("calls");
}

#[test]
fn counts_of_crashes_that_fuzzing_found_are_answered_as_promised() {
    replay("crashes");
}

#[test]
fn questions_that_fuzzing_found_are_answered_as_promised() {
    replay("questions");
}

#[test]
fn schemas_and_settings_that_fuzzing_found_are_judged_as_promised() {
    replay("settings");
}

#[test]
fn answers_of_plugins_that_fuzzing_found_are_borne_as_promised() {
    replaying::replay(&READERS, "boundary", 5);
}

#[test]
fn answers_of_plugins_in_c_that_fuzzing_found_are_borne_as_promised() {
    replaying::replay(&READERS, "boundary_c", 5);
}

#[test]
fn contracts_that_fuzzing_found_are_compared_as_promised() {
    replay("contract");
}

#[test]
fn samples_of_all_formats_are_judged_as_promised() {
    let dir = fuzz_dir().join("../../fixtures/files");
    for (file, bytes) in files(&dir) {
        run(verdict, &bytes, &file, "whole");
    }
}

#[test]
fn the_corpus_is_small() {
    let dirs = std::fs::read_dir(fuzz_dir().join("corpus")).unwrap();
    let names = dirs.map(|dir| dir.unwrap().file_name().into_string().unwrap());
    let files: Vec<_> = names.flat_map(|name| corpus(&name)).collect();
    let len: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(files.len() <= FILES_MAX, "{} files", files.len());
    assert!(len <= LEN_MAX, "{len} bytes");
}

/// The readers of other crates are looked for there.
#[test]
fn every_reader_has_a_target_and_every_target_a_reader() {
    let targets = files(&fuzz_dir().join("fuzz_targets"));
    for (name, _) in READERS {
        let text = targets
            .iter()
            .find(|(file, _)| *file == format!("{name}.rs"));
        let (_, text) = text.unwrap_or_else(|| panic!("{name} has no target"));
        let call = format!("plugin_engine::fuzzing::{name}(bytes)");
        let text = std::str::from_utf8(text).unwrap();
        assert!(text.contains(&call), "{name} calls another reader");
    }
    let of_others = ["plugin_engine_admin::fuzzing::", "damaged_history::"];
    for (file, text) in targets {
        let name = file.strip_suffix(".rs").unwrap();
        let text = String::from_utf8(text).unwrap();
        let is_ours = READERS.iter().any(|(reader, _)| *reader == name);
        let is_theirs = of_others
            .iter()
            .any(|path| text.contains(&format!("{path}{name}(bytes)")));
        assert!(is_ours || is_theirs, "{file} calls no reader");
        let manifest = include_str!("../fuzz/Cargo.toml");
        let path = format!("path = \"fuzz_targets/{file}\"");
        assert!(manifest.contains(&path), "{file} is not built");
    }
}

#[test]
fn a_text_that_could_steer_a_terminal_breaks_the_promise() {
    for (text, breaks) in [
        ("plain ünicode", false),
        ("two\nlines", true),
        ("\u{1b}[31m", true),
        ("\u{202e}", true),
        (&"x".repeat(1_000), false),
        (&"x".repeat(1_001), true),
        ("", true),
    ] {
        let checked = catch_unwind(|| assert_message(text));
        assert_eq!(checked.is_err(), breaks, "{text:?}");
    }
}
