//! What one plugin requires of another: how it is written, and whether it is met. Who asks, and what follows, is elsewhere.

mod order;

use std::fmt;
use std::str::FromStr;

use semver::{Version, VersionReq};

use crate::{PluginId, PluginIdError, PluginState, bounded, escape_control};

pub use order::{cycles, required_first};

/// The most requirements that one place may say of a plugin: its manifest, or one table of a configuration.
pub const REQUIREMENTS_MAX: usize = 64;
/// The longest text of one requirement, in bytes.
const TEXT_LEN_MAX: usize = 256;

/// That another plugin is there, in a version that fits: `clock`, `clock >= 1.2`, `clock >= 1.2, < 2`.
///
/// Versions are compared as Cargo compares them: `clock 1.2` takes every 1.x from 1.2 on, and a version before its release, such as
/// `2.0.0-beta`, only fits where one like it is written.
///
/// ```
/// use plugin_engine_core::{PluginState, Requirement, Standing};
///
/// let required = Requirement::parse_list("clock >= 1.2, < 2, feed")?;
/// assert_eq!((required.len(), required[0].id().as_str()), (2, "clock"));
/// let running = |version| Some(Standing { state: PluginState::Running, version: Some(version) });
/// assert!(required[0].check(running("1.3.0")).is_ok());
/// assert!(required[0].check(running("2.0.0")).is_err());
/// # Ok::<(), plugin_engine_core::RequirementError>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Requirement {
    id: PluginId,
    version: Option<WantedVersion>,
}

#[derive(Debug, Clone, PartialEq, Eq)]
struct WantedVersion {
    wanted: VersionReq,
    /// As it was written.
    text: Box<str>,
}

/// A text that is no requirement.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "\"{}\" is no requirement: {reason}",
    escape_control(bounded(text, 80))
)]
pub struct RequirementError {
    text: String,
    reason: Reason,
}

#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
enum Reason {
    #[error("it is longer than {TEXT_LEN_MAX} bytes")]
    TooLong,
    #[error("it does not begin with the id of a plugin")]
    NoId,
    #[error(transparent)]
    Id(PluginIdError),
    #[error(
        "\"{}\" is no version requirement ({why})",
        escape_control(bounded(version, 80))
    )]
    Version { version: String, why: String },
}

impl Requirement {
    /// The plugin that is required.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        &self.id
    }

    /// Reads several requirements, with commas between them. A part that begins with one of `<>=~^` goes on with the requirement
    /// before it: `clock >= 1.2, < 2, feed` is two.
    ///
    /// # Errors
    /// A part is no requirement.
    pub fn parse_list(text: &str) -> Result<Vec<Self>, RequirementError> {
        let mut texts: Vec<String> = Vec::new();
        for part in text.split(',').map(|part| part.trim_matches(' ')) {
            match texts.last_mut() {
                Some(before) if part.starts_with(['<', '>', '=', '~', '^']) => {
                    before.push_str(", ");
                    before.push_str(part);
                }
                _ => texts.push(part.to_owned()),
            }
        }
        texts.iter().map(|text| text.parse()).collect()
    }

    /// Whether it is met by a plugin of its id, of which this is known; `None` where no plugin has the id.
    ///
    /// # Errors
    /// It is not, and why.
    pub fn check(&self, known: Option<Standing<'_>>) -> Result<(), Unmet> {
        let Some(Standing { state, version }) = known else {
            return Err(Unmet::Absent {
                requirement: self.clone(),
            });
        };
        // The version first: what is of the wrong one need not be waited for, nor switched on.
        if let (Some(wanted), Some(version)) = (&self.version, version) {
            let fits = Version::parse(version).is_ok_and(|found| wanted.wanted.matches(&found));
            if !fits {
                return Err(Unmet::Version {
                    requirement: self.clone(),
                    found: bounded(version, TEXT_LEN_MAX).into(),
                });
            }
        }
        match state {
            PluginState::Enabled | PluginState::Running => Ok(()),
            state => Err(Unmet::State {
                id: self.id.clone(),
                state,
            }),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match &self.version {
            None => write!(f, "{}", self.id),
            Some(version) => write!(f, "{} {}", self.id, version.text),
        }
    }
}

impl FromStr for Requirement {
    type Err = RequirementError;

    fn from_str(text: &str) -> Result<Self, Self::Err> {
        let no = |reason| RequirementError {
            text: bounded(text, TEXT_LEN_MAX).to_owned(),
            reason,
        };
        if text.len() > TEXT_LEN_MAX {
            return Err(no(Reason::TooLong));
        }
        let said = text.trim_matches(' ');
        let end = said
            .find(|c: char| !(c.is_ascii_alphanumeric() || matches!(c, '_' | '-')))
            .unwrap_or(said.len());
        let (id, version) = said.split_at(end);
        if id.is_empty() {
            return Err(no(Reason::NoId));
        }
        let id = PluginId::new(id).map_err(|error| no(Reason::Id(error)))?;
        let version = version.trim_matches(' ');
        if version.is_empty() {
            return Ok(Self { id, version: None });
        }
        match VersionReq::parse(version) {
            Ok(wanted) => Ok(Self {
                id,
                version: Some(WantedVersion {
                    wanted,
                    text: version.into(),
                }),
            }),
            Err(error) => Err(no(Reason::Version {
                version: version.to_owned(),
                why: error.to_string(),
            })),
        }
    }
}

/// What is known of a plugin that another requires.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Standing<'a> {
    /// Its state.
    pub state: PluginState,
    /// The version of what is loaded.
    pub version: Option<&'a str>,
}

/// Why something that a plugin requires is not there.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[non_exhaustive]
pub enum Unmet {
    /// Nobody has the id.
    #[error("requires {requirement}, and no plugin has that id")]
    Absent {
        /// What is required.
        requirement: Requirement,
    },
    /// The plugin is there, in a state in which it is not called.
    #[error("requires {id}, which is {state}")]
    State {
        /// The plugin that is required.
        id: PluginId,
        /// Its state.
        state: PluginState,
    },
    /// The plugin is there, in a version that does not fit.
    #[error("requires {requirement}; {} is {}", requirement.id(), escape_control(found))]
    Version {
        /// What is required.
        requirement: Requirement,
        /// The version that is there, at most 256 bytes.
        found: Box<str>,
    },
    /// Each waits for the next, and the last for the first.
    #[error("requires itself in the end: {}", circle(path))]
    Cycle {
        /// The plugins of the cycle in the order in which each requires the next, beginning with the one that this is said of.
        path: Vec<PluginId>,
    },
}

impl Unmet {
    /// Whether it may come by itself: the plugin that is required is about to be created, or waits itself.
    ///
    /// ```
    /// use plugin_engine_core::{PluginState, Requirement, Standing};
    ///
    /// let required: Requirement = "clock".parse()?;
    /// let absent = required.check(None).unwrap_err();
    /// assert!(!absent.may_come());
    /// let loaded = Standing { state: PluginState::Loaded, version: None };
    /// assert!(required.check(Some(loaded)).unwrap_err().may_come());
    /// # Ok::<(), plugin_engine_core::RequirementError>(())
    /// ```
    #[must_use]
    pub fn may_come(&self) -> bool {
        let loaded = PluginState::Loaded;
        matches!(self, Self::State { state, .. } if *state == loaded)
    }
}

fn circle(path: &[PluginId]) -> String {
    let round: Vec<_> = path
        .iter()
        .chain(path.first())
        .map(PluginId::as_str)
        .collect();
    round.join(" requires ")
}

#[cfg(test)]
mod tests;
