//! What a plugin did wrong, as data.

use crate::text::bounded_message;
use crate::{CallKind, WallTime, bounded};

/// The kind of a fault.
///
/// ```
/// use plugin_engine_core::FaultKind;
///
/// assert_eq!(FaultKind::Timeout.name(), "timeout");
/// assert!(FaultKind::ALL.into_iter().all(|kind| FaultKind::find(kind.name()) == Some(kind)));
/// assert_eq!(FaultKind::find("bad luck"), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum FaultKind {
    /// The call returned an error that may be gone at the next try.
    Failed,
    /// The call returned an error that trying again cannot mend.
    Permanent,
    /// The call passed its deadline.
    Timeout,
    /// The call panicked.
    Panic,
    /// A thread that the plugin started panicked.
    ThreadPanic,
    /// The file was refused or could not be loaded.
    Load,
    /// What is said of the plugin is not good, or refers to something that is not there.
    Config,
    /// The plugin answered with something that the contract does not have.
    Contract,
    /// The engine could not make the call: no thread could be started, or the limit of threads is reached.
    Refused,
    /// Something that the plugin requires is not there, or not in a version that fits.
    Requirement,
    /// It uses more than it should.
    Limit,
    /// It was being called when a process ended: by a crash of its own, or for a reason that nobody knows.
    Crash,
}

impl FaultKind {
    /// All kinds.
    pub const ALL: [Self; 12] = [
        Self::Failed,
        Self::Permanent,
        Self::Timeout,
        Self::Panic,
        Self::ThreadPanic,
        Self::Load,
        Self::Config,
        Self::Contract,
        Self::Refused,
        Self::Requirement,
        Self::Limit,
        Self::Crash,
    ];

    /// The kind with this [`name`](Self::name).
    #[must_use]
    pub fn find(name: &str) -> Option<Self> {
        Self::ALL.into_iter().find(|kind| kind.name() == name)
    }

    /// The kind in snake case, as JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Failed => "failed",
            Self::Permanent => "permanent",
            Self::Timeout => "timeout",
            Self::Panic => "panic",
            Self::ThreadPanic => "thread_panic",
            Self::Load => "load",
            Self::Config => "config",
            Self::Contract => "contract",
            Self::Refused => "refused",
            Self::Requirement => "requirement",
            Self::Limit => "limit",
            Self::Crash => "crash",
        }
    }
}

impl std::fmt::Display for FaultKind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A fault as it happens, before the machine has put it in its place.
///
/// ```
/// use plugin_engine_core::{FaultKind, FaultReport};
///
/// let report = FaultReport::new(FaultKind::Failed, "the disk is away");
/// assert!(report.location.is_empty());
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct FaultReport {
    /// The kind.
    pub kind: FaultKind,
    /// What happened, in words.
    pub message: String,
    /// The Rust type of the error, or empty.
    pub type_name: String,
    /// Where it happened: `file:line:column`, or empty.
    pub location: String,
    /// How it came there, a line per frame, where that was asked for; else empty.
    pub backtrace: String,
}

impl FaultReport {
    /// A report of `kind` that says `message`.
    #[must_use]
    pub fn new(kind: FaultKind, message: impl Into<String>) -> Self {
        Self {
            kind,
            message: message.into(),
            type_name: String::new(),
            location: String::new(),
            backtrace: String::new(),
        }
    }
}

/// A fault: what a plugin did wrong, when, and in which call. Immutable, bounded in size, shared by reference.
///
/// ```
/// use plugin_engine_core::{CallKind, Fault, FaultKind, FaultReport, WallTime};
///
/// let report = FaultReport::new(FaultKind::Failed, "the disk is away");
/// let fault = Fault::new(&report, WallTime::default(), Some(CallKind::Update), true, 1);
/// assert!(fault.says(&report), "there is nothing new in it");
/// assert!(fault.memory() > "the disk is away".len());
/// assert_eq!(fault.to_string(), "failed: the disk is away");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Fault {
    /// The kind.
    pub kind: FaultKind,
    /// What happened, in words, at most [`MESSAGE_LEN_MAX`](crate::MESSAGE_LEN_MAX) bytes.
    pub message: Box<str>,
    /// The Rust type of the error, or empty. At most 128 bytes.
    pub type_name: Box<str>,
    /// When.
    pub at: WallTime,
    /// The call it happened in; `None` for a load or a thread of the plugin's own.
    pub call: Option<CallKind>,
    /// Whether the engine tries again by itself.
    pub recoverable: bool,
    /// How many calls of this kind have failed in a row, with this one.
    pub consecutive: u32,
    /// Where: `file:line:column`, or empty. At most 256 bytes.
    pub location: Box<str>,
    /// How it came there, where that was asked for; else empty. At most 8 KiB.
    pub backtrace: Box<str>,
}

impl Fault {
    /// Puts a report in its place, cutting what is too long.
    #[must_use]
    pub fn new(
        report: &FaultReport,
        at: WallTime,
        call: Option<CallKind>,
        recoverable: bool,
        consecutive: u32,
    ) -> Self {
        Self {
            kind: report.kind,
            message: bounded_message(&report.message),
            type_name: bounded(&report.type_name, 128).into(),
            at,
            call,
            recoverable,
            consecutive,
            location: bounded(&report.location, 256).into(),
            backtrace: bounded(&report.backtrace, 8_192).into(),
        }
    }

    /// About how much memory this takes, in bytes.
    #[must_use]
    pub fn memory(&self) -> usize {
        size_of::<Self>()
            + self.message.len()
            + self.type_name.len()
            + self.location.len()
            + self.backtrace.len()
    }
}

impl Fault {
    /// Whether a report says nothing that this fault does not say already. That no thread is free is the same news with any number
    /// of threads.
    #[must_use]
    pub fn says(&self, report: &FaultReport) -> bool {
        self.kind == report.kind
            && (report.kind == FaultKind::Refused
                || self.message == bounded_message(&report.message))
    }
}

impl std::fmt::Display for Fault {
    /// One line: the kind, the message without control characters, and the location.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}: {}", self.kind, crate::escape_control(&self.message))?;
        if !self.location.is_empty() {
            write!(f, " (at {})", crate::escape_control(&self.location))?;
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_kind_is_found_by_its_name() {
        for kind in FaultKind::ALL {
            assert_eq!(FaultKind::find(kind.name()), Some(kind));
        }
        assert_eq!(FaultKind::find("Failed"), None);
    }
}
