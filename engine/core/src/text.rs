//! Text that comes from plugins: bounded in length, and harmless to a terminal.

use std::borrow::Cow;

/// The longest message of a fault, in bytes. What is longer is cut, and an ellipsis says so.
pub const MESSAGE_LEN_MAX: usize = 1_024;

/// The beginning of `text`, at most `len_max` bytes of it, cut at a character boundary.
///
/// ```
/// assert_eq!(plugin_engine_core::bounded("Grüße", 3), "Gr", "an ü takes two bytes");
/// ```
#[must_use]
pub fn bounded(text: &str, len_max: usize) -> &str {
    &text[..text.floor_char_boundary(len_max)]
}

/// `text` with every control character written as an escape, so that it cannot steer a terminal or break a line.
///
/// ```
/// assert_eq!(plugin_engine_core::escape_control("red: \x1b[31m"), "red: \\u{1b}[31m");
/// ```
#[must_use]
pub fn escape_control(text: &str) -> Cow<'_, str> {
    // Bidirectional overrides are no control characters by category, but reorder what a person reads.
    let harmful =
        |c: char| c.is_control() || matches!(c, '\u{202a}'..='\u{202e}' | '\u{2066}'..='\u{2069}');
    if !text.contains(harmful) {
        return Cow::Borrowed(text);
    }
    let mut escaped = String::with_capacity(text.len() + 16);
    for c in text.chars() {
        if harmful(c) {
            escaped.extend(c.escape_default());
        } else {
            escaped.push(c);
        }
    }
    Cow::Owned(escaped)
}

/// [`bounded`], with an ellipsis where something was cut.
pub(crate) fn bounded_message(text: &str) -> Box<str> {
    if text.len() <= MESSAGE_LEN_MAX {
        return text.into();
    }
    format!("{}…", bounded(text, MESSAGE_LEN_MAX - '…'.len_utf8())).into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_at_a_character_boundary() {
        assert_eq!(bounded("aéb", 2), "a");
        assert_eq!(bounded("aéb", 3), "aé");
        let long = "é".repeat(2_000);
        let cut = bounded_message(&long);
        assert!(cut.len() <= MESSAGE_LEN_MAX && cut.ends_with('…'));
    }

    #[test]
    fn control_characters_are_escaped() {
        assert_eq!(
            escape_control("\u{1b}[31mred\nline"),
            "\\u{1b}[31mred\\nline"
        );
        assert_eq!(escape_control("plain ünicode"), "plain ünicode");
        assert_eq!(escape_control("a\u{202e}b"), "a\\u{202e}b");
    }
}
