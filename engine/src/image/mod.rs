//! What a dynamic library says of itself, read from its bytes: ELF, Mach-O and PE behind one interface.
//!
//! The only place that knows file formats. The bytes may be anything: nothing here panics, follows a number of the file beyond the
//! file, or takes more memory than the bounds below allow. Nothing here runs code of the file, maps it, or judges whether it is a
//! plugin that this engine wants.

mod elf;
mod error;
mod loader_cache;
mod macho;
mod magic;
mod needed;
mod notes;
mod pe;
#[cfg(test)]
mod robustness_tests;
#[cfg(test)]
mod samples;

use std::borrow::Cow;
use std::fmt;

use plugin_engine_core::escape_control;

pub(crate) use error::ImageError;
#[cfg(any(test, fuzzing))]
pub(crate) use loader_cache::names as names_in_cache;
pub(crate) use needed::{Absence, Absent, missing};

/// The longest name of a library, and the longest search path, in bytes of the file.
pub(crate) const TEXT_LEN_MAX: usize = 4_096;
/// The most names and search paths that one file may have together.
pub(crate) const TEXTS_MAX: usize = 1_024;

/// The format of a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Format {
    /// Linux and most other systems.
    Elf,
    /// Apple's systems.
    MachO,
    /// Windows.
    Pe,
}

impl Format {
    /// The format that the system's loader of this machine takes.
    const OF_THIS_MACHINE: Self = if cfg!(windows) {
        Self::Pe
    } else if cfg!(target_vendor = "apple") {
        Self::MachO
    } else {
        Self::Elf
    };
}

impl fmt::Display for Format {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Elf => "ELF",
            Self::MachO => "Mach-O",
            Self::Pe => "PE",
        })
    }
}

/// A place in which the file wants its libraries to be looked for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct SearchPath {
    /// What the format calls it: `RPATH`, `RUNPATH` or `LC_RPATH`.
    pub(crate) tag: &'static str,
    /// The path or paths, as they stand in the file; control characters and bytes that are no text are escaped.
    pub(crate) path: String,
}

/// A well-formed dynamic library, for whatever machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Image<'a> {
    pub(crate) format: Format,
    /// The processor, as `std::env::consts::ARCH` would name it, or the format's number for it.
    pub(crate) machine: Cow<'static, str>,
    /// The width of its addresses: 32 or 64.
    pub(crate) bits: u8,
    pub(crate) little_endian: bool,
    /// The description of the note that `export_plugin!` leaves, which is the manifest's text. At most
    /// `DESCRIPTION_LEN_MAX` bytes. `None` is a library that is no plugin.
    pub(crate) manifest: Option<&'a [u8]>,
    /// The libraries without which the system's loader refuses it, escaped as search paths are.
    pub(crate) needed: Vec<String>,
    pub(crate) search_paths: Vec<SearchPath>,
    /// Whether it tells the system's loader never to unmap it.
    pub(crate) stays_mapped: bool,
}

/// Reads a file's bytes. Their address need not be aligned. Takes time in proportion to the headers, not to the file.
///
/// # Errors
///
/// Says what the bytes are instead, or what about them is broken.
pub(crate) fn read(bytes: &[u8]) -> Result<Image<'_>, ImageError> {
    match magic::format(bytes)? {
        Format::Elf => elf::read(bytes),
        Format::MachO => macho::read(bytes),
        Format::Pe => pe::read(bytes),
    }
}

impl Image<'_> {
    /// Whether the system's loader of this machine would take it.
    ///
    /// # Errors
    ///
    /// [`ImageError::OtherFormat`] or [`ImageError::OtherMachine`], with what it is and what it should be.
    pub(crate) fn fits_this_machine(&self) -> Result<(), ImageError> {
        if self.format != Format::OF_THIS_MACHINE {
            return Err(ImageError::OtherFormat {
                found: self.format,
                expected: Format::OF_THIS_MACHINE,
            });
        }
        let found = (&*self.machine, self.bits, self.little_endian);
        let expected = (
            std::env::consts::ARCH,
            usize::BITS as u8,
            cfg!(target_endian = "little"),
        );
        if found != expected {
            return Err(ImageError::OtherMachine {
                found: machine_in_words(found),
                expected: machine_in_words(expected),
            });
        }
        Ok(())
    }
}

fn machine_in_words((machine, bits, little_endian): (&str, u8, bool)) -> String {
    let order = if little_endian { "little" } else { "big" };
    format!("{machine} ({bits}-bit, {order}-endian)")
}

/// Text of a file that people are to read, and that the system's loader compares with names of files.
fn text(bytes: &[u8]) -> String {
    match std::str::from_utf8(bytes) {
        Ok(text) => escape_control(text).into_owned(),
        Err(_) => bytes.escape_ascii().to_string(),
    }
}

/// The text before the first zero byte, unless that is farther away than texts are long.
fn terminated(bytes: &[u8]) -> Option<String> {
    let bounded = &bytes[..bytes.len().min(TEXT_LEN_MAX + 1)];
    let end = bounded.iter().position(|byte| *byte == 0)?;
    Some(text(&bounded[..end]))
}

/// Where `len` bytes from `start` end, or that the file ends before.
fn end_inside(bytes: &[u8], start: u64, len: u64) -> Result<u64, ImageError> {
    let file_len = bytes.len() as u64;
    let end = start.saturating_add(len);
    if end > file_len {
        return Err(ImageError::CutOff { end, len: file_len });
    }
    Ok(end)
}

#[cfg(test)]
mod tests {
    use super::samples::ELF_SAMPLES;
    use super::*;

    #[test]
    fn only_the_library_of_this_machine_fits_it() {
        for (bytes, machine, bits, _) in ELF_SAMPLES {
            let fits = read(bytes).unwrap().fits_this_machine();
            if cfg!(target_os = "linux") && machine == std::env::consts::ARCH {
                assert_eq!(fits, Ok(()));
            } else {
                let error = fits.unwrap_err().to_string();
                assert!(error.contains(&format!("{machine} ({bits}-bit")), "{error}");
                assert!(error.contains(std::env::consts::ARCH), "{error}");
            }
        }
    }

    #[test]
    fn the_same_processor_with_other_words_does_not_fit() {
        let of = |bits, little_endian| Image {
            bits,
            little_endian,
            ..read(ELF_SAMPLES[0].0).unwrap()
        };
        let error = of(32, true).fits_this_machine().unwrap_err().to_string();
        assert!(error.contains("x86_64 (32-bit, little-endian)"), "{error}");
        let error = of(64, false).fits_this_machine().unwrap_err().to_string();
        assert!(error.contains("x86_64 (64-bit, big-endian)"), "{error}");
    }
}
