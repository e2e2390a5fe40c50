//! Every file that fuzzing has found to matter goes through its reader again, whole, cut and spoilt. Needs no fuzzer.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::*;
use crate::sequence::Sequence;

/// The most files that are kept, and the most bytes of them all.
const FILES_MAX: usize = 150;
const LEN_MAX: usize = 300 * 1_024;
/// At how many places each file is cut, and how often it is spoilt.
const CUTS: usize = 16;
const SPOILT: usize = 200;

fn fuzz_dir() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("fuzz")
}

/// The files of a directory by name, each with its bytes.
fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
    let entries =
        std::fs::read_dir(dir).unwrap_or_else(|error| panic!("{}: {error}", dir.display()));
    let mut files: Vec<_> = entries
        .map(|entry| entry.unwrap().path())
        .filter(|path| path.is_file())
        .map(|path| {
            let name = path.file_name().unwrap().to_str().unwrap().to_owned();
            (name, std::fs::read(path).unwrap())
        })
        .collect();
    files.sort();
    files
}

fn corpus(reader: &str) -> Vec<(String, Vec<u8>)> {
    files(&fuzz_dir().join("corpus").join(reader))
}

/// Runs a reader, and says over what it failed.
fn run(reader: Reader, bytes: &[u8], file: &str, what: &str) {
    if catch_unwind(AssertUnwindSafe(|| reader(bytes))).is_err() {
        panic!("{file}, {what}: the reader does not keep its promise, see above");
    }
}

/// The same bytes with one to four of them changed, most of them near the beginning, where headers are.
fn spoilt(bytes: &[u8], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = bytes.to_vec();
    for _ in 0..=sequence.below(4) {
        let among = if sequence.below(2) == 0 {
            256
        } else {
            bytes.len()
        };
        let at = sequence.below(among.min(bytes.len()));
        bytes[at] = match sequence.below(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ (1 << sequence.below(8)),
            _ => sequence.below(256) as u8,
        };
    }
    bytes
}

/// Runs a reader over the files of its corpus: whole, cut and spoilt.
fn replay(name: &str) {
    let (_, reader) = READERS
        .into_iter()
        .find(|(known, _)| *known == name)
        .unwrap();
    let files = corpus(name);
    assert!(!files.is_empty());
    for (file, bytes) in files {
        run(reader, &bytes, &file, "whole");
        for share in 0..CUTS {
            let len = bytes.len() * share / CUTS;
            run(reader, &bytes[..len], &file, &format!("cut at {len}"));
        }
        if bytes.is_empty() {
            continue;
        }
        let mut sequence = Sequence(0x5eed_0006);
        for round in 0..SPOILT {
            let bytes = spoilt(&bytes, &mut sequence);
            run(
                reader,
                &bytes,
                &file,
                &format!("spoilt for the {round}th time"),
            );
        }
    }
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
fn samples_of_all_formats_are_judged_as_promised() {
    let dir = fuzz_dir().join("../../fixtures/files");
    for (file, bytes) in files(&dir) {
        run(verdict, &bytes, &file, "whole");
    }
}

#[test]
fn the_corpus_is_small() {
    let files: Vec<_> = READERS.iter().flat_map(|(name, _)| corpus(name)).collect();
    let len: usize = files.iter().map(|(_, bytes)| bytes.len()).sum();
    assert!(files.len() <= FILES_MAX, "{} files", files.len());
    assert!(len <= LEN_MAX, "{len} bytes");
}

#[test]
fn every_reader_has_a_target_and_every_target_a_reader() {
    let mut readers = READERS.map(|(name, _)| name.to_owned());
    readers.sort();
    let targets = files(&fuzz_dir().join("fuzz_targets"));
    let stem = |name: &str| name.strip_suffix(".rs").unwrap().to_owned();
    let names: Vec<String> = targets.iter().map(|(name, _)| stem(name)).collect();
    assert_eq!(names, readers);
    for (name, text) in targets {
        let text = String::from_utf8(text).unwrap();
        let call = format!("plugin_engine::fuzzing::{}(bytes)", stem(&name));
        assert!(text.contains(&call), "{name} calls another reader");
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
