//! What an examination of a file found, check by check.

use std::fmt;
use std::path::PathBuf;

use super::error::VerifyError;
use crate::manifest::Manifest;

/// One of the checks that a file goes through, in their order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Check {
    /// It is a regular file within the plugin directory, and can be read.
    File,
    /// Nobody but trusted users can change it.
    Owner,
    /// It is a whole dynamic library for this machine.
    Format,
    /// It says of itself what it is.
    Manifest,
    /// It was built against a plugin-api that fits.
    Contract,
    /// Its panics can be caught.
    Panic,
    /// It does not say where other libraries are searched.
    SearchPath,
    /// The libraries that it needs are there.
    Needs,
    /// The lock lists it.
    Lock,
    /// It is signed by somebody who is trusted.
    Signature,
}

impl Check {
    /// All checks, in their order.
    pub const ALL: [Self; 10] = [
        Self::File,
        Self::Owner,
        Self::Format,
        Self::Manifest,
        Self::Contract,
        Self::Panic,
        Self::SearchPath,
        Self::Needs,
        Self::Lock,
        Self::Signature,
    ];

    /// What it is called: one word in small letters.
    ///
    /// ```
    /// use plugin_engine::Check;
    ///
    /// let names: Vec<_> = Check::ALL.iter().map(|check| check.name()).collect();
    /// assert_eq!((names[0], names[9]), ("file", "signature"));
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Owner => "owner",
            Self::Format => "format",
            Self::SearchPath => "search_path",
            Self::Manifest => "manifest",
            Self::Contract => "contract",
            Self::Panic => "panic",
            Self::Needs => "needs",
            Self::Lock => "lock",
            Self::Signature => "signature",
        }
    }
}

impl fmt::Display for Check {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// How a check went.
#[derive(Debug)]
#[non_exhaustive]
pub enum Verdict {
    /// It passed; what was found.
    Passed(String),
    /// It passed, and there is something that somebody should know.
    Warned(String),
    /// The file is refused.
    Refused(VerifyError),
    /// It could not be made, because an earlier one failed.
    NotReached,
}

impl Verdict {
    /// One word: `passed`, `warned`, `refused` or `not_reached`.
    ///
    /// ```
    /// assert_eq!(plugin_engine::Verdict::NotReached.name(), "not_reached");
    /// ```
    #[must_use]
    pub fn name(&self) -> &'static str {
        match self {
            Self::Passed(_) => "passed",
            Self::Warned(_) => "warned",
            Self::Refused(_) => "refused",
            Self::NotReached => "not_reached",
        }
    }
}

/// What was found when a file was looked at. None of its code has run.
///
/// ```
/// use plugin_engine::{Code, VerifyPolicy, inspect};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("libnotes.so");
/// std::fs::write(&file, "no library")?;
/// let inspection = inspect(&file, &VerifyPolicy::default());
/// assert!(!inspection.is_good());
/// assert_eq!(inspection.refusal().unwrap().code(), Code::FILE_NO_LIBRARY);
/// for (check, verdict) in &inspection.checks {
///     println!("{:<12} {}", check.name(), verdict.name());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug)]
#[non_exhaustive]
pub struct Inspection {
    /// The file.
    pub path: PathBuf,
    /// Its length in bytes, if it could be read.
    pub len: Option<u64>,
    /// The SHA-256 of its bytes in hexadecimal digits, if it could be read.
    pub sha256: Option<String>,
    /// What it says of itself, if that could be read.
    pub manifest: Option<Manifest>,
    /// The libraries that it needs from the system; they are named, and nobody vouches for them.
    pub needed: Vec<String>,
    /// Every check with its verdict, in the order of [`Check::ALL`].
    pub checks: Vec<(Check, Verdict)>,
}

impl Inspection {
    /// Whether the file would be loaded, as far as can be said without running any of its code.
    #[must_use]
    pub fn is_good(&self) -> bool {
        self.refusal().is_none()
    }

    /// The first check that refuses it.
    #[must_use]
    pub fn refusal(&self) -> Option<&VerifyError> {
        self.checks.iter().find_map(|(_, verdict)| match verdict {
            Verdict::Refused(error) => Some(error),
            _ => None,
        })
    }
}
