//! What is checked, and what came of it.

use std::collections::BTreeMap;

use plugin_engine::Code;
use serde::{Deserialize, Serialize};

/// One check. The names are a promise to the programs that read them: add, never rename.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Check {
    File,
    Limits,
    Load,
    Create,
    Destroy,
    Settings,
    Updates,
    Duration,
    Panics,
    Output,
    Progress,
    Cancellation,
    Display,
    Threads,
    Descriptors,
    Memory,
    ThreadKeys,
    Unload,
    Reload,
}

impl Check {
    /// For people.
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::File => "file",
            Self::Limits => "limits",
            Self::Load => "load",
            Self::Create => "create",
            Self::Destroy => "destroy",
            Self::Settings => "settings",
            Self::Updates => "updates",
            Self::Duration => "duration",
            Self::Panics => "panics",
            Self::Output => "output",
            Self::Progress => "progress",
            Self::Cancellation => "cancellation",
            Self::Display => "display",
            Self::Threads => "threads",
            Self::Descriptors => "descriptors",
            Self::Memory => "memory",
            Self::ThreadKeys => "thread keys",
            Self::Unload => "unload",
            Self::Reload => "reload",
        }
    }
}

/// What a check came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Verdict {
    Passed,
    /// It could not be made, or not to its end.
    Skipped,
    /// Worth knowing, and no reason to refuse the plugin.
    Warning,
    Failed,
}

impl Verdict {
    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Skipped => "skipped",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

/// What came of one check.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Outcome {
    pub(crate) check: Check,
    pub(crate) verdict: Verdict,
    /// The stable code of what was found.
    pub(crate) code: Option<String>,
    pub(crate) text: String,
    /// What to do about it.
    pub(crate) remedy: Option<String>,
    /// What was measured, with the unit in each name.
    pub(crate) measured: BTreeMap<String, u64>,
}

impl Outcome {
    fn new(check: Check, verdict: Verdict, text: impl Into<String>) -> Self {
        Self {
            check,
            verdict,
            code: None,
            text: text.into(),
            remedy: None,
            measured: BTreeMap::new(),
        }
    }

    pub(crate) fn passed(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Passed, text)
    }

    pub(crate) fn skipped(check: Check, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Skipped, text)
    }

    pub(crate) fn warning(check: Check, code: Code, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Warning, text).with(code)
    }

    pub(crate) fn failed(check: Check, code: Code, text: impl Into<String>) -> Self {
        Self::new(check, Verdict::Failed, text).with(code)
    }

    /// Gives it a code, whose remedy is what to do.
    pub(crate) fn with(mut self, code: Code) -> Self {
        self.code = Some(code.as_str().to_owned());
        self.remedy = Some(code.remedy().to_owned());
        self
    }

    pub(crate) fn measured(mut self, name: &str, value: u64) -> Self {
        self.measured.insert(name.to_owned(), value);
        self
    }
}
