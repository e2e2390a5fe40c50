//! Files that are no good plugins, one per way to be none, made anew in a directory of the test's. All end in `.so`, so that an
//! engine looks at them.

mod broken;
mod foreign;
mod manifests;
mod special;

use std::path::{Path, PathBuf};

use crate::built;
use crate::foreign::write_stripped;

/// A file in a plugin directory that should not become a plugin.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct BadFile {
    /// Its name in the directory.
    pub name: String,
    /// What it is.
    pub what: &'static str,
    /// The stable code of its refusal; empty where the reason depends on chance.
    pub code: &'static str,
    /// A part of the reason, where the code alone does not tell enough.
    pub says: &'static str,
    /// Whether only its contract is wrong, which cannot be seen before its code is mapped.
    pub is_mapped: bool,
    /// Whether an engine of this user takes it all the same.
    pub is_taken: bool,
}

/// Writes one of each into `dir`, which must be on a file system of Linux's own.
///
/// What can be read of them as an id is mostly that of the plugin file they were made of, which is `counter`.
pub fn write_all(dir: &Path) -> Vec<BadFile> {
    let stripped = dir.join("good");
    write_stripped(&built("counter"), &stripped);
    let good = std::fs::read(&stripped).expect("the copy can be read");
    std::fs::remove_file(stripped).expect("the copy can be removed");
    let mut writer = Writer {
        dir,
        good: &good,
        files: Vec::new(),
    };
    broken::write(&mut writer);
    foreign::write(&mut writer);
    manifests::write(&mut writer);
    special::write(&mut writer);
    writer.files
}

/// Code and words of a refusal.
type Refusal = (&'static str, &'static str);

/// A refusal that depends on chance.
const SOME: Refusal = ("", "");

/// The directory while it is being filled.
struct Writer<'a> {
    dir: &'a Path,
    /// A good plugin file, the plugin `counter`, to make bad ones of.
    good: &'a [u8],
    files: Vec<BadFile>,
}

impl Writer<'_> {
    /// The line of the table that was written last.
    fn last(&mut self) -> &mut BadFile {
        self.files.last_mut().expect("a file was just added")
    }

    /// Puts a name into the table and says where the file belongs, which the caller makes.
    fn file(&mut self, stem: &str, what: &'static str, refusal: Refusal) -> PathBuf {
        let name = format!("{stem}.so");
        let path = self.dir.join(&name);
        self.files.push(BadFile {
            name,
            what,
            code: refusal.0,
            says: refusal.1,
            is_mapped: false,
            is_taken: false,
        });
        path
    }

    /// Writes a file that is refused.
    fn bytes(&mut self, stem: &str, what: &'static str, refusal: Refusal, bytes: impl AsRef<[u8]>) {
        let path = self.file(stem, what, refusal);
        std::fs::write(path, bytes).expect("a file can be written");
    }

    /// Writes the good file with one change.
    fn changed(
        &mut self,
        stem: &str,
        what: &'static str,
        refusal: Refusal,
        change: impl FnOnce(&mut Vec<u8>),
    ) {
        let mut bytes = self.good.to_vec();
        change(&mut bytes);
        assert_ne!(bytes, self.good, "{stem}: nothing was changed");
        self.bytes(stem, what, refusal, bytes);
    }
}
