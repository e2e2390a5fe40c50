//! The directory of a child: copies of the files that it looks at, which nobody else changes meanwhile.

use std::io;
use std::path::{Path, PathBuf};

use tempfile::TempDir;

/// A directory with a copy of the plugin file and of those that it is loaded together with; gone when this is dropped.
pub(super) struct Copies {
    _dir: TempDir,
    pub(super) file: PathBuf,
    pub(super) beside: Vec<PathBuf>,
    /// Where the child works, if what a plugin writes must not lie around.
    pub(super) scratch: PathBuf,
}

impl Copies {
    pub(super) fn of(file: &Path, beside: &[PathBuf]) -> io::Result<Self> {
        let dir = tempfile::Builder::new()
            .prefix("plugin-engine-validate-")
            .tempdir()?;
        let copy = |from: &Path, into: &str| -> io::Result<PathBuf> {
            let name = from
                .file_name()
                .ok_or_else(|| io::Error::other("the path names no file"))?;
            let into = dir.path().join(into);
            std::fs::create_dir(&into)?;
            let to = into.join(name);
            std::fs::copy(from, &to)?;
            Ok(to)
        };
        let file = copy(file, "plugin")?;
        let beside = beside
            .iter()
            .enumerate()
            .map(|(number, file)| copy(file, &format!("beside-{number}")))
            .collect::<io::Result<_>>()?;
        let scratch = dir.path().join("scratch");
        std::fs::create_dir(&scratch)?;
        Ok(Self {
            _dir: dir,
            file,
            beside,
            scratch,
        })
    }
}
