//! What a snapshot says of a plugin that changes only with a load or with its health, and how a snapshot holds it: shared, not copied.

use std::ops::Deref;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::Guard;
use plugin_engine_core::PluginId;

use crate::digest::LazyDigest;
use crate::discover::Candidate;

/// What a snapshot says of the plugin that changes only with a load, or with its health.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Facts {
    pub(crate) id: PluginId,
    pub(crate) version: Option<Arc<str>>,
    pub(crate) file: Option<Arc<Candidate>>,
    pub(crate) sha256: Option<Arc<LazyDigest>>,
    pub(crate) interval: Duration,
    pub(crate) timeout: Duration,
    /// What is to be said of the health beside the error.
    pub(crate) health_note: Option<Arc<str>>,
}

impl Facts {
    pub(crate) fn new(id: PluginId) -> Self {
        Self {
            id,
            version: None,
            file: None,
            sha256: None,
            interval: Duration::ZERO,
            timeout: Duration::ZERO,
            health_note: None,
        }
    }
}

/// Facts that a snapshot holds.
///
/// Mostly they are lent: the reader says so in a place of its thread, which costs half of what counting a reference would. A thread has
/// eight such places (a number of `arc-swap`); where it holds more snapshots than that, the next ones count, at twice the cost of one. Who
/// publishes other facts waits for nobody: they are counted then on behalf of whoever has them on loan.
pub(crate) struct HeldFacts(Guard<Arc<Facts>>);

impl HeldFacts {
    pub(crate) fn lent(facts: Guard<Arc<Facts>>) -> Self {
        Self(facts)
    }

    pub(crate) fn owned(facts: Arc<Facts>) -> Self {
        Self(Guard::from_inner(facts))
    }

    /// Counts the reference, for what is held for long or together with many others.
    pub(crate) fn own(self) -> Self {
        Self::owned(Guard::into_inner(self.0))
    }

    /// Facts of which this is the only holder and which differ.
    pub(crate) fn changed(&self, change: impl FnOnce(&mut Facts)) -> Self {
        let mut facts = Facts::clone(self);
        change(&mut facts);
        Self::owned(Arc::new(facts))
    }
}

impl Deref for HeldFacts {
    type Target = Facts;

    #[inline]
    fn deref(&self) -> &Facts {
        &self.0
    }
}

impl Clone for HeldFacts {
    fn clone(&self) -> Self {
        Self::owned(Arc::clone(&self.0))
    }
}

impl PartialEq for HeldFacts {
    fn eq(&self, other: &Self) -> bool {
        **self == **other
    }
}

impl Eq for HeldFacts {}

impl std::fmt::Debug for HeldFacts {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        (**self).fmt(f)
    }
}

#[cfg(test)]
mod tests {
    use arc_swap::ArcSwap;

    use super::*;

    fn of(interval: Duration) -> Facts {
        Facts {
            interval,
            ..Facts::new(PluginId::nearest("lent"))
        }
    }

    #[test]
    fn what_is_held_stays_what_it_was_when_other_facts_are_published() {
        let [before, after] = [1, 2].map(Duration::from_secs);
        let published = ArcSwap::from_pointee(of(before));
        // More than a thread has places for, so that both ways of holding are here.
        let mut held: Vec<_> = (0..20).map(|_| HeldFacts::lent(published.load())).collect();
        let first = held.swap_remove(0);
        let weak = Arc::downgrade(&published.load_full());
        held.push(first.clone());
        held.push(first.own());
        published.store(Arc::new(of(after)));
        for facts in &held {
            assert_eq!((facts.interval, facts), (before, &held[0]));
        }
        assert_eq!(HeldFacts::lent(published.load()).interval, after);
        // Whichever thread lets go of them last.
        std::thread::spawn(move || drop(held)).join().unwrap();
        assert!(weak.upgrade().is_none(), "nobody has them any more");
    }

    #[test]
    fn a_change_is_nobody_elses() {
        let published = ArcSwap::from_pointee(of(Duration::ZERO));
        let held = HeldFacts::lent(published.load());
        let changed = held.changed(|facts| facts.interval = Duration::MAX);
        assert_eq!(changed.interval, Duration::MAX);
        assert_eq!(held.interval, Duration::ZERO);
        assert_ne!(changed, held);
    }
}
