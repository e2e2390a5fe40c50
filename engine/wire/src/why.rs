//! Why a plugin is in its state.

use serde::{Deserialize, Serialize};
use serde_json::{Map, Value};

/// What `/plugins/{id}/why` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The plugin.
    pub id: String,
    /// For a person: state, since when, how it came there, what happens next.
    pub lines: Vec<String>,
    /// The same for a program, in fields beside the two above.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}
