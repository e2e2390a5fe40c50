//! What happened to one plugin, as far as memory reaches: two rings, so that a thousand good updates never push out the reason
//! for yesterday's failure.

mod asking;
mod found;
#[cfg(feature = "history-sqlite")]
mod taking;
mod unsaved;

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};

use plugin_engine_core::{Cause, Fault, PluginState, Record, WallTime};

pub(crate) use found::{Found, Place};

#[cfg(feature = "history-sqlite")]
pub(crate) use taking::Unsaved;
use unsaved::{Boundary, LeftEarly, Taken};

/// How many entries of each kind are kept of one plugin.
pub(crate) const RING_LEN_MAX: usize = 512;
/// How many entries of each kind a plugin may keep even when the budget of all is used up.
const RING_LEN_MIN: usize = 16;

/// How much memory the histories of all plugins may take together.
pub(crate) struct HistoryBudget {
    used: AtomicUsize,
    bytes_max: usize,
    /// Up to which number entries are being taken to be written.
    pub(crate) boundary: Boundary,
}

impl HistoryBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            bytes_max,
            boundary: Boundary::default(),
        }
    }

    /// Takes `bytes` if they are there. Routine entries may use three quarters, so that notable ones always find room first.
    fn take(&self, bytes: usize, notable: bool) -> bool {
        let limit = if notable {
            self.bytes_max
        } else {
            self.bytes_max / 4 * 3
        };
        self.used
            .try_update(Ordering::Relaxed, Ordering::Relaxed, |used| {
                used.checked_add(bytes).filter(|sum| *sum <= limit)
            })
            .is_ok()
    }

    fn give_back(&self, bytes: usize) {
        self.used.fetch_sub(bytes, Ordering::Relaxed);
    }

    fn take_anyway(&self, bytes: usize) {
        self.used.fetch_add(bytes, Ordering::Relaxed);
    }

    /// How much is used, in bytes.
    pub(crate) fn used(&self) -> usize {
        self.used.load(Ordering::Relaxed)
    }
}

/// An update that nothing was wrong with: its start, and its completion once that has come. Two transitions in half a cache
/// line, so that the second touches no memory that the first has not brought in.
#[derive(Clone, Copy)]
#[repr(align(32))]
struct PlainUpdate {
    /// 0 if only the completion is recorded here.
    start_seq: u64,
    /// Of the start, if that is recorded here, else of the completion.
    at: WallTime,
    /// 0 if the completion has not come, or was not plain.
    end_seq: u64,
    duration_ns: u64,
}

impl PlainUpdate {
    fn transitions(&self) -> usize {
        usize::from(self.start_seq != 0) + usize::from(self.end_seq != 0)
    }

    /// The number of the last transition in it.
    fn last_seq(&self) -> u64 {
        self.start_seq.max(self.end_seq)
    }

    /// The start (0) or the completion (1), if it is recorded here.
    #[inline]
    fn half(&self, half: usize) -> Option<Entry> {
        if half == 0 {
            return (self.start_seq != 0).then_some(Entry {
                seq: self.start_seq,
                at: self.at,
                duration_ns: u64::MAX,
                from: PluginState::Enabled,
                to: PluginState::Running,
                cause: Cause::UpdateStarted,
            });
        }
        let took = if self.start_seq == 0 {
            0
        } else {
            self.duration_ns
        };
        (self.end_seq != 0).then_some(Entry {
            seq: self.end_seq,
            at: WallTime::from_unix_nanos(self.at.as_unix_nanos().saturating_add(took)),
            duration_ns: self.duration_ns,
            from: PluginState::Running,
            to: PluginState::Enabled,
            cause: Cause::UpdateCompleted,
        })
    }
}

/// A transition, without what can be looked up.
#[derive(Clone, Copy)]
struct Entry {
    seq: u64,
    at: WallTime,
    /// `u64::MAX` where no call ended.
    duration_ns: u64,
    from: PluginState,
    to: PluginState,
    cause: Cause,
}

#[derive(Clone)]
struct NotableEntry {
    entry: Entry,
    error: Option<Arc<Fault>>,
}

/// The history of one plugin. In this order in memory, see [`Cell`](crate::cell::Cell).
#[derive(Default)]
#[repr(C)]
pub(crate) struct PluginHistory {
    routine: Ring<PlainUpdate>,
    /// How many transitions there are.
    len: usize,
    /// Every entry with a larger number is here.
    floor: u64,
    /// Up to which number it has been taken to be written to where it outlives the process.
    taken: Taken,
    rest: Box<Rest>,
}

/// What a good update does not touch.
#[derive(Default)]
struct Rest {
    notable: Ring<NotableEntry>,
    /// From which number on which generation was active, and its version; oldest first.
    generations: VecDeque<(u64, u32, Arc<str>)>,
    /// What left before it was taken to be written.
    left: LeftEarly,
}

struct Ring<T> {
    entries: VecDeque<T>,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
        }
    }
}

impl<T> Ring<T> {
    /// Makes room for one entry: by growing to `len_max` while the budget lasts, else by letting the oldest go.
    #[inline]
    fn make_room(&mut self, budget: &HistoryBudget, len_max: usize, notable: bool) -> Option<T> {
        #[cfg(feature = "simulation")]
        let len_max = crate::simulation::tampered_entries_max(len_max);
        if self.entries.len() < self.entries.capacity() {
            return None;
        }
        self.grow_or_drop(budget, len_max, notable)
    }

    fn grow_or_drop(&mut self, budget: &HistoryBudget, len_max: usize, notable: bool) -> Option<T> {
        let now = self.entries.capacity();
        let len_min = len_max * RING_LEN_MIN / RING_LEN_MAX;
        if now < len_max {
            // Most plugins that are only loaded have two or three notable entries, and none of the other kind.
            let more = now.max(len_min / 4).min(len_max - now);
            let bytes = more * size_of::<T>();
            let granted = budget.take(bytes, notable);
            if !granted && now < len_min {
                budget.take_anyway(bytes);
            }
            if granted || now < len_min {
                self.entries.reserve_exact(more);
                return None;
            }
        }
        self.entries.pop_front()
    }
}

impl PluginHistory {
    /// Remembers that `generation` is active from the transition after `seq` on.
    pub(crate) fn begin_generation(&mut self, seq: u64, generation: u32, version: Arc<str>) {
        // No more generations can be spoken of than there are transitions.
        if self.rest.generations.len() > 2 * RING_LEN_MAX {
            self.rest.generations.pop_front();
        }
        // Most plugins have one as long as they live.
        if self.rest.generations.is_empty() {
            self.rest.generations.reserve_exact(1);
        }
        self.rest.generations.push_back((seq, generation, version));
    }

    /// Appends a record. Without allocation for a routine one, once the ring has grown.
    pub(crate) fn push(&mut self, budget: &HistoryBudget, seq: u64, at: WallTime, record: Record) {
        let duration_ns = record.duration.map_or(u64::MAX, |duration| {
            // A call lasts less than 584 years.
            duration.as_secs() * 1_000_000_000 + u64::from(duration.subsec_nanos())
        });
        if record.is_routine() {
            match record.cause {
                Cause::UpdateStarted => self.push_start(budget, seq, at),
                _ => self.push_completion(budget, seq, at, duration_ns),
            }
            return;
        }
        if let Some(error) = &record.error {
            budget.take_anyway(error.memory());
        }
        let left = self.rest.notable.make_room(budget, RING_LEN_MAX, true);
        if let Some(NotableEntry { entry, error }) = left {
            self.len -= 1;
            self.floor = self.floor.max(entry.seq);
            self.rest.left.lose(&entry, self.taken, &budget.boundary);
            if let Some(old) = error {
                budget.give_back(old.memory());
            }
        }
        self.len += 1;
        self.rest.notable.entries.push_back(NotableEntry {
            entry: Entry {
                seq,
                at,
                duration_ns,
                from: record.from,
                to: record.to,
                cause: record.cause,
            },
            error: record.error,
        });
    }

    /// Makes room for the start of an update. [`push_start`](Self::push_start) does so, too; this is for who wants to wait for the
    /// oldest entry, which is in no cache any more, while it waits for other memory.
    #[inline]
    pub(crate) fn make_room_for_start(&mut self, budget: &HistoryBudget) {
        // Two transitions an entry.
        if let Some(left) = self.routine.make_room(budget, RING_LEN_MAX / 2, false) {
            self.len -= left.transitions();
            self.floor = self.floor.max(left.last_seq());
            if self.taken.is_before(left.last_seq()) {
                self.rest.left.fold(&left, self.taken, &budget.boundary);
            }
        }
    }

    /// Where the entry lies that is overwritten next, once the ring has grown; 0 if there is none.
    #[inline]
    pub(crate) fn next_entry(&self) -> usize {
        let oldest = self.routine.entries.front();
        oldest.map_or(0, |oldest| std::ptr::from_ref(oldest).addr())
    }

    /// Appends the start of an update.
    #[inline]
    pub(crate) fn push_start(&mut self, budget: &HistoryBudget, seq: u64, at: WallTime) {
        self.push_plain(
            budget,
            PlainUpdate {
                start_seq: seq,
                at,
                end_seq: 0,
                duration_ns: 0,
            },
        );
    }

    /// Appends the completion of an update: to its start, which is the newest entry, unless the wall clock has jumped between.
    #[inline]
    pub(crate) fn push_completion(
        &mut self,
        budget: &HistoryBudget,
        seq: u64,
        at: WallTime,
        duration_ns: u64,
    ) {
        if let Some(start) = self.routine.entries.back_mut()
            && start.end_seq == 0
            && start.at.as_unix_nanos().wrapping_add(duration_ns) == at.as_unix_nanos()
        {
            start.end_seq = seq;
            start.duration_ns = duration_ns;
            self.len += 1;
            return;
        }
        self.push_plain(
            budget,
            PlainUpdate {
                start_seq: 0,
                at,
                end_seq: seq,
                duration_ns,
            },
        );
    }

    #[inline]
    fn push_plain(&mut self, budget: &HistoryBudget, update: PlainUpdate) {
        self.make_room_for_start(budget);
        self.routine.entries.push_back(update);
        self.len += 1;
    }

    /// Forgets all entries; which generation is active is still known.
    pub(crate) fn forget(&mut self, budget: &HistoryBudget) {
        let newest = self.routine.entries.back().map(PlainUpdate::last_seq);
        let other = self
            .rest
            .notable
            .entries
            .back()
            .map(|notable| notable.entry.seq);
        self.floor = self.floor.max(newest.max(other).unwrap_or(0));
        // Their numbers are accounted for also where they were not taken yet: a batch in which some are missing is written nowhere.
        for update in &self.routine.entries {
            self.rest.left.fold(update, self.taken, &budget.boundary);
        }
        let Rest { notable, left, .. } = &mut *self.rest;
        for notable in &notable.entries {
            left.lose(&notable.entry, self.taken, &budget.boundary);
        }
        for error in self
            .rest
            .notable
            .entries
            .iter()
            .filter_map(|notable| notable.error.as_ref())
        {
            budget.give_back(error.memory());
        }
        // Their memory stays theirs, and is counted.
        self.routine.entries.clear();
        self.rest.notable.entries.clear();
        self.len = 0;
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.len
    }

    /// Every entry with a larger number is in memory.
    #[cfg(feature = "history-sqlite")]
    pub(crate) fn floor(&self) -> u64 {
        self.floor
    }

    /// The generation that was active at a number, and its version.
    fn generation_at(&self, seq: u64) -> Option<(u32, &Arc<str>)> {
        // The entry that began a generation is its own: it was numbered before the generation was named.
        let mut from_newest = self.rest.generations.iter().rev();
        let found = from_newest.find(|(first, ..)| *first <= seq);
        found.map(|(_, generation, version)| (*generation, version))
    }

    /// The generations that entries with numbers from `low` to `high` may be of, oldest first: from which number on, which, and its version.
    fn generations_between(&self, low: u64, high: u64) -> Vec<(u64, u32, Arc<str>)> {
        let all = &self.rest.generations;
        let begin = all.partition_point(|(since, ..)| *since <= low);
        let end = all.partition_point(|(since, ..)| *since <= high);
        all.range(begin.saturating_sub(1)..end).cloned().collect()
    }
}

#[cfg(test)]
mod tests;
