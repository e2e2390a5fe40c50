//! The id of a plugin.

use std::borrow::Borrow;
use std::fmt;
use std::str::FromStr;
use std::sync::Arc;

/// The id of a plugin: `[a-z0-9][a-z0-9_-]{0,63}`. Cheap to clone.
///
/// ```
/// use plugin_engine_core::PluginId;
///
/// let id = PluginId::new("clock-2")?;
/// assert_eq!(id.as_str(), "clock-2");
/// assert!(PluginId::new("Clock 2").is_err());
/// assert_eq!(PluginId::nearest("Clock 2"), "clock_2");
/// # Ok::<(), plugin_engine_core::PluginIdError>(())
/// ```
#[derive(Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct PluginId(Arc<str>);

/// A text that is no plugin id.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no plugin id: 1 to 64 characters of a-z, 0-9, _ and -, beginning with a letter or digit",
    crate::escape_control(crate::bounded(text, 80))
)]
pub struct PluginIdError {
    text: String,
}

impl PluginId {
    /// Checks `text` and makes an id of it.
    ///
    /// # Errors
    /// `text` is not of the form of an id.
    pub fn new(text: &str) -> Result<Self, PluginIdError> {
        let bytes = text.as_bytes();
        let fits = (1..=64).contains(&bytes.len())
            && bytes[0] != b'_'
            && bytes[0] != b'-'
            && bytes
                .iter()
                .all(|byte| matches!(byte, b'a'..=b'z' | b'0'..=b'9' | b'_' | b'-'));
        if fits {
            Ok(Self(text.into()))
        } else {
            Err(PluginIdError {
                text: crate::bounded(text, 256).to_owned(),
            })
        }
    }

    /// The id that is nearest to `text`: what an id cannot have is written as `_`, what is too long is cut.
    #[must_use]
    pub fn nearest(text: &str) -> Self {
        let mut id: String = text
            .chars()
            .map(|c| c.to_ascii_lowercase())
            .map(|c| {
                if matches!(c, 'a'..='z' | '0'..='9' | '-') {
                    c
                } else {
                    '_'
                }
            })
            .take(64)
            .collect();
        if !id.starts_with(|c: char| c.is_ascii_alphanumeric()) {
            id.insert(0, 'x');
            id.truncate(64);
        }
        Self(id.into())
    }

    /// The id as text.
    #[must_use]
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl fmt::Display for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(&self.0)
    }
}

impl fmt::Debug for PluginId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(&self.0, f)
    }
}

impl Borrow<str> for PluginId {
    fn borrow(&self) -> &str {
        &self.0
    }
}

impl AsRef<str> for PluginId {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl FromStr for PluginId {
    type Err = PluginIdError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        Self::new(text)
    }
}

impl PartialEq<str> for PluginId {
    fn eq(&self, other: &str) -> bool {
        &*self.0 == other
    }
}

impl PartialEq<&str> for PluginId {
    fn eq(&self, other: &&str) -> bool {
        &*self.0 == *other
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn ids_of_the_stated_form_are_taken() {
        for text in ["a", "0", "clock", "my-plugin_2", &"x".repeat(64)] {
            assert_eq!(PluginId::new(text).unwrap(), text);
        }
    }

    #[test]
    fn the_nearest_id_is_always_one() {
        for text in ["", "-", "Ä b", "clock", "../x", &"-".repeat(99)] {
            let nearest = PluginId::nearest(text);
            assert!(
                PluginId::new(nearest.as_str()).is_ok(),
                "{text:?}: {nearest}"
            );
        }
        assert_eq!(PluginId::nearest("Clock"), "clock");
    }

    #[test]
    fn everything_else_is_refused() {
        for text in [
            "",
            "-a",
            "_a",
            "A",
            "a b",
            "ä",
            "a/b",
            "..",
            "a\n",
            &"x".repeat(65),
        ] {
            assert!(PluginId::new(text).is_err(), "{text:?}");
        }
    }
}
