//! Why a project was not written.

use std::io;
use std::path::{Path, PathBuf};

use plugin_engine::{Code, bounded};

/// Why a project was not written.
#[derive(Debug)]
pub(crate) enum ProjectError {
    /// The name cannot be that of a crate and of a plugin.
    Name { name: String, reason: String },
    /// There is something of that name already.
    Exists(PathBuf),
    /// A file or directory cannot be written.
    Unwritable { path: PathBuf, error: io::Error },
    /// There is no plugin-api where one was to be.
    NoApi { path: PathBuf, reason: String },
}

impl ProjectError {
    pub(super) fn unwritable(path: &Path, error: io::Error) -> Self {
        let path = path.to_owned();
        Self::Unwritable { path, error }
    }

    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Name { .. } => Code::PROJECT_NAME,
            Self::Exists(_) => Code::PROJECT_EXISTS,
            Self::Unwritable { .. } => Code::PROJECT_UNWRITABLE,
            Self::NoApi { .. } => Code::NO_PLUGIN_API,
        }
    }
}

impl std::fmt::Display for ProjectError {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Name { name, reason } => {
                write!(
                    f,
                    "\"{}\" cannot be the name of a plugin: {reason}",
                    bounded(name, 80)
                )
            }
            Self::Exists(path) => {
                write!(
                    f,
                    "{} is there already; choose another name",
                    path.display()
                )
            }
            Self::Unwritable { path, error } => {
                write!(f, "{} cannot be written: {error}", path.display())
            }
            Self::NoApi { path, reason } => write!(
                f,
                "{} holds no plugin-api: {reason}; name the directory of its crate, or the one that it lies in",
                path.display()
            ),
        }
    }
}

impl std::error::Error for ProjectError {
    fn source(&self) -> Option<&(dyn std::error::Error + 'static)> {
        match self {
            Self::Unwritable { error, .. } => Some(error),
            _ => None,
        }
    }
}
