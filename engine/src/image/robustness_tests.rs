//! Whatever the bytes are, an answer comes, and comes soon.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use super::samples::SAMPLES;
use super::*;
use crate::sequence::Sequence;

fn is_library(path: &Path) -> bool {
    let path = path.to_string_lossy();
    path.ends_with(".so") || path.contains(".so.")
}

/// Some libraries of the system, found without following links.
fn system_libraries(limit: usize) -> Vec<PathBuf> {
    let mut found = Vec::new();
    let mut dirs = vec![PathBuf::from("/usr/lib")];
    while let Some(dir) = dirs.pop() {
        let Ok(entries) = std::fs::read_dir(dir) else {
            continue;
        };
        for entry in entries.flatten() {
            let path = entry.path();
            match entry.file_type() {
                Ok(kind) if kind.is_dir() => dirs.push(path),
                Ok(kind) if kind.is_file() && is_library(&path) => {
                    found.push(path);
                }
                _ => {}
            }
            if found.len() == limit {
                return found;
            }
        }
    }
    found
}

/// The files that this process has mapped, other than itself.
fn mapped_libraries() -> Vec<PathBuf> {
    let maps = std::fs::read_to_string("/proc/self/maps").unwrap_or_default();
    let mut found: Vec<PathBuf> = maps
        .lines()
        .filter_map(|line| line.find('/').map(|at| PathBuf::from(&line[at..])))
        .filter(|path| is_library(path))
        .collect();
    found.dedup();
    found
}

#[test]
fn the_libraries_of_this_process_are_read_and_fit_this_machine() {
    for path in mapped_libraries() {
        let bytes = std::fs::read(&path).unwrap();
        let image = read(&bytes).unwrap_or_else(|error| panic!("{}: {error}", path.display()));
        image.fits_this_machine().unwrap();
        assert_eq!(image.manifest, None);
    }
}

#[test]
fn libraries_of_the_system_are_read_or_refused_in_words() {
    let mut read_well = 0;
    let libraries = system_libraries(200);
    for path in &libraries {
        let Ok(bytes) = std::fs::read(path) else {
            continue;
        };
        match read(&bytes) {
            Ok(image) => {
                assert_eq!(image.manifest, None, "{}", path.display());
                read_well += 1;
            }
            Err(error) => assert!(error.to_string().len() > 8, "{}", path.display()),
        }
    }
    // Among them may be linker scripts and data, but most are what their name says.
    assert!(
        read_well * 2 >= libraries.len(),
        "{read_well} of {}",
        libraries.len()
    );
}

#[test]
fn a_program_cut_anywhere_is_refused() {
    let bytes = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    for share in 0..200 {
        let cut = &bytes[..bytes.len() * share / 200];
        let error = read(cut).unwrap_err();
        assert!(
            matches!(error, ImageError::Empty | ImageError::CutOff { .. }),
            "{share}: {error}"
        );
    }
}

fn spoil(sample: &[u8], parts: &[(usize, usize)], sequence: &mut Sequence) -> Vec<u8> {
    let mut bytes = sample.to_vec();
    for _ in 0..=sequence.below(4) {
        let (start, len) = parts[sequence.below(parts.len())];
        let at = (start + sequence.below(len)).min(bytes.len() - 1);
        bytes[at] = match sequence.below(4) {
            0 => 0,
            1 => 0xff,
            2 => bytes[at] ^ (1 << sequence.below(8)),
            _ => sequence.below(256) as u8,
        };
    }
    bytes
}

#[test]
fn spoilt_bytes_are_answered_soon() {
    let mut sequence = Sequence(0x5eed_0003);
    let (mut refused, mut slowest) = (0, Duration::ZERO);
    for round in 0..20_000 {
        let sample = SAMPLES[round % SAMPLES.len()];
        // The headers, and where the dynamic table, the sections or the notes lie.
        let bytes = spoil(
            sample,
            &[(0, 64), (0, 1024), (0, sample.len())],
            &mut sequence,
        );
        let start = Instant::now();
        refused += usize::from(read(&bytes).is_err());
        slowest = slowest.max(start.elapsed());
    }
    assert!((1_000..20_000).contains(&refused), "{refused} were refused");
    assert!(slowest < Duration::from_secs(1), "{slowest:?}");
}

#[test]
fn random_bytes_behind_any_magic_are_answered() {
    let mut sequence = Sequence(0x5eed_0004);
    for round in 0..2_000 {
        let sample = SAMPLES[round % SAMPLES.len()];
        let kept = sequence.below(80);
        let bytes: Vec<u8> = (0..4_096)
            .map(|at| {
                if at < kept {
                    sample[at]
                } else {
                    sequence.below(256) as u8
                }
            })
            .collect();
        let _ = read(&bytes);
    }
}

#[test]
fn a_spoilt_library_of_the_system_is_answered() {
    let Some(path) = mapped_libraries().into_iter().next() else {
        return;
    };
    let sample = std::fs::read(path).unwrap();
    let mut bytes = sample.clone();
    let mut sequence = Sequence(0x5eed_0005);
    for _ in 0..4_000 {
        let at = sequence.below(bytes.len().min(4_096));
        bytes[at] ^= 1 << sequence.below(8);
        let _ = read(&bytes);
        bytes[at] = sample[at];
    }
}
