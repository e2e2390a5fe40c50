//! What an event came to that was applied to a plugin, outside of its lock.

use plugin_engine_core::{CallEnd, CallId, Transition};

use crate::transition_log::log;

/// What an event came to, as far as the caller has to know.
pub(crate) struct Applied {
    pub(crate) call: Option<CallId>,
    pub(crate) ended: CallEnd,
    /// The transition, unless it is one of a plugin that works. To be logged once the lock is released.
    pub(crate) notable: Option<Box<Transition>>,
}

impl Applied {
    /// Tells the embedder's subscriber of the transition, if it is one to tell of.
    pub(crate) fn log(&self) {
        if let Some(transition) = &self.notable {
            log(transition);
        }
    }
}
