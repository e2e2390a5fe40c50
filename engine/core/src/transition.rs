//! A transition as people and programs read it.

use std::fmt;
use std::sync::Arc;
use std::time::Duration;

use crate::{Cause, Fault, PluginId, PluginState, WallTime};

/// A fact: at this time, this plugin went from one state to another, and why. Immutable.
///
/// Entries whose `from` and `to` are the same record something that changed no state.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Transition {
    /// The number of this transition, from one counter for the whole engine, without gaps.
    pub seq: u64,
    /// When, by the wall clock.
    pub at: WallTime,
    /// The plugin.
    pub id: PluginId,
    /// The generation that was active.
    pub generation: u32,
    /// The version of that generation, where it is still known.
    pub version: Option<Arc<str>>,
    /// The state before.
    pub from: PluginState,
    /// The state after.
    pub to: PluginState,
    /// Why.
    pub cause: Cause,
    /// The error that came with it.
    pub error: Option<Arc<Fault>>,
    /// How long the call took that ended with it.
    pub duration: Option<Duration>,
}

impl Transition {
    /// Whether this is one of the entries of a plugin that works: an update started or completed.
    ///
    /// ```
    /// use plugin_engine_core::{Cause, PluginId, PluginState, Transition, WallTime};
    ///
    /// let entry = Transition {
    ///     seq: 7,
    ///     at: WallTime::from_unix_nanos(1),
    ///     id: PluginId::new("clock")?,
    ///     generation: 1,
    ///     version: None,
    ///     from: PluginState::Enabled,
    ///     to: PluginState::Running,
    ///     cause: Cause::UpdateStarted,
    ///     error: None,
    ///     duration: None,
    /// };
    /// assert!(entry.is_routine());
    /// # Ok::<(), plugin_engine_core::PluginIdError>(())
    /// ```
    #[must_use]
    pub fn is_routine(&self) -> bool {
        self.error.is_none() && matches!(self.cause, Cause::UpdateStarted | Cause::UpdateCompleted)
    }
}

impl fmt::Display for Transition {
    /// One line: number, time, plugin, states, cause, duration, error.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{:>6} {} {} {} -> {} ({})",
            self.seq, self.at, self.id, self.from, self.to, self.cause
        )?;
        if let Some(duration) = self.duration {
            write!(f, " in {duration:.1?}")?;
        }
        if let Some(error) = &self.error {
            write!(f, " {error}")?;
        }
        Ok(())
    }
}
