//! What can go wrong with the file, in kinds that somebody can act on.

use std::path::{Path, PathBuf};

use rusqlite::ffi;

/// What kind of trouble it is. Which one decides what helps.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum StoreErrorKind {
    /// Another process or connection writes to the file, and did not end within the time to wait. Trying again may help.
    Locked,
    /// The file or its directory cannot be written to.
    ReadOnly,
    /// The disk, a quota or the set limit is used up. Trying again helps once there is room.
    Full,
    /// The file is damaged. [`set_aside`](crate::set_aside) makes room for a new one.
    Corrupt,
    /// The file is no history: another program made it.
    Foreign,
    /// A newer version of this program made the file, or changed it.
    NewerVersion,
    /// There is no such file. Only a [`Reader`](crate::Reader) says so; a [`Store`](crate::Store) makes it.
    Missing,
    /// What was to be appended does not fit together, or not to what is there. Trying again does not help.
    Invalid,
    /// The system could not read or write.
    Io,
    /// Anything else that SQLite says.
    Other,
}

impl StoreErrorKind {
    /// The kind in snake case.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Locked => "locked",
            Self::ReadOnly => "read_only",
            Self::Full => "full",
            Self::Corrupt => "corrupt",
            Self::Foreign => "foreign",
            Self::NewerVersion => "newer_version",
            Self::Missing => "missing",
            Self::Invalid => "invalid",
            Self::Io => "io",
            Self::Other => "other",
        }
    }
}

/// Why the history could not be opened, appended to, asked or trimmed.
#[derive(Debug, thiserror::Error)]
#[error("history {}: {what}", path.display())]
pub struct StoreError {
    kind: StoreErrorKind,
    path: PathBuf,
    what: String,
    #[source]
    source: Option<Box<dyn std::error::Error + Send + Sync>>,
}

impl StoreError {
    pub(crate) fn io(path: &Path, what: &str, error: std::io::Error) -> Self {
        use std::io::ErrorKind;
        let kind = match error.kind() {
            ErrorKind::NotFound => StoreErrorKind::Missing,
            ErrorKind::PermissionDenied | ErrorKind::ReadOnlyFilesystem => StoreErrorKind::ReadOnly,
            ErrorKind::StorageFull | ErrorKind::QuotaExceeded => StoreErrorKind::Full,
            _ => StoreErrorKind::Io,
        };
        Self {
            kind,
            path: path.to_owned(),
            what: format!("{what}: {error}"),
            source: Some(Box::new(error)),
        }
    }

    /// What something says that stands in for a store.
    #[doc(hidden)]
    #[must_use]
    pub fn stand_in(kind: StoreErrorKind, path: &Path) -> Self {
        Self {
            kind,
            path: path.to_owned(),
            what: format!("a stand-in says {}", kind.name()),
            source: None,
        }
    }

    /// What kind of trouble it is.
    #[must_use]
    pub fn kind(&self) -> StoreErrorKind {
        self.kind
    }

    /// The file that it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        &self.path
    }
}

/// Trouble inside, before it is said which file it is about.
#[derive(Debug)]
pub(crate) enum Trouble {
    Sql(rusqlite::Error),
    /// Something that SQLite read well is not what this program writes.
    Damaged(String),
    Invalid(String),
    NewerVersion(i64),
    /// An entry has a name, say of a cause, that this program does not know.
    NewerName(String),
    Foreign(String),
}

impl From<rusqlite::Error> for Trouble {
    fn from(error: rusqlite::Error) -> Self {
        Self::Sql(error)
    }
}

impl Trouble {
    pub(crate) fn kind(&self) -> StoreErrorKind {
        match self {
            Self::Sql(error) => kind_of(error),
            Self::Damaged(_) => StoreErrorKind::Corrupt,
            Self::Invalid(_) => StoreErrorKind::Invalid,
            Self::NewerVersion(_) | Self::NewerName(_) => StoreErrorKind::NewerVersion,
            Self::Foreign(_) => StoreErrorKind::Foreign,
        }
    }

    /// Says which file it is about, and what helps.
    pub(crate) fn of(self, path: &Path) -> StoreError {
        let kind = self.kind();
        let hint = match kind {
            StoreErrorKind::Locked => "another process is writing to it",
            StoreErrorKind::ReadOnly => "it or its directory cannot be written to",
            StoreErrorKind::Full => "no room is left on the disk or within its limit",
            StoreErrorKind::Corrupt => "the file is damaged; set it aside to begin a new one",
            _ => "",
        };
        let (what, source): (String, Option<Box<dyn std::error::Error + Send + Sync>>) = match self
        {
            Self::Sql(error) if hint.is_empty() => (error.to_string(), Some(Box::new(error))),
            Self::Sql(error) => (format!("{hint} ({error})"), Some(Box::new(error))),
            Self::Damaged(what) => (format!("{hint} ({what})"), None),
            Self::Invalid(what) => (format!("cannot be appended: {what}"), None),
            Self::NewerVersion(version) => (
                format!(
                    "its format is version {version}, and this program knows versions up to {}; use the program that wrote it",
                    crate::schema::VERSION
                ),
                None,
            ),
            Self::NewerName(name) => (
                format!(
                    "an entry says \"{name}\", which this program does not know; use the program that wrote it"
                ),
                None,
            ),
            Self::Foreign(what) => (format!("not a history of plugins: {what}"), None),
        };
        StoreError {
            kind,
            path: path.to_owned(),
            what,
            source,
        }
    }
}

fn kind_of(error: &rusqlite::Error) -> StoreErrorKind {
    let rusqlite::Error::SqliteFailure(failure, _) = error else {
        return match error {
            // A column is not of the type that was written.
            rusqlite::Error::FromSqlConversionFailure(..)
            | rusqlite::Error::IntegralValueOutOfRange(..)
            | rusqlite::Error::InvalidColumnType(..)
            | rusqlite::Error::Utf8Error(..) => StoreErrorKind::Corrupt,
            _ => StoreErrorKind::Other,
        };
    };
    match failure.extended_code {
        // A file that ends before its header says so, or cannot be mapped there, is a damaged one.
        ffi::SQLITE_IOERR_SHORT_READ | ffi::SQLITE_IOERR_CORRUPTFS => {
            return StoreErrorKind::Corrupt;
        }
        ffi::SQLITE_IOERR_LOCK | ffi::SQLITE_IOERR_BLOCKED => return StoreErrorKind::Locked,
        _ => {}
    }
    match failure.extended_code & 0xff {
        ffi::SQLITE_BUSY | ffi::SQLITE_LOCKED | ffi::SQLITE_PROTOCOL => StoreErrorKind::Locked,
        ffi::SQLITE_READONLY | ffi::SQLITE_PERM | ffi::SQLITE_AUTH => StoreErrorKind::ReadOnly,
        ffi::SQLITE_FULL => StoreErrorKind::Full,
        ffi::SQLITE_CORRUPT | ffi::SQLITE_NOTADB | ffi::SQLITE_FORMAT => StoreErrorKind::Corrupt,
        // A number that is there already, or something else that cannot be twice.
        ffi::SQLITE_CONSTRAINT => StoreErrorKind::Invalid,
        ffi::SQLITE_IOERR | ffi::SQLITE_CANTOPEN => StoreErrorKind::Io,
        _ => StoreErrorKind::Other,
    }
}
