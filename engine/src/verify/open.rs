//! Opens a file that may be anything, and copies it once. Never blocks, never disturbs a device, never follows a link out.

use std::fs::File;
use std::io::Read;
use std::os::fd::{AsRawFd, OwnedFd};
use std::path::{Path, PathBuf};

use rustix::fs::{FileType, Mode, OFlags, Stat};

use plugin_engine_core::bounded;

use super::error::VerifyError;
use crate::discover::Candidate;
use crate::seal::{SealError, SealedFile};

/// The largest file that is read, in bytes.
pub(super) const FILE_LEN_MAX: u64 = 512 * 1024 * 1024;

/// A file that was found and not opened yet: a place in the file system that cannot become another one.
pub(super) struct Found {
    place: OwnedFd,
    pub(super) stat: Stat,
    /// Where it lies, with all links followed.
    pub(super) real_path: PathBuf,
}

/// Finds what a name stands for. What comes back is one file: renaming, replacing or relinking the name changes nothing any more.
pub(super) fn find(candidate: &Candidate) -> Result<Found, VerifyError> {
    // With PATH nothing is opened yet: no pipe waits for its writer, no device starts to do anything.
    let place = rustix::fs::open(
        &candidate.path,
        OFlags::PATH | OFlags::CLOEXEC,
        Mode::empty(),
    )
    .map_err(|errno| VerifyError::Read(errno.into()))?;
    let stat = rustix::fs::fstat(&place).map_err(|errno| VerifyError::Read(errno.into()))?;
    // Asked of what was found and not of the name, which may be another file's by now.
    let real_path = std::fs::read_link(link_of(&place)).map_err(VerifyError::Read)?;
    let root = candidate.root.canonicalize().map_err(VerifyError::Read)?;
    if !real_path.starts_with(&root) {
        return Err(VerifyError::LinkOut(real_path));
    }
    if let Some(kind) = irregular(FileType::from_raw_mode(stat.st_mode)) {
        return Err(VerifyError::NotRegular { kind });
    }
    let len = len(&stat);
    if len > FILE_LEN_MAX {
        return Err(VerifyError::TooLarge {
            len,
            limit: FILE_LEN_MAX,
        });
    }
    Ok(Found {
        place,
        stat,
        real_path,
    })
}

/// Copies what was found to where nobody can change it.
pub(super) fn seal(found: &Found) -> Result<SealedFile, VerifyError> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = rustix::fs::open(link_of(&found.place), flags, Mode::empty())
        .map_err(|errno| VerifyError::Read(errno.into()))?;
    let name = found
        .real_path
        .file_name()
        .map_or_else(|| "plugin".into(), |name| name.to_string_lossy());
    // The system takes no longer name.
    let name = bounded(&name, 200).replace('\0', "");
    SealedFile::copy_of(&File::from(file), &name, FILE_LEN_MAX).map_err(|error| match error {
        SealError::TooLarge => VerifyError::TooLarge {
            len: len(&found.stat).max(FILE_LEN_MAX + 1),
            limit: FILE_LEN_MAX,
        },
        SealError::Copy(error) => VerifyError::Seal(error),
    })
}

fn len(stat: &Stat) -> u64 {
    u64::try_from(stat.st_size).unwrap_or(0)
}

fn link_of(place: &OwnedFd) -> String {
    format!("/proc/self/fd/{}", place.as_raw_fd())
}

fn irregular(found: FileType) -> Option<&'static str> {
    Some(match found {
        FileType::RegularFile => return None,
        FileType::Directory => "directory",
        FileType::Fifo => "pipe",
        FileType::Socket => "socket",
        FileType::CharacterDevice | FileType::BlockDevice => "device",
        _ => "special file",
    })
}

/// Reads a small file that stands beside plugin files: a lock, a signature. `None` where there is none.
pub(super) fn read_beside(path: &Path, len_max: u64) -> Result<Option<(Vec<u8>, Stat)>, String> {
    let flags = OFlags::RDONLY | OFlags::NONBLOCK | OFlags::CLOEXEC | OFlags::NOCTTY;
    let file = match rustix::fs::open(path, flags, Mode::empty()) {
        Ok(file) => file,
        Err(rustix::io::Errno::NOENT) => {
            // A link that leads nowhere is not the same as nothing: somebody wanted something to be there.
            return match std::fs::symlink_metadata(path) {
                Ok(_) => Err("it is a link that leads nowhere".to_owned()),
                Err(_) => Ok(None),
            };
        }
        Err(errno) => return Err(std::io::Error::from(errno).to_string()),
    };
    let stat = rustix::fs::fstat(&file).map_err(|errno| std::io::Error::from(errno).to_string())?;
    if let Some(kind) = irregular(FileType::from_raw_mode(stat.st_mode)) {
        return Err(format!("it is a {kind}, not a regular file"));
    }
    let mut bytes = Vec::new();
    File::from(file)
        .take(len_max + 1)
        .read_to_end(&mut bytes)
        .map_err(|error| error.to_string())?;
    if bytes.len() as u64 > len_max {
        return Err(format!("it is longer than {len_max} bytes"));
    }
    Ok(Some((bytes, stat)))
}
