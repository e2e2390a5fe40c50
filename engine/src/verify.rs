//! Looks at a file's bytes before any of its code runs. What comes out is the only thing that can be loaded.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};

use object::elf;
use object::read::elf::{FileHeader, ProgramHeader, SectionHeader};
use plugin_api::manifest::SECTION;
use rustix::fs::{Mode, OFlags};
use sha2::{Digest, Sha256};

use crate::discover::Candidate;
use crate::error::VerifyError;
use crate::manifest::{self, Manifest};

/// The largest file that is read.
const FILE_LEN_MAX: u64 = 512 * 1024 * 1024;

type Header = elf::FileHeader64<object::Endianness>;

/// The bytes of a plugin file that passed all checks, with what they say of themselves.
pub(crate) struct VerifiedArtifact {
    pub(crate) path: PathBuf,
    pub(crate) bytes: Vec<u8>,
    pub(crate) manifest: Manifest,
    pub(crate) digest: FileDigest,
}

/// The SHA-256 of a file.
pub(crate) type FileDigest = [u8; 32];

/// Reads a file once, and checks what was read.
pub(crate) fn verify(candidate: &Candidate) -> Result<VerifiedArtifact, VerifyError> {
    check_link(candidate)?;
    let bytes = read(&candidate.path)?;
    let manifest = check_format(&bytes)?;
    check_contract(&manifest)?;
    Ok(VerifiedArtifact {
        path: candidate.path.clone(),
        digest: Sha256::digest(&bytes).into(),
        bytes,
        manifest,
    })
}

fn check_link(candidate: &Candidate) -> Result<(), VerifyError> {
    let link = std::fs::symlink_metadata(&candidate.path).map_err(VerifyError::Read)?;
    if !link.is_symlink() {
        return Ok(());
    }
    let target = candidate.path.canonicalize().map_err(VerifyError::Read)?;
    let root = candidate.root.canonicalize().map_err(VerifyError::Read)?;
    if target.starts_with(root) {
        Ok(())
    } else {
        Err(VerifyError::LinkOut(target))
    }
}

fn read(path: &Path) -> Result<Vec<u8>, VerifyError> {
    // Without NONBLOCK, opening a pipe that nobody writes to would wait for ever.
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(path, flags, Mode::empty())
        .map_err(|errno| VerifyError::Read(errno.into()))?;
    let file = File::from(file);
    let metadata = file.metadata().map_err(VerifyError::Read)?;
    if !metadata.is_file() {
        return Err(VerifyError::NotAFile);
    }
    if metadata.len() > FILE_LEN_MAX {
        return Err(VerifyError::TooLarge {
            len: metadata.len(),
            limit: FILE_LEN_MAX,
        });
    }
    let mut bytes = Vec::with_capacity(usize::try_from(metadata.len()).unwrap_or(0));
    // A file that grows while it is read must not be read for ever.
    file.take(FILE_LEN_MAX)
        .read_to_end(&mut bytes)
        .map_err(VerifyError::Read)?;
    Ok(bytes)
}

fn format_error(reason: impl ToString) -> VerifyError {
    VerifyError::Format {
        reason: reason.to_string(),
    }
}

/// The machine that this engine runs on, as ELF numbers it.
const fn machine() -> Option<elf::Machine> {
    if cfg!(target_arch = "x86_64") {
        Some(elf::EM_X86_64)
    } else if cfg!(target_arch = "aarch64") {
        Some(elf::EM_AARCH64)
    } else if cfg!(target_arch = "riscv64") {
        Some(elf::EM_RISCV)
    } else {
        None
    }
}

fn check_format(bytes: &[u8]) -> Result<Manifest, VerifyError> {
    if !bytes.starts_with(&elf::ELFMAG) {
        return Err(format_error("it is no ELF file"));
    }
    let header = Header::parse(bytes).map_err(format_error)?;
    let endian = header.endian().map_err(format_error)?;
    if Some(header.e_machine(endian)) != machine() {
        return Err(format_error(format!(
            "it is for another machine (ELF number {:?}) than this one ({})",
            header.e_machine(endian),
            std::env::consts::ARCH
        )));
    }
    if header.e_type(endian) != elf::ET_DYN {
        return Err(format_error("it is an ELF file but no dynamic library"));
    }
    let len = bytes.len() as u64;
    for segment in header
        .program_headers(endian, bytes)
        .map_err(format_error)?
    {
        // A mapped page behind the end of a file is a SIGBUS at first use, long after the load.
        let end = segment
            .p_offset(endian)
            .saturating_add(segment.p_filesz(endian));
        if segment.p_type(endian) == elf::PT_LOAD && end > len {
            return Err(VerifyError::CutOff { end, len });
        }
    }
    let sections = header.sections(endian, bytes).map_err(format_error)?;
    let Some((_, section)) = sections.section_by_name(endian, SECTION.as_bytes()) else {
        return Err(VerifyError::NoManifest);
    };
    let section = section.data(endian, bytes).map_err(format_error)?;
    Manifest::parse(manifest::description(section)?)
}

fn check_contract(manifest: &Manifest) -> Result<(), VerifyError> {
    if !compatible(&manifest.api_version, plugin_api::API_VERSION) {
        return Err(VerifyError::ApiVersion {
            id: manifest.id.clone(),
            found: manifest.api_version.clone(),
            expected: plugin_api::API_VERSION,
        });
    }
    if manifest.panic != "unwind" {
        return Err(VerifyError::PanicStrategy {
            id: manifest.id.clone(),
            strategy: manifest.panic.clone(),
        });
    }
    Ok(())
}

/// Whether two versions have the same leftmost number that is not zero, as Cargo compares versions.
fn compatible(one: &str, other: &str) -> bool {
    fn significant(version: &str) -> Option<Vec<u64>> {
        let mut numbers = Vec::new();
        for number in version.split(['-', '+']).next()?.split('.') {
            numbers.push(number.parse().ok()?);
            if numbers.last() != Some(&0) {
                break;
            }
        }
        Some(numbers)
    }
    match (significant(one), significant(other)) {
        (Some(one), Some(other)) => one == other,
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn versions_are_compared_as_cargo_does() {
        for (one, other) in [("0.1.0", "0.1.9"), ("1.2.3", "1.9.0"), ("0.0.3", "0.0.3")] {
            assert!(compatible(one, other), "{one} {other}");
        }
        for (one, other) in [
            ("0.1.0", "0.2.0"),
            ("1.0.0", "2.0.0"),
            ("0.0.3", "0.0.4"),
            ("x", "x"),
        ] {
            assert!(!compatible(one, other), "{one} {other}");
        }
    }
}
