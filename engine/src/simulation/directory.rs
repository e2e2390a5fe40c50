//! The plugin directory of the simulated machine: names, what each is known by, and texts. Also in place of the system's reports of what
//! changes in it.

use std::ffi::{OsStr, OsString};
use std::fmt;
use std::io;
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::stage;
use crate::changes::{DirectoryIdentity, FileIdentity, Places};
use crate::watch::Signal;

/// A plugin directory.
pub trait Directory {
    /// Where it is.
    fn path(&self) -> &Path;

    /// What it is known by, which another one in its place would not be.
    ///
    /// # Errors
    /// It is not there.
    fn identity(&self) -> io::Result<u64>;

    /// The names in it.
    ///
    /// # Errors
    /// It is not there.
    fn names(&self) -> io::Result<Vec<OsString>>;

    /// What the file of this name is known by: another number after each change of it, and for each that takes its place.
    fn stamp(&self, name: &OsStr) -> Option<u64>;

    /// Whether there is anything of this name.
    fn has(&self, name: &OsStr) -> bool {
        self.stamp(name).is_some()
    }

    /// What is in a file that is text.
    ///
    /// # Errors
    /// There is no such file.
    fn text(&self, name: &OsStr) -> io::Result<String>;

    /// Takes whom to tell of changes from now on. Says whether it will be told of any.
    fn listen(&self, notice: Box<dyn Fn()>) -> bool;
}

/// Asks the directory, if there is one and this is its path.
fn with<T>(path: &Path, ask: impl FnOnce(&dyn Directory) -> T) -> Option<T> {
    let stage = stage()?;
    let directory = stage.directory()?;
    (directory.path() == path).then(|| ask(directory))
}

/// Asks the directory of a file, if there is one and the file lies in it.
fn with_file<T>(path: &Path, ask: impl FnOnce(&dyn Directory, &OsStr) -> T) -> Option<T> {
    let name = path.file_name()?;
    with(path.parent()?, |directory| ask(directory, name))
}

pub(crate) fn identity(path: &Path) -> Option<io::Result<DirectoryIdentity>> {
    let identity = with(path, |directory| directory.identity())?;
    Some(identity.map(DirectoryIdentity::numbered))
}

pub(crate) fn names(path: &Path) -> Option<io::Result<Vec<OsString>>> {
    with(path, |directory| directory.names())
}

/// What a file is known by; the inner one is `None` where there is none.
pub(crate) fn file(path: &Path) -> Option<Option<FileIdentity>> {
    let stamp = with_file(path, |directory, name| directory.stamp(name))?;
    Some(stamp.map(FileIdentity::numbered))
}

pub(crate) fn has(path: &Path) -> Option<bool> {
    with_file(path, |directory, name| directory.has(name))
}

pub(crate) fn text(path: &Path) -> Option<io::Result<String>> {
    with_file(path, |directory, name| directory.text(name))
}

/// In place of the system's reports.
pub(crate) struct Notices;

/// That there are none.
pub(crate) struct NotNoticed {
    pub(crate) paths: Vec<PathBuf>,
}

impl fmt::Display for NotNoticed {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("the simulated system reports nothing")
    }
}

impl Notices {
    pub(crate) fn new(signal: &Arc<Signal>) -> (Self, Result<(), NotNoticed>) {
        let signal = Arc::clone(signal);
        let stage = stage();
        let directory = stage.as_deref().and_then(|stage| stage.directory());
        let is_told =
            directory.is_some_and(|directory| directory.listen(Box::new(move || signal.notice())));
        let told = if is_told {
            Ok(())
        } else {
            Err(NotNoticed { paths: Vec::new() })
        };
        (Self, told)
    }

    /// Whatever directory is there is reported of.
    pub(crate) fn aim(&mut self, _: &Places) -> Result<(), NotNoticed> {
        Ok(())
    }
}
