//! Makes the lock of a directory.

use std::fs::{self, OpenOptions};
use std::io::{self, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::inspection::Inspection;
use super::lock::{LOCK_FORMAT, LOCK_NAME, LockText, LockedFile};
use super::policy::VerifyPolicy;
use super::rules::Rules;
use crate::discover::{self, DiscoverError};

const HEAD: &str = "\
# Only the plugin files listed here are loaded from this directory, and only with these very bytes.
# Written by `plugin-engine lock`, which compares the directory with it when called with --check.
";

/// What the lock of a directory would say.
#[derive(Debug)]
#[non_exhaustive]
pub struct DirectoryLock {
    /// Where it lies.
    pub path: PathBuf,
    /// The files that would be loaded, by name.
    pub files: Vec<LockedFile>,
    /// The files that would be refused, lock or no lock; they are not listed.
    pub refused: Vec<Inspection>,
}

/// Looks at all plugin files of a directory, as if there were no lock yet. Runs no code of any file.
///
/// # Errors
/// The directory cannot be read.
pub fn lock_directory(dir: &Path, policy: &VerifyPolicy) -> Result<DirectoryLock, DiscoverError> {
    let rules = Rules::without_lock(&Arc::new(policy.clone()));
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
    let path = match &policy.lock {
        Some(path) => path.clone(),
        None => dir.join(LOCK_NAME),
    };
    Ok(DirectoryLock {
        path,
        files,
        refused,
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
    /// The file cannot be written; what was there before is still there then.
    pub fn write(&self) -> io::Result<()> {
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
                file.write_all(self.text().as_bytes())?;
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
    /// The lock is absent, cannot be read or is damaged; in words.
    pub fn differences(&self) -> Result<Vec<String>, String> {
        let bytes = super::lock::read_text(&self.path)?;
        let mut known = super::lock::parse(&bytes)?;
        let mut differences = Vec::new();
        for file in &self.files {
            match known.remove(&file.name) {
                None => differences.push(format!("{}: is not listed", file.name)),
                Some(locked) if locked != *file => differences.push(format!(
                    "{}: version {} of {}, the lock says version {} of {}",
                    file.name,
                    file.version,
                    short(&file.sha256),
                    locked.version,
                    short(&locked.sha256)
                )),
                Some(_) => {}
            }
        }
        let mut absent: Vec<_> = known.into_keys().collect();
        absent.sort();
        for name in absent {
            differences.push(format!(
                "{name}: is listed, and is absent or would be refused"
            ));
        }
        Ok(differences)
    }
}

fn short(sha256: &str) -> &str {
    sha256.get(..12).unwrap_or(sha256)
}
