//! What is known of an engine as a whole.

use plugin_engine::LoadError;
use serde::{Deserialize, Serialize};

use crate::{Time, Word};

/// What `/engine` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct EngineInfo {
    /// The version of the engine.
    pub version: String,
    /// The number of its process.
    pub pid: u32,
    /// When it was started.
    pub started_at: Time,
    /// The directory of the plugin files.
    pub plugin_dir: Option<String>,
    /// The directory for what outlives the process.
    pub state_dir: Option<String>,
    /// The number of the last transition.
    pub last_seq: u64,
    /// How the history is kept.
    pub history: HistoryInfo,
    /// Calls that have passed their deadline and have not returned.
    pub stuck_calls: Vec<StuckCall>,
    /// Plugin files whose code is in the process.
    pub mapped_libraries: Vec<MappedLibrary>,
    /// Files that were refused.
    pub refused: Vec<RefusedFile>,
}

/// How the history is kept.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct HistoryInfo {
    /// Whether it outlives the process.
    pub durable: bool,
    /// The number of the last transition that does.
    pub durable_seq: Option<u64>,
    /// How many transitions wait to be written.
    pub held: Option<u64>,
    /// Why it is not written, if it should be.
    pub problem: Option<String>,
}

/// A call that has passed its deadline and has not returned; see [`plugin_engine::StuckCall`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct StuckCall {
    /// The plugin.
    pub id: String,
    /// The kind of call.
    pub call: Word,
    /// When it started.
    pub since: Time,
}

/// A plugin file whose code is in the process; see [`plugin_engine::MappedLibrary`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct MappedLibrary {
    /// The file, as it was named when it was mapped.
    pub file: String,
    /// The id in its manifest.
    pub id: String,
    /// The version in its manifest.
    pub version: String,
    /// Its BLAKE3 hash, in hexadecimal.
    pub fingerprint: String,
    /// How much of the address space it takes, in bytes; 0 where that is not known.
    pub bytes: u64,
    /// Since when it is mapped.
    pub mapped_at: Time,
    /// Since when nothing uses it.
    pub retired_at: Option<Time>,
    /// Why it is mapped, in words.
    pub why: String,
}

/// A file that was refused.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct RefusedFile {
    /// The file.
    pub path: String,
    /// The plugin that it would be, where that is known.
    pub id: Option<String>,
    /// The stable code, such as `PE0113`.
    pub code: Word,
    /// Why, with the file's name.
    pub message: String,
}

impl From<&plugin_engine::StuckCall> for StuckCall {
    fn from(call: &plugin_engine::StuckCall) -> Self {
        Self {
            id: call.id.as_str().to_owned(),
            call: call.call.name().into(),
            since: call.since.into(),
        }
    }
}

impl From<&plugin_engine::MappedLibrary> for MappedLibrary {
    fn from(library: &plugin_engine::MappedLibrary) -> Self {
        Self {
            file: library.file.to_string_lossy().into_owned(),
            id: library.id.as_str().to_owned(),
            version: library.version.clone(),
            fingerprint: library.fingerprint.clone(),
            bytes: library.bytes,
            mapped_at: library.mapped_at.into(),
            retired_at: library.retired_at.map(Time),
            why: library.why.clone(),
        }
    }
}

impl From<&LoadError> for RefusedFile {
    fn from(error: &LoadError) -> Self {
        let id = match error {
            LoadError::Duplicate { id, .. } => Some(id),
            LoadError::AnotherPlugin { expected, .. } => Some(expected),
            _ => None,
        };
        Self {
            path: error.path().to_string_lossy().into_owned(),
            id: id.map(|id| id.as_str().to_owned()),
            code: error.code().as_str().into(),
            message: error.to_string(),
        }
    }
}
