//! What a question finds in the memory of one plugin: a few words an entry, and once beside them what many entries share. Made under the lock of the
//! plugin, read without it. Never which entries are wanted.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Cause, Fault, PluginId, PluginState, Transition, WallTime};

use super::Entry;

/// An entry that was found.
pub(super) struct FoundEntry {
    pub(super) entry: Entry,
    pub(super) error: Option<Arc<Fault>>,
}

/// What was found of one plugin, in the order that was asked for.
pub(crate) struct Found {
    pub(super) id: PluginId,
    /// From which number on which generation was active, and its version; oldest first, those of the entries.
    pub(super) generations: Vec<(u64, u32, Arc<str>)>,
    pub(super) entries: Vec<FoundEntry>,
}

impl Found {
    pub(crate) fn len(&self) -> usize {
        self.entries.len()
    }

    /// The number of an entry.
    pub(crate) fn seq(&self, at: usize) -> u64 {
        self.entries[at].entry.seq
    }

    /// Shows entries, whichever are asked for, each in the place of the one before.
    pub(crate) fn into_shown(self) -> Shown {
        let transition = Transition {
            seq: 0,
            at: WallTime::default(),
            id: self.id,
            generation: 0,
            version: None,
            from: PluginState::Unloaded,
            to: PluginState::Unloaded,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        };
        Shown {
            transition,
            generations: self.generations,
            // Of none yet.
            holds: (1, 0),
            entries: self.entries,
        }
    }
}

/// Entries that are shown one after another.
pub(crate) struct Shown {
    transition: Transition,
    generations: Vec<(u64, u32, Arc<str>)>,
    /// From which number on, and up to which, the generation that is shown was active.
    holds: (u64, u64),
    entries: Vec<FoundEntry>,
}

impl Shown {
    /// One of the entries. No allocation, and no count of anything shared is touched as long as errors and generations stay the same.
    #[inline]
    pub(crate) fn show(&mut self, at: usize) -> &Transition {
        let FoundEntry { entry, error } = &self.entries[at];
        if entry.seq < self.holds.0 || entry.seq > self.holds.1 {
            self.transition.version = None;
            self.transition.generation = 0;
            let after = self
                .generations
                .partition_point(|(first, ..)| *first <= entry.seq);
            let until = self
                .generations
                .get(after)
                .map_or(u64::MAX, |next| next.0 - 1);
            let found = after.checked_sub(1).map(|before| &self.generations[before]);
            self.holds = (found.map_or(0, |found| found.0), until);
            if let Some((_, generation, version)) = found {
                self.transition.generation = *generation;
                self.transition.version = Some(Arc::clone(version));
            }
        }
        let transition = &mut self.transition;
        (transition.seq, transition.at) = (entry.seq, entry.at);
        (transition.from, transition.to, transition.cause) = (entry.from, entry.to, entry.cause);
        transition.duration =
            (entry.duration_ns != u64::MAX).then(|| Duration::from_nanos(entry.duration_ns));
        if error.is_some() || transition.error.is_some() {
            transition.error.clone_from(error);
        }
        transition
    }
}
