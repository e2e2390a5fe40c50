//! What becomes of a command, and of a request that cannot be served.

use serde::{Deserialize, Serialize};

use crate::{Snapshot, Word};

/// Why a request was not served.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorBody {
    /// Why.
    pub error: ErrorText,
}

/// Why, in words.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct ErrorText {
    /// The stable code, such as `PE0402`, where there is one.
    pub code: Option<Word>,
    /// One line, without the code.
    pub message: String,
}

/// A command that was carried out.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct CommandDone {
    /// The plugin.
    pub id: String,
    /// The command, such as `reload`.
    pub command: Word,
    /// Always `true`.
    pub done: bool,
    /// How the plugin stands after it.
    pub snapshot: Snapshot,
    /// What there is to say of it beyond that, in words.
    pub message: Option<String>,
}

impl ErrorBody {
    /// An error with these words, and its code where it has one.
    #[must_use]
    pub fn new(code: Option<plugin_engine::Code>, message: impl Into<String>) -> Self {
        Self {
            error: ErrorText {
                code: code.map(|code| code.as_str().into()),
                message: message.into(),
            },
        }
    }
}

impl From<&plugin_engine::Error> for ErrorBody {
    fn from(error: &plugin_engine::Error) -> Self {
        Self::new(Some(error.code()), error.to_string())
    }
}
