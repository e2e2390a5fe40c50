//! Which tasks make progress, whether the engine is alive, and whether it is ready.

use plugin_engine::TaskLiveness;
use serde::{Deserialize, Serialize};

use crate::{Time, Word};

/// One task, or a plugin that records progress; see [`plugin_engine::TaskLiveness`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Task {
    /// Its name; `plugin.<id>` of a plugin.
    pub name: String,
    /// Whose it is, such as `engine`.
    pub kind: Word,
    /// When it last made progress.
    pub last_tick_at: Option<Time>,
    /// How many whole seconds ago that was.
    pub seconds_ago: Option<u64>,
    /// Since when it is busy.
    pub busy_since: Option<Time>,
    /// Whether what it is busy with is known to be long.
    #[serde(default)]
    pub protected: bool,
    /// Whether it is stale.
    pub stale: bool,
    /// Why it is stale, in words.
    #[serde(default)]
    pub stale_reason: Option<String>,
    /// Whether it has ended.
    pub ended: bool,
    /// How it has ended, in a word or two.
    #[serde(default)]
    pub end: Option<Word>,
    /// How often it was started again after a panic.
    pub restarts: u32,
}

/// What `/admin/liveness` answers.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Tasks {
    /// All tasks.
    pub tasks: Vec<Task>,
}

/// What `/livez` answers: whether the engine's own tasks make progress.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Livez {
    /// Whether all do.
    pub live: bool,
    /// The names of those that do not.
    pub stale: Vec<String>,
}

/// What `/readyz` answers: whether every plugin that is marked `required` can be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Readyz {
    /// Whether all can.
    pub ready: bool,
    /// Those that cannot.
    pub waiting_for: Vec<Waiting>,
}

/// A plugin that is required and cannot be called.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Waiting {
    /// The plugin.
    pub id: String,
    /// Its state.
    pub state: Word,
    /// The error that stands.
    pub message: Option<String>,
}

impl From<&TaskLiveness> for Task {
    fn from(task: &TaskLiveness) -> Self {
        Self {
            name: task.name.to_string(),
            kind: task.kind.name().into(),
            last_tick_at: task.last_progress.map(Time),
            seconds_ago: task.seconds_ago,
            busy_since: task.busy_since.map(Time),
            protected: task.protected,
            stale: task.stale.is_some(),
            stale_reason: task.stale.as_ref().map(ToString::to_string),
            ended: task.ended.is_some(),
            end: task.ended.map(|end| end.name().into()),
            restarts: task.restarts,
        }
    }
}

impl From<&plugin_engine::Snapshot> for Waiting {
    fn from(snapshot: &plugin_engine::Snapshot) -> Self {
        let error = snapshot.error.as_deref();
        Self {
            id: snapshot.id().as_str().to_owned(),
            state: snapshot.state.name().into(),
            message: error.map(|error| format!("{}: {}", error.kind, error.message)),
        }
    }
}
