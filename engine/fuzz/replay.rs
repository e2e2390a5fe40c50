//! Feeds what is kept in `corpus/` to the readers again: whole, cut and spoilt. Needs no fuzzer; part of the tests of each crate that
//! has readers.
//!
//! What lives here: which bytes a reader is given. What never will: what it promises.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::{Path, PathBuf};

use super::{FUZZ_DIR, Sequence};

/// Checks what one reader makes of some bytes.
pub(crate) type Reader = fn(&[u8]);

/// At how many places each file is cut.
const CUTS: usize = 16;

/// The directory of the targets and of what they are fed.
pub(crate) fn fuzz_dir() -> PathBuf {
    PathBuf::from(FUZZ_DIR)
}

/// The files of a directory by name, each with its bytes.
pub(crate) fn files(dir: &Path) -> Vec<(String, Vec<u8>)> {
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

/// What is kept for one reader.
pub(crate) fn corpus(reader: &str) -> Vec<(String, Vec<u8>)> {
    files(&fuzz_dir().join("corpus").join(reader))
}

/// Runs a reader, and says over what it failed.
pub(crate) fn run(reader: Reader, bytes: &[u8], file: &str, what: &str) {
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

/// Runs a reader over the files of its corpus: whole, cut and so many times spoilt.
pub(crate) fn replay(readers: &[(&str, Reader)], name: &str, times: usize) {
    let known = readers.iter().find(|(known, _)| *known == name);
    let (_, reader) = *known.unwrap();
    let files = corpus(name);
    assert!(!files.is_empty(), "nothing is kept for {name}");
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
        for round in 0..times {
            let bytes = spoilt(&bytes, &mut sequence);
            let what = format!("spoilt for the {round}th time");
            run(reader, &bytes, &file, &what);
        }
    }
}
