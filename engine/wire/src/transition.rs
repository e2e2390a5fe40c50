//! Transitions, and lists of them.

use serde::{Deserialize, Serialize};

use crate::{Fault, Mark, Time, Word};

/// One entry of the history; see [`plugin_engine::Transition`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Transition {
    /// The number, from one counter for the whole engine.
    pub seq: u64,
    /// When.
    pub at: Time,
    /// The plugin.
    pub id: String,
    /// The generation that was active.
    pub generation: u32,
    /// Its version, where that is still known.
    pub version: Option<String>,
    /// The state before, as `Enabled`.
    pub from: Word,
    /// The state after.
    pub to: Word,
    /// Why, in snake case, such as `update_timed_out`.
    pub cause: Word,
    /// The error that came with it.
    pub error: Option<Fault>,
    /// How long the call took that ended with it, in microseconds.
    pub duration_us: Option<u64>,
}

/// Stands where transitions or events should be that had left the memory before they were read.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Lost {
    /// How many.
    pub lost: u64,
    /// The number after which they are missing.
    #[serde(default)]
    pub after: u64,
}

/// What `/history` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct History {
    /// The entries, in the order that was asked for.
    pub entries: Vec<Transition>,
    /// What stands between them, in the same order.
    #[serde(default)]
    pub marks: Vec<Mark>,
    /// Everything up to this number was looked at.
    pub last_seq: u64,
    /// How many entries of the plugins that were asked for have left the history.
    pub lost: u64,
    /// Why what is on disk is missing here, if it is.
    #[serde(default)]
    pub problem: Option<String>,
}

impl From<&plugin_engine::Transition> for Transition {
    fn from(entry: &plugin_engine::Transition) -> Self {
        let micros = |duration: std::time::Duration| duration.as_micros();
        Self {
            seq: entry.seq,
            at: entry.at.into(),
            id: entry.id.as_str().to_owned(),
            generation: entry.generation,
            version: entry.version.as_deref().map(str::to_owned),
            from: entry.from.name().into(),
            to: entry.to.name().into(),
            cause: entry.cause.name().into(),
            error: entry.error.as_deref().map(Fault::from),
            duration_us: entry
                .duration
                .map(|duration| u64::try_from(micros(duration)).unwrap_or(u64::MAX)),
        }
    }
}

impl From<&plugin_engine::HistoryAnswer> for History {
    fn from(answer: &plugin_engine::HistoryAnswer) -> Self {
        Self {
            entries: answer.entries.iter().map(Transition::from).collect(),
            marks: answer.marks.iter().map(Mark::from).collect(),
            last_seq: answer.last_seq,
            lost: answer.lost,
            problem: answer.problem.clone(),
        }
    }
}
