//! What a plugin did wrong.

use serde::{Deserialize, Serialize};

use crate::{Time, Word, text};

/// A fault of a plugin; see [`plugin_engine::Fault`].
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fault {
    /// The kind in snake case, such as `timeout`.
    pub kind: Word,
    /// The Rust type of the error, where there is one.
    #[serde(rename = "type")]
    pub type_name: Option<String>,
    /// What happened, as the plugin or the engine worded it. May hold control characters.
    pub message: String,
    /// When.
    pub at: Time,
    /// Whether the engine tries again by itself.
    pub recoverable: bool,
    /// How many calls of this kind have failed in a row, with this one.
    pub consecutive: u32,
    /// Where: `file:line:column`.
    pub location: Option<String>,
    /// How it came there, a line per frame. Absent unless backtraces were asked for.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub backtrace: Option<String>,
}

impl From<&plugin_engine::Fault> for Fault {
    fn from(fault: &plugin_engine::Fault) -> Self {
        Self {
            kind: fault.kind.name().into(),
            type_name: text(&fault.type_name),
            message: fault.message.to_string(),
            at: fault.at.into(),
            recoverable: fault.recoverable,
            consecutive: fault.consecutive,
            location: text(&fault.location),
            backtrace: text(&fault.backtrace),
        }
    }
}
