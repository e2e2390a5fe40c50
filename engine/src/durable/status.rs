//! How the history on disk stands, for people, and why it could not be changed.

use std::path::PathBuf;

use plugin_engine_history_store::StoreError;

/// Why the history on disk could not be changed.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum HistoryError {
    /// The file could not be written.
    #[error(transparent)]
    Store(#[from] StoreError),
    /// What has happened so far cannot be written at present, and would be written after the change.
    #[error("the history {} cannot be written at present ({problem}); try again when it can", path.display())]
    Behind {
        /// The file.
        path: PathBuf,
        /// Why not.
        problem: String,
    },
    /// The file cannot be opened at present.
    #[error("the history {} cannot be opened at present; try again when it can", path.display())]
    NotOpen {
        /// The file.
        path: PathBuf,
    },
}

/// How the history on disk stands.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryStatus {
    /// The file.
    pub file: PathBuf,
    /// The number of the start of this engine; what has smaller ones is of engines before.
    pub started_seq: u64,
    /// Everything up to this number is in the file: a `kill -9` takes nothing of it away.
    pub durable_seq: u64,
    /// How many numbers have been given out since: those entries are in memory only.
    pub held: u64,
    /// Why nothing is written at present, if so. The engine goes on, and what is held is written as soon as that is possible.
    pub problem: Option<String>,
}
