//! Puts a damaged file out of the way, so that a new one can be made in its place.

use std::path::{Path, PathBuf};

use plugin_engine_core::WallTime;

use crate::error::StoreError;
use crate::reader::beside;

/// Renames the history at `path` and the files of SQLite beside it, and returns its new path: `NAME.damaged-TIME`, in the same directory.
/// What was set aside is for a person to look at; nothing ever deletes it.
///
/// # Errors
/// A file cannot be renamed. The history itself is the last one, so that no new one comes beside the log of an old one.
pub fn set_aside(path: &Path, now: WallTime) -> Result<PathBuf, StoreError> {
    let time = now.to_string().replace(':', "-");
    let name = (0..1_000)
        .map(|count| match count {
            0 => format!(".damaged-{time}"),
            _ => format!(".damaged-{time}-{count}"),
        })
        .map(|end| beside(path, &end))
        .find(|name| name.symlink_metadata().is_err());
    let Some(name) = name else {
        let full = std::io::Error::from(std::io::ErrorKind::AlreadyExists);
        return Err(StoreError::io(path, "cannot be set aside", full));
    };
    for end in ["-wal", "-shm", ""] {
        match std::fs::rename(beside(path, end), beside(&name, end)) {
            Err(error) if end.is_empty() || error.kind() != std::io::ErrorKind::NotFound => {
                return Err(StoreError::io(path, "cannot be set aside", error));
            }
            _ => {}
        }
    }
    Ok(name)
}
