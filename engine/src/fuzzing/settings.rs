//! What a plugin says of its settings, and settings that are held against it.

use crate::config;

/// A schema and settings, with a line of three dashes between them: bounded reasons, and an end, whatever the schema refers to.
pub fn settings(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else {
        return;
    };
    let (schema, settings) = text.split_once("\n---\n").unwrap_or((text, ""));
    match config::check_settings(schema, settings) {
        Ok(Ok(())) => {}
        Ok(Err(error)) => {
            for problem in error.problems() {
                super::assert_message(problem);
            }
        }
        Err(reason) => assert!(
            !reason.is_empty() && reason.len() <= super::MESSAGE_LEN_MAX,
            "{reason}"
        ),
    }
}
