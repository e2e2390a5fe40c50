//! What a question finds in the memory of one plugin: a few words an entry, and once beside them what many entries share. Read without the lock of the plugin.
//! Never which entries are wanted.

use std::ops::Range;
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
    pub(crate) fn places(&self) -> impl Iterator<Item = (u64, Place)> {
        let mut walk = self.walk();
        std::iter::from_fn(move || walk.next(self))
    }

    fn walk(&self) -> Walk {
        Walk {
            halves: 0..2 * self.updates.len(),
            changes: 0..self.changes.len(),
            left: self.limit,
        }
    }

    /// The number of the half of an update; 0 if it is not there.
    #[inline]
    fn half_seq(&self, half: usize) -> u64 {
        let update = &self.updates[half / 2];
        if half % 2 == 0 {
            update.start_seq
        } else {
            update.end_seq
        }
    }

    /// Shows entries, whichever are asked for, each in the place of the one before.
    pub(crate) fn into_shown(self) -> Shown {
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
            walk: self.walk(),
            found: self,
        }
    }
}

/// How far both kinds of entries have been read, each from the one end.
struct Walk {
    halves: Range<usize>,
    changes: Range<usize>,
    left: usize,
}

impl Walk {
    /// The next one in the order that was asked for.
    #[inline]
    fn next(&mut self, found: &Found) -> Option<(u64, Place)> {
        if self.left == 0 {
            return None;
        }
        self.left -= 1;
        if found.newest_first {
            self.newest(found)
        } else {
            self.oldest(found)
        }
    }

    #[inline]
    fn oldest(&mut self, found: &Found) -> Option<(u64, Place)> {
        let change = found.changes[self.changes.clone()].first();
        let change = change.map(|change| change.entry.seq);
        while self.halves.start < self.halves.end {
            let half = self.halves.start;
            let seq = found.half_seq(half);
            if seq != 0 && change.is_some_and(|change| change < seq) {
                break;
            }
            self.halves.start += 1;
            if seq != 0 {
                return Some((seq, Place::Half(half)));
            }
        }
        let place = self.changes.next()?;
        change.map(|seq| (seq, Place::Change(place)))
    }

    #[inline]
    fn newest(&mut self, found: &Found) -> Option<(u64, Place)> {
        let change = found.changes[self.changes.clone()].last();
        let change = change.map(|change| change.entry.seq);
        while self.halves.start < self.halves.end {
            let half = self.halves.end - 1;
            let seq = found.half_seq(half);
            if seq != 0 && change.is_some_and(|change| change > seq) {
                break;
            }
            self.halves.end -= 1;
            if seq != 0 {
                return Some((seq, Place::Half(half)));
            }
        }
        let place = self.changes.next_back()?;
        change.map(|seq| (seq, Place::Change(place)))
    }
}

/// Entries that are shown one after another.
pub(crate) struct Shown {
    transition: Transition,
    found: Found,
    walk: Walk,
    /// From which number on, and up to which, the generation that is shown was active.
    holds: (u64, u64),
}

impl Shown {
    /// The next entry, in the order that was asked for.
    #[inline]
    pub(crate) fn next(&mut self) -> Option<&Transition> {
        let (_, place) = self.walk.next(&self.found)?;
        Some(self.show(place))
    }

    /// One of the entries. No allocation, and no count of anything shared is touched as long as errors and generations stay the same.
    #[inline]
    pub(crate) fn show(&mut self, place: Place) -> &Transition {
        let (entry, error) = match place {
            Place::Half(half) => match self.found.updates[half / 2].half(half % 2) {
                Some(entry) => (entry, &None),
                // No place is given out where there is none.
                None => return &self.transition,
            },
            Place::Change(at) => {
                let NotableEntry { entry, error } = &self.found.changes[at];
                (*entry, error)
            }
        };
        let transition = &mut self.transition;
        (transition.seq, transition.at) = (entry.seq, entry.at);
        (transition.from, transition.to, transition.cause) = (entry.from, entry.to, entry.cause);
        transition.duration =
            (entry.duration_ns != u64::MAX).then(|| Duration::from_nanos(entry.duration_ns));
        if error.is_some() || transition.error.is_some() {
            transition.error.clone_from(error);
        }
        if entry.seq < self.holds.0 || entry.seq > self.holds.1 {
            self.show_generation(entry.seq);
        }
        &self.transition
    }

    #[cold]
    fn show_generation(&mut self, seq: u64) {
        let generations = &self.found.generations;
        let after = generations.partition_point(|(first, ..)| *first <= seq);
        let until = generations.get(after).map_or(u64::MAX, |next| next.0 - 1);
        let found = after.checked_sub(1).map(|before| &generations[before]);
        self.holds = (found.map_or(0, |found| found.0), until);
        self.transition.generation = found.map_or(0, |(_, generation, _)| *generation);
        self.transition.version = found.map(|(.., version)| Arc::clone(version));
    }
}
