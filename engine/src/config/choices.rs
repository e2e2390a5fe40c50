//! What a key means that takes one of a few words. The words themselves stand in the table of keys as well.

use std::fmt;

/// What becomes of the code of a plugin file that nothing uses any more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
#[non_exhaustive]
pub enum UnmapPolicy {
    /// It stays mapped for the life of the process.
    #[default]
    Never,
    /// It is unmapped as soon as nothing can run it any more: no call, no thread of its own, no thread of the engine that ever did.
    WhenSafe,
}

impl UnmapPolicy {
    /// As the words stand in a file.
    pub(crate) const WORDS: &'static [&'static str] = &["never", "when-safe"];

    pub(super) fn of(word: &str) -> Self {
        match word {
            "when-safe" => Self::WhenSafe,
            _ => Self::Never,
        }
    }

    /// As the word stands in a file.
    ///
    /// ```
    /// use plugin_engine::UnmapPolicy;
    ///
    /// assert_eq!(UnmapPolicy::WhenSafe.name(), "when-safe");
    /// assert_eq!(UnmapPolicy::default().name(), "never");
    /// ```
    #[must_use]
    pub fn name(self) -> &'static str {
        match self {
            Self::Never => "never",
            Self::WhenSafe => "when-safe",
        }
    }
}

impl fmt::Display for UnmapPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}

/// What is done with a plugin that becomes unhealthy.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum UnhealthyPolicy {
    None,
    Restart,
    Disable,
    Unload,
}

impl UnhealthyPolicy {
    pub(super) const WORDS: &'static [&'static str] = &["none", "restart", "disable", "unload"];

    pub(super) fn of(word: &str) -> Self {
        match word {
            "none" => Self::None,
            "disable" => Self::Disable,
            "unload" => Self::Unload,
            _ => Self::Restart,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// What is done when a call does not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum HungPolicy {
    Wait,
    Replace,
}

impl HungPolicy {
    pub(super) const WORDS: &'static [&'static str] = &["wait", "replace"];

    pub(super) fn of(word: &str) -> Self {
        match word {
            "replace" => Self::Replace,
            _ => Self::Wait,
        }
    }

    pub(crate) fn name(self) -> &'static str {
        Self::WORDS[self as usize]
    }
}

/// How a replacement takes over.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum ReloadWay {
    TryActivate,
    StopFirst,
}

impl ReloadWay {
    pub(super) const NAMES: [&'static str; 2] = ["try-activate", "stop-first"];

    pub(crate) fn name(self) -> &'static str {
        Self::NAMES[self as usize]
    }

    pub(crate) fn named(name: &str) -> Self {
        match name {
            "stop-first" => Self::StopFirst,
            _ => Self::TryActivate,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_word_means_what_is_called_so() {
        for word in UnmapPolicy::WORDS {
            assert_eq!(UnmapPolicy::of(word).name(), *word);
        }
        for word in UnhealthyPolicy::WORDS {
            assert_eq!(UnhealthyPolicy::of(word).name(), *word);
        }
        for word in HungPolicy::WORDS {
            assert_eq!(HungPolicy::of(word).name(), *word);
        }
    }
}
