//! What stands between the transitions of a history on disk.

use plugin_engine::HistoryMark;
use serde::{Deserialize, Serialize};

use crate::Time;

/// Something between transitions; see [`plugin_engine::HistoryMark`]. Told from a transition by its field `mark`.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "mark", rename_all = "snake_case")]
pub enum Mark {
    /// The engine was started.
    Started {
        /// The number of the start.
        seq: u64,
        /// When.
        at: Time,
        /// The process.
        pid: u32,
        /// The version of the engine.
        version: String,
        /// The numbers that the process before may have used, and of which nothing is known.
        lost: Option<LostNumbers>,
    },
    /// The engine was stopped in an orderly way.
    Stopped {
        /// The number of the stop.
        seq: u64,
        /// When.
        at: Time,
    },
    /// Good updates of which only sums are known.
    Folded {
        /// The number by which it stands in order: the largest among them.
        seq: u64,
        /// The smallest number among them.
        first_seq: u64,
        /// When the last of them was.
        at: Time,
        /// The plugin.
        id: String,
        /// How many transitions they were.
        transitions: u64,
        /// How many updates completed.
        updates: u64,
        /// How long they took together, in microseconds.
        total_us: u64,
    },
    /// Other entries that are gone.
    Gap {
        /// The number by which it stands in order: the largest among them.
        seq: u64,
        /// The smallest number among them.
        first_seq: u64,
        /// When the last of them was.
        at: Time,
        /// The plugin.
        id: String,
        /// How many they were.
        count: u64,
    },
    /// One that only a later version knows.
    #[serde(other)]
    Unknown,
}

/// Numbers of which nothing is known.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LostNumbers {
    /// The first.
    pub first: u64,
    /// The last.
    pub last: u64,
}

impl Mark {
    /// The number by which it stands in order; 0 for one that is not known.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Started { seq, .. }
            | Self::Stopped { seq, .. }
            | Self::Folded { seq, .. }
            | Self::Gap { seq, .. } => *seq,
            Self::Unknown => 0,
        }
    }
}

impl From<&HistoryMark> for Mark {
    fn from(mark: &HistoryMark) -> Self {
        let (seq, at) = (mark.seq(), Time(mark.at()));
        match mark {
            HistoryMark::Started {
                pid, version, lost, ..
            } => Self::Started {
                seq,
                at,
                pid: *pid,
                version: version.to_string(),
                lost: lost.map(|(first, last)| LostNumbers { first, last }),
            },
            HistoryMark::Stopped { .. } => Self::Stopped { seq, at },
            HistoryMark::Folded {
                id,
                first_seq,
                transitions,
                updates,
                total,
                ..
            } => Self::Folded {
                seq,
                first_seq: *first_seq,
                at,
                id: id.as_str().to_owned(),
                transitions: *transitions,
                updates: *updates,
                total_us: u64::try_from(total.as_micros()).unwrap_or(u64::MAX),
            },
            HistoryMark::Gap {
                id,
                first_seq,
                count,
                ..
            } => Self::Gap {
                seq,
                first_seq: *first_seq,
                at,
                id: id.as_str().to_owned(),
                count: *count,
            },
            _ => Self::Unknown,
        }
    }
}
