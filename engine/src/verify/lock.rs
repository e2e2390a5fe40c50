//! The lock: a list of the files that may be loaded, with their digests. Read and asked here, made in `locking`.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use plugin_engine_core::{bounded, escape_control};
use serde::{Deserialize, Serialize};

use super::error::VerifyError;
use super::open::read_beside;
use super::ownership;
use super::policy::VerifyPolicy;
use crate::digest::FileDigest;
use crate::manifest::Manifest;

/// What the lock of a directory is called.
pub(super) const LOCK_NAME: &str = "plugins.lock";
/// The version of the lock's format that this engine reads and writes.
pub(super) const LOCK_FORMAT: u32 = 1;
/// The longest lock that is read, some 25,000 entries. What is no lock at all can take eighty times its length of memory until that is
/// found out.
pub(super) const LOCK_LEN_MAX: u64 = 4 * 1024 * 1024;

/// A lock as it lies in a file.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub(super) struct LockText {
    pub(super) format: u32,
    #[serde(default, rename = "file")]
    pub(super) files: Vec<LockedFile>,
}

/// One file of a lock.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
#[non_exhaustive]
pub struct LockedFile {
    /// The file's name, without a directory.
    pub name: String,
    /// The id in its manifest.
    pub id: String,
    /// The version in its manifest.
    pub version: String,
    /// The SHA-256 of its bytes, 64 hexadecimal digits.
    pub sha256: String,
}

/// The lock that holds for a directory: what it lists, or why it cannot be used.
pub(super) struct Lock {
    path: PathBuf,
    files: Result<HashMap<String, LockedFile>, String>,
}

impl Lock {
    /// Reads the lock that the policy names, or the one of the directory. `None` where there is none and none is asked for.
    pub(super) fn read(policy: &VerifyPolicy, root: &Path) -> Option<Self> {
        let path = policy.lock_of(root);
        let files = match read_beside(&path, LOCK_LEN_MAX) {
            Ok(None) if policy.lock.is_none() => return None,
            Ok(None) => Err("it is required, and is not there".to_owned()),
            Ok(Some((bytes, stat))) => {
                ownership::check_beside(&stat, policy).and_then(|()| parse(&bytes))
            }
            Err(reason) => Err(format!("it cannot be read: {reason}")),
        };
        Some(Self { path, files })
    }

    /// Whether the lock lists this file with these bytes.
    pub(super) fn check(
        &self,
        file: &Path,
        digest: &FileDigest,
        manifest: &Manifest,
    ) -> Result<(), VerifyError> {
        let lock = || self.path.clone();
        let files = self.files.as_ref().map_err(|reason| VerifyError::BadLock {
            lock: lock(),
            reason: reason.clone(),
        })?;
        let name = file.file_name().and_then(|name| name.to_str());
        let Some(locked) = name.and_then(|name| files.get(name)) else {
            return Err(VerifyError::NotLocked { lock: lock() });
        };
        let found = crate::digest::hex(digest);
        for (what, found, locked) in [
            ("SHA-256", found.as_str(), locked.sha256.as_str()),
            ("version", &manifest.version, &locked.version),
            ("id", manifest.id.as_str(), &locked.id),
        ] {
            if found != locked {
                return Err(VerifyError::LockMismatch {
                    lock: lock(),
                    what,
                    found: found.to_owned(),
                    locked: locked.to_owned(),
                });
            }
        }
        Ok(())
    }
}

/// The bytes of a lock that must be there, and that would hold at a load.
pub(super) fn read_text(path: &Path, policy: &VerifyPolicy) -> Result<Vec<u8>, String> {
    match read_beside(path, LOCK_LEN_MAX) {
        Ok(Some((bytes, stat))) => ownership::check_beside(&stat, policy).map(|()| bytes),
        Ok(None) => Err("there is none".to_owned()),
        Err(reason) => Err(format!("it cannot be read: {reason}")),
    }
}

/// Reads a lock's text strictly: whatever is not exactly as it is written is a lock that does not hold.
pub(crate) fn parse(bytes: &[u8]) -> Result<HashMap<String, LockedFile>, String> {
    let text = std::str::from_utf8(bytes).map_err(|_| "it is no UTF-8 text".to_owned())?;
    let lock: LockText = toml::from_str(text).map_err(|error| {
        let line = error.span().map_or(1, |span| {
            text[..text.floor_char_boundary(span.start)]
                .matches('\n')
                .count()
                + 1
        });
        let reason = error.message().trim().replace('\n', " ");
        // Escaped, a text may be several times as long.
        let reason = escape_control(bounded(&reason, 200));
        format!("line {line}: {}", bounded(&reason, 400))
    })?;
    if lock.format != LOCK_FORMAT {
        return Err(format!(
            "it has format {}, this engine reads format {LOCK_FORMAT}",
            lock.format
        ));
    }
    let mut files = HashMap::with_capacity(lock.files.len());
    for file in lock.files {
        let name = escape_control(bounded(&file.name, 80)).to_string();
        let digits = file.sha256.len() == 64
            && file
                .sha256
                .bytes()
                .all(|c| matches!(c, b'0'..=b'9' | b'a'..=b'f'));
        if !digits {
            return Err(format!(
                "the SHA-256 of {name} is not 64 digits of 0-9 and a-f"
            ));
        }
        if file.name.is_empty() || file.name.contains('/') {
            return Err(format!(
                "\"{name}\" is no name of a file without a directory"
            ));
        }
        if files.insert(file.name.clone(), file).is_some() {
            return Err(format!("{name} is listed twice"));
        }
    }
    Ok(files)
}

#[cfg(test)]
mod tests {
    use super::*;

    const GOOD: &str = "format = 1\n[[file]]\nname = \"a.so\"\nid = \"a\"\nversion = \"1.0.0\"\n\
        sha256 = \"0000000000000000000000000000000000000000000000000000000000000000\"\n";

    #[test]
    fn a_lock_is_read_strictly() {
        assert_eq!(parse(GOOD.as_bytes()).unwrap().len(), 1);
        for (from, to, says) in [
            ("format = 1", "format = 2", "format 2"),
            ("format = 1\n", "", "missing field `format`"),
            ("a.so", "x/a.so", "without a directory"),
            ("sha256 = \"0", "sha256 = \"g", "64 digits"),
            ("id = \"a\"", "id = 3", "line 4"),
            ("version", "versions", "unknown field"),
            ("[[file]]", "[[file]", "line 2"),
        ] {
            let error = parse(GOOD.replace(from, to).as_bytes()).unwrap_err();
            assert!(error.contains(says), "{to}: {error}");
        }
        let twice = format!("{GOOD}{}", GOOD.replace("format = 1\n", ""));
        assert!(
            parse(twice.as_bytes())
                .unwrap_err()
                .contains("listed twice")
        );
        assert!(parse(&[0xff]).unwrap_err().contains("UTF-8"));
    }

    #[test]
    fn what_a_lock_holds_instead_is_told_in_one_short_line() {
        let text = format!("\"{}\" = 1\n", "\\u001b".repeat(1_000));
        let error = parse(text.as_bytes()).unwrap_err();
        assert!(error.contains("unknown field `\\u{1b}"), "{error}");
        assert!(error.len() < 450, "{} bytes", error.len());
    }

    #[test]
    fn a_lock_cut_off_anywhere_fails_or_lists_only_what_it_listed() {
        for len in 0..GOOD.len() {
            if let Ok(files) = parse(&GOOD.as_bytes()[..len]) {
                assert!(files.values().all(|file| GOOD.contains(&file.sha256)));
            }
        }
    }
}
