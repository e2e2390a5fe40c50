//! Puts verified bytes where nobody can change them any more, so that what was verified is what is loaded.

use std::io;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::PathBuf;

use rustix::fs::{MemfdFlags, SealFlags};

/// Bytes in memory that neither this process nor another can change, grow or cut.
///
/// The descriptor stays open while the library is mapped: if its number were used again, the system's loader would take
/// the next file for this one.
#[derive(Debug)]
pub(crate) struct SealedFile {
    descriptor: OwnedFd,
}

impl SealedFile {
    /// Copies `bytes` and seals the copy. `name` is what debuggers and profilers show.
    pub(crate) fn new(name: &str, bytes: &[u8]) -> io::Result<Self> {
        let descriptor =
            rustix::fs::memfd_create(name, MemfdFlags::CLOEXEC | MemfdFlags::ALLOW_SEALING)?;
        let mut rest = bytes;
        while !rest.is_empty() {
            let written = rustix::io::write(&descriptor, rest)?;
            rest = &rest[written..];
        }
        rustix::fs::fcntl_add_seals(
            &descriptor,
            SealFlags::WRITE | SealFlags::GROW | SealFlags::SHRINK | SealFlags::SEAL,
        )?;
        Ok(Self { descriptor })
    }

    /// A path under which the system's loader finds the bytes.
    pub(crate) fn path(&self) -> PathBuf {
        PathBuf::from(format!("/proc/self/fd/{}", self.descriptor.as_raw_fd()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_sealed_file_holds_the_bytes_and_cannot_be_changed() {
        let sealed = SealedFile::new("test", b"verified").unwrap();
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"verified");
        let write = std::fs::OpenOptions::new().write(true).open(sealed.path());
        let changed = write.and_then(|mut file| io::Write::write_all(&mut file, b"other"));
        assert!(changed.is_err());
        let cut = std::fs::OpenOptions::new()
            .write(true)
            .open(sealed.path())
            .and_then(|file| file.set_len(1));
        assert!(cut.is_err());
        assert_eq!(std::fs::read(sealed.path()).unwrap(), b"verified");
    }
}
