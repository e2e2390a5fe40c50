//! What a question finds in the memory of one plugin: a few words an entry, and once beside them what many entries share. Read without the lock of the plugin.
//! Never which entries are wanted.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition, WallTime};

use super::{NotableEntry, PlainUpdate};

/// What was found of one plugin.
pub(crate) struct Found {
    id: PluginId,
    /// From which number on which generation was active, and its version; oldest first, those of the entries.
    generations: Vec<(u64, u32, Arc<str>)>,
    /// Good updates, oldest first.
    updates: Vec<PlainUpdate>,
    /// All other entries, oldest first.
    changes: Vec<NotableEntry>,
    newest_first: bool,
    limit: usize,
}

/// Where an entry stands: the half of an update, counted through, or among the other entries.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) enum Place {
    Half(usize),
    Change(usize),
}

impl Found {
    pub(super) fn new(
        id: PluginId,
        generations: Vec<(u64, u32, Arc<str>)>,
        updates: Vec<PlainUpdate>,
        changes: Vec<NotableEntry>,
        filter: &HistoryFilter,
    ) -> Self {
        Self {
            id,
            generations,
            updates,
            changes,
            newest_first: filter.newest_first,
            limit: filter.limit(),
        }
    }

    /// How many entries there are at most.
    pub(crate) fn len_max(&self) -> usize {
        (2 * self.updates.len() + self.changes.len()).min(self.limit)
    }

    /// The entries in the order that was asked for: their numbers, and where they stand.
    pub(crate) fn places(&self) -> Vec<(u64, Place)> {
        let mut places = Vec::with_capacity(self.len_max());
        self.walk(|seq, place| places.push((seq, place)));
        places
    }

    /// Shows all entries in the order that was asked for, each in the place of the one before. Some nanoseconds for each, without an allocation.
    pub(crate) fn show_all(&self, mut each: impl FnMut(&Transition)) {
        let mut shown = self.shown();
        self.walk(|_, place| each(shown.show(self, place)));
    }

    /// Both kinds are in the order of their numbers, so they are merged by looking at the next of each.
    #[inline]
    fn walk(&self, mut each: impl FnMut(u64, Place)) {
        let newest_first = self.newest_first;
        let (halves, changes) = (2 * self.updates.len(), self.changes.len());
        let (mut halves_passed, mut changes_passed) = (0, 0);
        // Where nothing is left, a number that comes after all others.
        let none = if newest_first { 0 } else { u64::MAX };
        let place_of = |passed: usize, len: usize| match newest_first {
            true => len.wrapping_sub(passed + 1),
            false => passed,
        };
        for _ in 0..self.limit {
            let mut half = place_of(halves_passed, halves);
            let mut half_seq = self.half_seq(half).unwrap_or(none);
            while half_seq == 0 && halves_passed < halves {
                halves_passed += 1;
                half = place_of(halves_passed, halves);
                half_seq = self.half_seq(half).unwrap_or(none);
            }
            let change = place_of(changes_passed, changes);
            let change_seq = self.changes.get(change);
            let change_seq = change_seq.map_or(none, |change| change.entry.seq);
            let takes_half = match newest_first {
                true => half_seq > change_seq,
                false => half_seq < change_seq,
            };
            let (seq, place) = if takes_half {
                halves_passed += 1;
                (half_seq, Place::Half(half))
            } else if changes_passed < changes {
                changes_passed += 1;
                (change_seq, Place::Change(change))
            } else {
                return;
            };
            each(seq, place);
        }
    }

    /// The number of the half of an update; 0 if that half is not there.
    #[inline]
    fn half_seq(&self, half: usize) -> Option<u64> {
        let update = self.updates.get(half / 2)?;
        Some(if half.is_multiple_of(2) {
            update.start_seq
        } else {
            update.end_seq
        })
    }

    /// Shows entries, whichever are asked for, each in the place of the one before.
    pub(crate) fn shown(&self) -> Shown {
        let transition = Transition {
            seq: 0,
            at: WallTime::default(),
            id: self.id.clone(),
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
            // Of none yet.
            holds: (1, 0),
        }
    }
}

/// Entries that are shown one after another.
pub(crate) struct Shown {
    transition: Transition,
    /// From which number on, and up to which, the generation that is shown was active.
    holds: (u64, u64),
}

impl Shown {
    /// One of the entries. No allocation, and no count of anything shared is touched as long as errors and generations stay the same. In the loop over all of them
    /// it is a fifth of the time not to be called.
    #[inline(always)]
    pub(crate) fn show(&mut self, found: &Found, place: Place) -> &Transition {
        let (entry, error) = match place {
            Place::Half(half) => match found.updates[half / 2].half(half % 2) {
                Some(entry) => (entry, &None),
                // No place is given out where there is none.
                None => return &self.transition,
            },
            Place::Change(at) => {
                let NotableEntry { entry, error } = &found.changes[at];
                (*entry, error)
            }
        };
        let transition = &mut self.transition;
        (transition.seq, transition.at) = (entry.seq, entry.at);
        (transition.from, transition.to, transition.cause) = (entry.from, entry.to, entry.cause);
        transition.duration = match entry.duration_ns {
            u64::MAX => None,
            // Nearly all, and without a division.
            short @ 0..1_000_000_000 => Some(Duration::new(0, short as u32)),
            long => Some(Duration::from_nanos(long)),
        };
        if error.is_some() || transition.error.is_some() {
            transition.error.clone_from(error);
        }
        if entry.seq < self.holds.0 || entry.seq > self.holds.1 {
            self.show_generation(found, entry.seq);
        }
        &self.transition
    }

    #[cold]
    fn show_generation(&mut self, found: &Found, seq: u64) {
        let generations = &found.generations;
        let after = generations.partition_point(|(first, ..)| *first <= seq);
        let until = generations.get(after).map_or(u64::MAX, |next| next.0 - 1);
        let found = after.checked_sub(1).map(|before| &generations[before]);
        self.holds = (found.map_or(0, |found| found.0), until);
        self.transition.generation = found.map_or(0, |(_, generation, _)| *generation);
        self.transition.version = found.map(|(.., version)| Arc::clone(version));
    }
}
