//! Why bytes are no dynamic library that can be loaded here.

use super::Format;

/// Why bytes are no dynamic library that can be loaded here. The messages follow a file's name.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
pub(crate) enum ImageError {
    /// There are no bytes.
    #[error("is empty")]
    Empty,
    /// It begins like no library of any system.
    #[error("is no dynamic library: it looks like {looks_like}")]
    NoLibrary {
        /// What it may be.
        looks_like: &'static str,
    },
    /// It has the format of libraries, but is something else.
    #[error("is no dynamic library but {kind}")]
    NotALibrary {
        /// What it is.
        kind: String,
    },
    /// A number in it contradicts another, or the format.
    #[error("is a broken {format} file: {reason}")]
    Malformed {
        /// The format that it claims to have.
        format: Format,
        /// What does not fit.
        reason: String,
    },
    /// A part of it is missing.
    #[error("is cut off: a part of it ends at byte {end}, the file has {len}; copy it again")]
    CutOff {
        /// Where the part ends.
        end: u64,
        /// How long the file is.
        len: u64,
    },
    /// One of its notes cannot be read, or there is more than one manifest.
    #[error("has a bad note: {reason}")]
    BadNote {
        /// What is wrong.
        reason: String,
    },
    /// It is for another system.
    #[error("is {found}, a library of another system; this one loads {expected}")]
    OtherFormat {
        /// Its format.
        found: Format,
        /// The format of this system.
        expected: Format,
    },
    /// It is for another processor.
    #[error("is for another machine, {found}; this one is {expected}")]
    OtherMachine {
        /// Its machine.
        found: String,
        /// This machine.
        expected: String,
    },
}
