//! What simulated plugins require of each other: as it is drawn, as it is written, and as it is read again.

use std::fmt;

use crate::chance::Chance;
use crate::policy::{PLUGINS, id_of, plugin_of};

/// How many others one place may say that a plugin requires.
const REQUIRED_MAX: usize = 2;

/// What one place says that a plugin requires: its file, or its configuration.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Requires([Option<Required>; REQUIRED_MAX]);

/// Another plugin, in a version that fits.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Required {
    /// Which.
    pub(crate) plugin: usize,
    version: Wanted,
}

/// The minor versions that fit.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Wanted {
    Any,
    AtLeast(u64),
    Below(u64),
}

/// The minor version in a text like `1.12.0`.
pub(crate) fn minor(version: &str) -> Option<u64> {
    version.split('.').nth(1)?.parse().ok()
}

impl Required {
    /// Reads what [`fmt::Display`] has written.
    pub(crate) fn parse(text: &str) -> Option<Self> {
        let mut parts = text.splitn(3, ' ');
        let plugin = plugin_of(parts.next()?)?;
        let version = match (parts.next(), parts.next()) {
            (None, _) => Wanted::Any,
            (Some(">="), Some(version)) => Wanted::AtLeast(minor(version)?),
            (Some("<"), Some(version)) => Wanted::Below(minor(version)?),
            _ => return None,
        };
        Some(Self { plugin, version })
    }

    /// Whether a plugin of this version will do.
    pub(crate) fn fits(self, version: Option<u64>) -> bool {
        match (self.version, version) {
            (Wanted::Any, _) | (_, None) => true,
            (Wanted::AtLeast(least), Some(version)) => version >= least,
            (Wanted::Below(end), Some(version)) => version < end,
        }
    }
}

impl fmt::Display for Required {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&id_of(self.plugin))?;
        match self.version {
            Wanted::Any => Ok(()),
            Wanted::AtLeast(least) => write!(f, " >= 1.{least}"),
            Wanted::Below(end) => write!(f, " < 1.{end}"),
        }
    }
}

impl Requires {
    /// What a plugin of a run with these plugins requires: often of those before it, so that there are chains, now and then of any, so that
    /// there are cycles, and seldom of one that is never there.
    pub(crate) fn draw(chance: &mut Chance, plugin: usize, there: &[usize]) -> Self {
        let count = chance.weighted(&[(3, 0), (6, 1), (2, 2)]);
        let mut drawn = Self::default();
        for place in drawn.0.iter_mut().take(count) {
            *place = Some(Required {
                plugin: Self::draw_plugin(chance, plugin, there),
                version: match chance.below(10) {
                    0..=6 => Wanted::Any,
                    7 | 8 => Wanted::AtLeast(10 + chance.below(5)),
                    _ => Wanted::Below(11 + chance.below(4)),
                },
            });
        }
        drawn
    }

    fn draw_plugin(chance: &mut Chance, plugin: usize, there: &[usize]) -> usize {
        let at = there.iter().position(|one| *one == plugin).unwrap_or(0);
        let of = match chance.below(100) {
            0..=69 => &there[..at],
            70..=93 => there,
            _ => &[],
        };
        match of {
            [] => (0..PLUGINS).find(|one| !there.contains(one)),
            of => Some(chance.one_of(of)).filter(|one| *one != plugin),
        }
        .unwrap_or(there[(at + 1) % there.len()])
    }

    /// Reads what [`fmt::Display`] has written: `p01 and p02 >= 1.12`. `None` for anything else.
    #[must_use]
    pub fn parse(text: &str) -> Option<Self> {
        let mut read = Self::default();
        for (at, part) in text.split(" and ").enumerate() {
            *read.0.get_mut(at)? = Some(Required::parse(part)?);
        }
        Some(read)
    }

    pub(crate) fn iter(&self) -> impl Iterator<Item = Required> {
        self.0.iter().copied().flatten()
    }

    /// Whether it says nothing.
    pub(crate) fn is_empty(&self) -> bool {
        self.iter().next().is_none()
    }

    /// The line of a configuration that says so, if there is anything to say.
    pub(crate) fn line(&self) -> String {
        if self.is_empty() {
            return String::new();
        }
        let said: Vec<_> = self.iter().map(|one| format!("\"{one}\"")).collect();
        format!("requires = [{}]\n", said.join(", "))
    }
}

impl fmt::Display for Requires {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.is_empty() {
            return f.write_str("nothing");
        }
        let said: Vec<_> = self.iter().map(|one| one.to_string()).collect();
        f.write_str(&said.join(" and "))
    }
}
