//! Makes the lock of a directory.

use std::borrow::Cow;
use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use plugin_engine_core::{bounded, escape_control};

use super::inspection::Inspection;
use super::lock::{LOCK_FORMAT, LOCK_LEN_MAX, LockText, LockedFile};
use super::policy::VerifyPolicy;
use super::rules::Rules;
use crate::discover::{self, DiscoverError};

const HEAD: &str = "\
# Only the plugin files listed here are loaded from this directory, and only with these very bytes.
# Written by `plugin-engine lock`, which compares the directory with it when called with --check.
";

/// What the lock of a directory would say.
///
/// ```
/// use plugin_engine::{VerifyPolicy, lock_directory};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let lock = lock_directory(dir.path(), &VerifyPolicy::default())?;
/// print!("{}", lock.text());
/// lock.write()?;
/// assert!(lock.differences()?.is_empty());
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct DirectoryLock {
    /// Where it lies.
    pub path: PathBuf,
    /// The files that would be loaded, by name.
    pub files: Vec<LockedFile>,
    /// The files that would be refused, lock or no lock; they are not listed.
    pub refused: Vec<Inspection>,
    pub(crate) policy: Arc<VerifyPolicy>,
}

/// Looks at all plugin files of a directory, as if there were no lock yet. Runs no code of any file.
///
/// ```
/// use plugin_engine::{VerifyPolicy, lock_directory};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let lock = lock_directory(dir.path(), &VerifyPolicy::default())?;
/// assert!(lock.files.is_empty() && lock.refused.is_empty(), "an empty directory");
/// # Ok(()) }
/// ```
///
/// # Errors
/// The directory cannot be read.
pub fn lock_directory(
    dir: impl AsRef<Path>,
    policy: &VerifyPolicy,
) -> Result<DirectoryLock, DiscoverError> {
    let dir = dir.as_ref();
    let policy = Arc::new(policy.clone());
    let rules = Rules::without_lock(&policy);
    let (mut files, mut refused) = (Vec::new(), Vec::new());
    for candidate in discover::discover(dir)? {
        let inspection = super::inspect_with(&candidate, &rules);
        // A name that is no text cannot be listed, so the file would be refused by the lock.
        let name = candidate.path.file_name().and_then(|name| name.to_str());
        match (&inspection.manifest, &inspection.sha256, name) {
            (Some(manifest), Some(sha256), Some(name)) if inspection.is_good() => {
                files.push(LockedFile {
                    name: name.to_owned(),
                    id: manifest.id.to_string(),
                    version: manifest.version.clone(),
                    sha256: sha256.clone(),
                });
            }
            _ => refused.push(inspection),
        }
    }
    let path = policy.lock_of(dir);
    Ok(DirectoryLock {
        path,
        files,
        refused,
        policy,
    })
}

impl DirectoryLock {
    /// The lock's text.
    #[must_use]
    pub fn text(&self) -> String {
        let text = LockText {
            format: LOCK_FORMAT,
            files: self.files.clone(),
        };
        // Numbers and texts can always be written.
        format!("{HEAD}{}", toml::to_string(&text).unwrap_or_default())
    }

    /// Writes the lock: whole or not at all, also when the machine stops in the middle.
    ///
    /// # Errors
    /// The file cannot be written, or would be longer than one that is read; what was there before is still there then.
    pub fn write(&self) -> io::Result<()> {
        let text = self.text();
        if text.len() as u64 > LOCK_LEN_MAX {
            return Err(io::Error::other(format!(
                "it would have {} bytes; the limit is {LOCK_LEN_MAX}: use a directory for each part of the plugins",
                text.len()
            )));
        }
        let mut name = self.path.file_name().unwrap_or_default().to_owned();
        name.push(format!(".{}", std::process::id()));
        let mut hidden = std::ffi::OsString::from(".");
        hidden.push(name);
        let temporary = self.path.with_file_name(hidden);
        let written = OpenOptions::new()
            .write(true)
            .create(true)
            .truncate(true)
            .mode(0o644)
            .open(&temporary)
            .and_then(|mut file| {
                file.write_all(text.as_bytes())?;
                file.sync_all()
            })
            .and_then(|()| fs::rename(&temporary, &self.path));
        if written.is_err() {
            // What could not be written is of no use to anybody; the first error is the one to tell.
            let _ = fs::remove_file(&temporary);
        }
        written
    }

    /// How the lock that lies there differs from this one, in a line each; empty if it does not.
    ///
    /// # Errors
    /// The lock is absent, cannot be read, is damaged, or could have been written by anybody, so that a load would not go by it; in
    /// words.
    pub fn differences(&self) -> Result<Vec<String>, String> {
        let bytes = super::lock::read_text(&self.path, &self.policy)?;
        let mut known = super::lock::parse(&bytes)?;
        let mut differences = Vec::new();
        for file in &self.files {
            match known.remove(&file.name) {
                None => differences.push(format!("{}: is not listed", shown(&file.name))),
                Some(locked) if locked != *file => differences.push(format!(
                    "{}: version {} of {}, the lock says version {} of {}",
                    shown(&file.name),
                    file.version,
                    short(&file.sha256),
                    shown(&locked.version),
                    short(&locked.sha256)
                )),
                Some(_) => {}
            }
        }
        let mut absent: Vec<_> = known.into_keys().collect();
        absent.sort();
        for name in absent {
            differences.push(format!(
                "{}: is listed, and is absent or would be refused",
                shown(&name)
            ));
        }
        Ok(differences)
    }
}

/// A lock may hold any text.
fn shown(text: &str) -> Cow<'_, str> {
    escape_control(bounded(text, 80))
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}

#[cfg(test)]
mod tests {
    use super::super::lock::LOCK_NAME;
    use super::*;

    fn listed(name: &str, version: &str) -> LockedFile {
        LockedFile {
            name: name.to_owned(),
            id: "a".to_owned(),
            version: version.to_owned(),
            sha256: "0".repeat(64),
        }
    }

    #[test]
    fn a_lock_that_could_not_be_read_again_is_not_written() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = DirectoryLock {
            policy: Arc::default(),
            path: dir.path().join(LOCK_NAME),
            files: (0..20_000)
                .map(|n| listed(&format!("{n}.so"), "1"))
                .collect(),
            refused: Vec::new(),
        };
        lock.write().unwrap();
        assert_eq!(lock.differences(), Ok(Vec::new()));
        lock.files = vec![listed("a.so", &"x".repeat(LOCK_LEN_MAX as usize))];
        let error = lock.write().unwrap_err().to_string();
        assert!(error.contains("the limit is 4194304"), "{error}");
        assert_eq!(std::fs::read_dir(dir.path()).unwrap().count(), 1);
    }

    #[test]
    fn differences_are_lines_whatever_the_lock_holds() {
        let dir = tempfile::tempdir().unwrap();
        let mut lock = DirectoryLock {
            policy: Arc::default(),
            path: dir.path().join(LOCK_NAME),
            files: vec![
                listed("a.so", "1\u{1b}[31m"),
                listed(&format!("b\n{}.so", "x".repeat(5_000)), "1"),
            ],
            refused: Vec::new(),
        };
        lock.write().unwrap();
        assert_eq!(lock.differences(), Ok(Vec::new()));
        lock.files = vec![listed("a.so", "1")];
        let differences = lock.differences().unwrap();
        assert_eq!(differences.len(), 2);
        assert!(differences[0].ends_with("the lock says version 1\\u{1b}[31m of 000000000000"));
        assert!(differences[1].starts_with("b\\nxxx") && differences[1].len() < 200);
    }
}
