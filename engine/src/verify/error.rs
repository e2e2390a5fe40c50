//! What can be wrong with a file before any of its code runs.

use std::path::PathBuf;

use plugin_engine_core::{bounded, escape_control};

use crate::code::Code;

/// What is wrong with a file, found before any of its code ran. The message goes on from the file's name.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum VerifyError {
    /// It cannot be read.
    #[error("cannot be read: {0}")]
    Read(#[source] std::io::Error),
    /// No private copy of it could be made, or it could not be read to its end.
    #[error("cannot be copied to memory: {0}")]
    Seal(#[source] std::io::Error),
    /// It is a directory, a pipe, a socket or a device.
    #[error("is a {kind}, not a regular file")]
    NotRegular {
        /// What it is.
        kind: &'static str,
    },
    /// It is a link that leads elsewhere.
    #[error("is a link that leads out of the plugin directory, to {}", .0.display())]
    LinkOut(PathBuf),
    /// It is larger than the engine reads.
    #[error("has {len} bytes; the limit is {limit}")]
    TooLarge {
        /// Its size.
        len: u64,
        /// The limit.
        limit: u64,
    },
    /// It, or the directory it lies in, belongs to somebody who is not trusted.
    #[error("{}belongs to user {owner}, who is neither root nor the user of the engine ({engine})",
        match directory { Some(directory) => format!("lies in {}, which ", directory.display()), None => String::new() })]
    Owner {
        /// The directory, if it is not the file itself.
        directory: Option<PathBuf>,
        /// Whose it is.
        owner: u32,
        /// Who runs the engine.
        engine: u32,
    },
    /// Everybody may write to it.
    #[error("can be written to by everybody (mode {mode:04o}); take that away: chmod o-w")]
    Writable {
        /// Its permissions.
        mode: u32,
    },
    /// Everybody may put another file in its place.
    #[error("lies below {}, to which everybody may write (mode {mode:04o})", directory.display())]
    DirectoryWritable {
        /// The directory.
        directory: PathBuf,
        /// Its permissions.
        mode: u32,
    },
    /// It is nothing like a library.
    #[error("is no dynamic library: {reason}")]
    NoLibrary {
        /// What it looks like.
        reason: String,
    },
    /// It begins as a library does, and is broken.
    #[error("is a broken library: {reason}")]
    Malformed {
        /// What does not fit.
        reason: String,
    },
    /// A part of it is missing.
    #[error("is cut off: a part of it ends at byte {end}, the file has {len}")]
    CutOff {
        /// Where the part ends.
        end: u64,
        /// How long the file is.
        len: u64,
    },
    /// It is for another machine or system.
    #[error("is {found}; this engine runs {expected}")]
    OtherMachine {
        /// What it is.
        found: String,
        /// What it must be.
        expected: String,
    },
    /// It is a program or an object file.
    #[error("is {kind}, not a dynamic library")]
    NotDynamic {
        /// What it is, with its article.
        kind: String,
    },
    /// It tells the system's loader where to search.
    #[error("has {} {tag}: {}; libraries found there are not checked",
        if tag.starts_with("LC_") { "an" } else { "a" }, escape_control(bounded(path, 200)))]
    SearchPath {
        /// What the entry is called.
        tag: &'static str,
        /// Where it points.
        path: String,
    },
    /// A library that it needs is missing, or is named so that it cannot be found.
    #[error("{}", escape_control(bounded(reason, 400)))]
    Needs {
        /// Which, and why it would not be found.
        reason: String,
    },
    /// It has no manifest.
    #[error("has no manifest: it is no plugin, or was not exported with export_plugin!")]
    NoManifest,
    /// Its manifest cannot be read.
    #[error("has a bad manifest: {reason}")]
    BadManifest {
        /// What is wrong.
        reason: String,
    },
    /// It was built against another contract.
    #[error(
        "was built against plugin-api {}, this engine has {expected}; rebuild the plugin against {expected}",
        escape_control(bounded(found, 40))
    )]
    ApiVersion {
        /// The plugin's version of the contract.
        found: String,
        /// The engine's.
        expected: &'static str,
    },
    /// Its panics would end the process.
    #[error(
        "was built with panic = \"{}\": a panic in it would end this process; build it with panic = \"unwind\"",
        escape_control(bounded(strategy, 40))
    )]
    PanicStrategy {
        /// What it was built with.
        strategy: String,
    },
    /// There is a lock, and it does not list the file.
    #[error("is not listed in {}", lock.display())]
    NotLocked {
        /// The lock.
        lock: PathBuf,
    },
    /// It is not the file that was locked.
    #[error("has the {what} {}, {} says {}", escape_control(bounded(found, 80)), lock.display(), escape_control(bounded(locked, 80)))]
    LockMismatch {
        /// The lock.
        lock: PathBuf,
        /// What differs.
        what: &'static str,
        /// What the file has.
        found: String,
        /// What the lock says.
        locked: String,
    },
    /// The lock does not hold, so nothing is loaded.
    #[error("{} cannot be used: {reason}", lock.display())]
    BadLock {
        /// The lock.
        lock: PathBuf,
        /// Why not.
        reason: String,
    },
    /// A signature is required, and there is none.
    #[error("has no signature at {}, and one is required", signature.display())]
    NoSignature {
        /// Where it would be.
        signature: PathBuf,
    },
    /// The signature does not fit.
    #[error("the signature {} does not fit: {reason}", signature.display())]
    BadSignature {
        /// Where it is.
        signature: PathBuf,
        /// Why not.
        reason: String,
    },
}

impl VerifyError {
    /// The stable code.
    ///
    /// ```
    /// use plugin_engine::{Code, VerifyPolicy, inspect};
    ///
    /// let inspection = inspect("/nowhere/libclock.so", &VerifyPolicy::default());
    /// assert_eq!(inspection.refusal().unwrap().code(), Code::FILE_UNREADABLE);
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Read(_) => Code::FILE_UNREADABLE,
            Self::Seal(_) => Code::SEAL_FAILED,
            Self::NotRegular { .. } => Code::FILE_NOT_REGULAR,
            Self::LinkOut(_) => Code::FILE_LINK_OUT,
            Self::TooLarge { .. } => Code::FILE_TOO_LARGE,
            Self::Owner { .. } => Code::FILE_OWNER,
            Self::Writable { .. } => Code::FILE_WRITABLE,
            Self::DirectoryWritable { .. } => Code::DIRECTORY_WRITABLE,
            Self::NoLibrary { .. } => Code::FILE_NO_LIBRARY,
            Self::Malformed { .. } => Code::FILE_MALFORMED,
            Self::CutOff { .. } => Code::FILE_CUT_OFF,
            Self::OtherMachine { .. } => Code::FILE_OTHER_MACHINE,
            Self::NotDynamic { .. } => Code::FILE_NOT_DYNAMIC,
            Self::SearchPath { .. } => Code::FILE_SEARCH_PATH,
            Self::Needs { .. } => Code::FILE_NEEDS,
            Self::NoManifest => Code::NO_MANIFEST,
            Self::BadManifest { .. } => Code::BAD_MANIFEST,
            Self::ApiVersion { .. } => Code::API_VERSION,
            Self::PanicStrategy { .. } => Code::PANIC_STRATEGY,
            Self::NotLocked { .. } => Code::NOT_LOCKED,
            Self::LockMismatch { .. } => Code::LOCK_MISMATCH,
            Self::BadLock { .. } => Code::BAD_LOCK,
            Self::NoSignature { .. } => Code::NO_SIGNATURE,
            Self::BadSignature { .. } => Code::BAD_SIGNATURE,
        }
    }
}
