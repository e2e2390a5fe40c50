//! What happens to a call while it runs: cancelled, past its deadline, or merely later, at a moment that the test names.

use std::sync::Arc;
use std::time::Duration;

use crate::context::Context;

/// A moment in a call of a plugin.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum When {
    /// Before it begins.
    Start,
    /// When it asks whether it was cancelled, the so many-th time, from 1. The answer to that question says so already.
    Question(u32),
    /// When it records progress, the so many-th time, from 1.
    Progress(u32),
}

/// What happens then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Then {
    /// The engine asks the call to return: the plugin is switched off or unloaded, or the engine shuts down.
    Cancel,
    /// Its deadline passes: the call is abandoned, and what it says or returns from then on is discarded. Takes a manual clock.
    PassDeadline,
    /// So much time passes. Takes a manual clock.
    Advance(Duration),
}

/// Cancels whatever call of a plugin is in flight, from another thread.
#[derive(Debug, Clone)]
pub struct Canceller(pub(crate) Arc<Context>);

impl Canceller {
    /// Asks the call that is in flight to return. Does nothing between calls.
    pub fn cancel(&self) {
        self.0.cancel();
    }
}
