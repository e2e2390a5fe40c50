//! Finds the files that may be plugins: what has the right ending and does not look like a file in the making.

use std::ffi::OsString;
use std::io;
use std::path::{Path, PathBuf};

/// Why the plugin directory could not be read.
#[derive(Debug, thiserror::Error)]
#[error("cannot read the plugin directory {}", path.display())]
pub struct DiscoverError {
    /// The directory.
    pub path: PathBuf,
    /// Why.
    #[source]
    pub source: std::io::Error,
}

/// A file that may be a plugin. Nothing is known of it but its name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Candidate {
    pub(crate) path: PathBuf,
    /// The directory that a link in it must not lead out of.
    pub(crate) root: PathBuf,
}

impl Candidate {
    /// A file that somebody named: links in it must not lead out of the directory it is named in.
    pub(crate) fn of_path(path: &Path) -> Self {
        let root = match path.parent() {
            Some(parent) if parent != Path::new("") => parent,
            _ => Path::new("."),
        };
        Self {
            path: path.to_owned(),
            root: root.to_owned(),
        }
    }

    /// A file that somebody named, where one directory has a name already: a file in it is the same file whichever way it was named.
    pub(crate) fn of_path_beside(path: &Path, dir: Option<&Path>) -> Self {
        let named = Self::of_path(path);
        let same = |dir: &Path| match (dir.canonicalize(), named.root.canonicalize()) {
            (Ok(dir), Ok(root)) => dir == root,
            _ => false,
        };
        match (dir.filter(|dir| same(dir)), path.file_name()) {
            (Some(dir), Some(name)) => Self {
                path: dir.join(name),
                root: dir.to_owned(),
            },
            _ => named,
        }
    }

    /// The file's name without its ending, which is what a configuration beside it is called.
    pub(crate) fn config_path(&self) -> PathBuf {
        self.path.with_extension("toml")
    }
}

/// All candidates in `root`, by file name, so that the order of loading is the same on every machine.
pub(crate) fn discover(root: &Path) -> Result<Vec<Candidate>, DiscoverError> {
    let failed = |source| DiscoverError {
        path: root.to_owned(),
        source,
    };
    let mut found = Vec::new();
    for name in names(root).map_err(failed)? {
        if is_plugin_name(&name.to_string_lossy()) {
            found.push(Candidate {
                path: root.join(name),
                root: root.to_owned(),
            });
        }
    }
    found.sort();
    Ok(found)
}

/// All names in a directory.
pub(crate) fn names(root: &Path) -> io::Result<Vec<OsString>> {
    #[cfg(feature = "simulation")]
    if let Some(names) = crate::simulation::directory::names(root) {
        return names;
    }
    std::fs::read_dir(root)?
        .map(|entry| Ok(entry?.file_name()))
        .collect()
}

/// Whether there is anything under a path, be it a link that leads nowhere.
pub(crate) fn is_there(path: &Path) -> bool {
    #[cfg(feature = "simulation")]
    if let Some(is_there) = crate::simulation::directory::has(path) {
        return is_there;
    }
    path.symlink_metadata().is_ok()
}

/// Whether a file of this name is looked at. Dotfiles are what package managers, `rsync` and editors write before they rename.
pub(crate) fn is_plugin_name(name: &str) -> bool {
    let is_meant = name.ends_with(std::env::consts::DLL_SUFFIX) && !name.starts_with('.');
    #[cfg(feature = "simulation")]
    let is_meant = {
        use crate::simulation::{Question, tampered_answer};
        tampered_answer(Question::IsPluginName, is_meant)
    };
    is_meant
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_libraries_are_looked_at() {
        for name in ["libclock.so", "clock.so", "-.so"] {
            assert!(is_plugin_name(name), "{name}");
        }
        for name in [
            ".libclock.so.Xy12",
            ".libclock.so",
            "libclock.so~",
            "libclock.so.dpkg-new",
            "libclock.toml",
            "libclock.so.1",
        ] {
            assert!(!is_plugin_name(name), "{name}");
        }
    }
}
