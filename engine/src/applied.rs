//! What an event came to that was applied to a plugin, outside of its lock.

use plugin_engine_core::{CallEnd, CallId, Transition};

use crate::transition_log::log;

/// What an event came to, as far as the caller has to know.
pub(crate) struct Applied {
    pub(crate) call: Option<CallId>,
    pub(crate) ended: CallEnd,
    /// The transition, unless it is one of a plugin that works. To be logged once the lock is released.
    pub(crate) notable: Option<Box<Transition>>,
    /// The transitions that followed from it, likewise.
    pub(crate) consequences: Vec<Transition>,
}

impl Applied {
    /// Of no event, only of what follows.
    pub(crate) fn nothing() -> Self {
        Self {
            call: None,
            ended: CallEnd::None,
            notable: None,
            consequences: Vec::new(),
        }
    }

    /// Tells the embedder's subscriber of the transition, if it is one to tell of.
    pub(crate) fn log(&self) {
        for transition in self
            .notable
            .as_deref()
            .into_iter()
            .chain(&self.consequences)
        {
            log(transition);
        }
    }

    /// All there is to tell of, in its order.
    pub(crate) fn into_news(self) -> impl Iterator<Item = Transition> {
        let first = self.notable.map(|transition| *transition);
        first.into_iter().chain(self.consequences)
    }
}
