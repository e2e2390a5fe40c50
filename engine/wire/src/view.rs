//! What a plugin shows of itself, for a program that asks for JSON.

use serde::{Deserialize, Serialize};

use crate::Word;

/// What `/plugins/{id}/display` answers where JSON is asked for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct View {
    /// `empty`, `text`, `svg`, `png`, `html` or `json`.
    pub kind: Word,
    /// The content, where it is text.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub text: Option<String>,
    /// The content in Base64 (RFC 4648, padded), where it is not.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub base64: Option<String>,
}
