//! What happened to one plugin, as far as memory reaches: two rings, so that a thousand good updates never push out the reason
//! for yesterday's failure.

use std::collections::VecDeque;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::Duration;

use plugin_engine_core::{Cause, Fault, PluginId, PluginState, Record, Transition, WallTime};

/// How many entries of each kind are kept of one plugin.
pub(crate) const RING_LEN_MAX: usize = 512;
/// How many entries of each kind a plugin may keep even when the budget of all is used up.
const RING_LEN_MIN: usize = 16;

/// How much memory the histories of all plugins may take together.
pub(crate) struct HistoryBudget {
    used: AtomicUsize,
    bytes_max: usize,
}

impl HistoryBudget {
    pub(crate) fn new(bytes_max: usize) -> Self {
        Self {
            used: AtomicUsize::new(0),
            bytes_max,
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

/// An entry without an error, as it lies in memory.
#[derive(Clone, Copy)]
struct Entry {
    seq: u64,
    at: WallTime,
    /// `u64::MAX` where no call ended.
    duration_ns: u64,
    generation: u32,
    from: PluginState,
    to: PluginState,
    cause: Cause,
}

struct NotableEntry {
    entry: Entry,
    error: Option<Arc<Fault>>,
}

/// The start of a plain update, or its completion.
pub(crate) struct PlainRecord {
    pub(crate) seq: u64,
    pub(crate) at: WallTime,
    pub(crate) generation: u32,
    /// `u64::MAX` for a start.
    pub(crate) duration_ns: u64,
}

/// The history of one plugin.
#[derive(Default)]
pub(crate) struct PluginHistory {
    routine: Ring<Entry>,
    notable: Ring<NotableEntry>,
    /// The versions of the generations that entries may speak of, oldest first.
    versions: VecDeque<(u32, Arc<str>)>,
}

struct Ring<T> {
    entries: VecDeque<T>,
    lost: u64,
}

impl<T> Default for Ring<T> {
    fn default() -> Self {
        Self {
            entries: VecDeque::new(),
            lost: 0,
        }
    }
}

impl<T> Ring<T> {
    /// Makes room for one entry: by growing while the budget lasts, else by letting the oldest go.
    #[inline]
    fn make_room(&mut self, budget: &HistoryBudget, notable: bool) -> Option<T> {
        if self.entries.len() < self.entries.capacity() {
            return None;
        }
        self.grow_or_drop(budget, notable)
    }

    fn grow_or_drop(&mut self, budget: &HistoryBudget, notable: bool) -> Option<T> {
        let now = self.entries.capacity();
        if now < RING_LEN_MAX {
            let more = now.max(8).min(RING_LEN_MAX - now);
            let bytes = more * size_of::<T>();
            let granted = budget.take(bytes, notable);
            if !granted && now < RING_LEN_MIN {
                budget.take_anyway(bytes);
            }
            if granted || now < RING_LEN_MIN {
                self.entries.reserve_exact(more);
                return None;
            }
        }
        self.lost += 1;
        self.entries.pop_front()
    }
}

impl PluginHistory {
    /// Remembers which version a generation is.
    pub(crate) fn name_generation(&mut self, generation: u32, version: Arc<str>) {
        // No more generations can be spoken of than there are entries.
        if self.versions.len() > 2 * RING_LEN_MAX {
            self.versions.pop_front();
        }
        self.versions.push_back((generation, version));
    }

    /// Appends a record.
    pub(crate) fn push(
        &mut self,
        budget: &HistoryBudget,
        seq: u64,
        at: WallTime,
        generation: u32,
        record: Record,
    ) {
        let entry = Entry {
            seq,
            at,
            duration_ns: record.duration.map_or(u64::MAX, |duration| {
                duration.as_secs() * 1_000_000_000 + u64::from(duration.subsec_nanos())
            }),
            generation,
            from: record.from,
            to: record.to,
            cause: record.cause,
        };
        if record.is_routine() {
            self.routine.make_room(budget, false);
            self.routine.entries.push_back(entry);
        } else {
            self.push_notable(budget, entry, record.error);
        }
    }

    /// [`PluginHistory::push`] of the start or the completion of a plain update.
    #[inline]
    pub(crate) fn push_plain(&mut self, budget: &HistoryBudget, plain: PlainRecord) {
        let (from, to, cause) = if plain.duration_ns == u64::MAX {
            (
                PluginState::Enabled,
                PluginState::Running,
                Cause::UpdateStarted,
            )
        } else {
            (
                PluginState::Running,
                PluginState::Enabled,
                Cause::UpdateCompleted,
            )
        };
        self.routine.make_room(budget, false);
        self.routine.entries.push_back(Entry {
            seq: plain.seq,
            at: plain.at,
            duration_ns: plain.duration_ns,
            generation: plain.generation,
            from,
            to,
            cause,
        });
    }

    #[cold]
    fn push_notable(&mut self, budget: &HistoryBudget, entry: Entry, error: Option<Arc<Fault>>) {
        if let Some(error) = &error {
            budget.take_anyway(error.memory());
        }
        if let Some(NotableEntry {
            error: Some(old), ..
        }) = self.notable.make_room(budget, true)
        {
            budget.give_back(old.memory());
        }
        self.notable
            .entries
            .push_back(NotableEntry { entry, error });
    }

    /// How many entries there are.
    #[inline]
    pub(crate) fn len(&self) -> usize {
        self.routine.entries.len() + self.notable.entries.len()
    }

    /// How many entries have left.
    pub(crate) fn lost(&self) -> u64 {
        self.routine.lost + self.notable.lost
    }

    fn version(&self, generation: u32) -> Option<Arc<str>> {
        let (_, version) = self
            .versions
            .iter()
            .rev()
            .find(|(known, _)| *known == generation)?;
        Some(Arc::clone(version))
    }

    /// The entries that `filter` takes, in its order.
    pub(crate) fn query(&self, id: &PluginId, filter: &Filter) -> Vec<Transition> {
        let make = |entry: &Entry, error: Option<&Arc<Fault>>| Transition {
            seq: entry.seq,
            at: entry.at,
            id: id.clone(),
            generation: entry.generation,
            version: self.version(entry.generation),
            from: entry.from,
            to: entry.to,
            cause: entry.cause,
            error: error.cloned(),
            duration: (entry.duration_ns != u64::MAX)
                .then(|| Duration::from_nanos(entry.duration_ns)),
        };
        let mut routine = Cursor::new(self.routine.entries.len(), filter.newest_first);
        let mut notable = Cursor::new(self.notable.entries.len(), filter.newest_first);
        let mut found = Vec::new();
        // Both rings are in order of sequence; they are merged entry by entry, so that a limit stops early.
        while found.len() < filter.limit {
            let one = routine.at().map(|at| &self.routine.entries[at]);
            let other = notable.at().map(|at| &self.notable.entries[at]);
            let take_routine = match (one, other) {
                (None, None) => break,
                (Some(_), None) => true,
                (None, Some(_)) => false,
                (Some(one), Some(other)) => (one.seq < other.entry.seq) != filter.newest_first,
            };
            match (take_routine, one, other) {
                (true, Some(entry), _) => {
                    routine.step();
                    if filter.takes(entry, None) {
                        found.push(make(entry, None));
                    }
                }
                (_, _, Some(NotableEntry { entry, error })) => {
                    notable.step();
                    if filter.takes(entry, error.as_ref()) {
                        found.push(make(entry, error.as_ref()));
                    }
                }
                _ => break,
            }
        }
        found
    }
}

/// A position in a ring, forwards or backwards.
struct Cursor {
    left: usize,
    len: usize,
    backwards: bool,
}

impl Cursor {
    fn new(len: usize, backwards: bool) -> Self {
        Self {
            left: len,
            len,
            backwards,
        }
    }

    fn at(&self) -> Option<usize> {
        match (self.left, self.backwards) {
            (0, _) => None,
            (left, true) => Some(left - 1),
            (left, false) => Some(self.len - left),
        }
    }

    fn step(&mut self) {
        self.left -= 1;
    }
}

/// Which entries of a history are wanted.
#[derive(Debug, Clone)]
pub(crate) struct Filter {
    pub(crate) generation: Option<u32>,
    pub(crate) since: Option<WallTime>,
    pub(crate) until: Option<WallTime>,
    pub(crate) to: Option<PluginState>,
    pub(crate) cause: Option<Cause>,
    pub(crate) errors_only: bool,
    pub(crate) after: Option<u64>,
    /// Entries with a larger number may be incomplete, and are left to the next query.
    pub(crate) up_to: u64,
    pub(crate) newest_first: bool,
    pub(crate) limit: usize,
}

impl Default for Filter {
    fn default() -> Self {
        Self {
            generation: None,
            since: None,
            until: None,
            to: None,
            cause: None,
            errors_only: false,
            after: None,
            up_to: u64::MAX,
            newest_first: false,
            limit: usize::MAX,
        }
    }
}

impl Filter {
    fn takes(&self, entry: &Entry, error: Option<&Arc<Fault>>) -> bool {
        entry.seq <= self.up_to
            && self.after.is_none_or(|after| entry.seq > after)
            && (!self.errors_only || error.is_some())
            && self.to.is_none_or(|to| entry.to == to)
            && self.cause.is_none_or(|cause| entry.cause == cause)
            && self
                .generation
                .is_none_or(|generation| entry.generation == generation)
            && self.since.is_none_or(|since| entry.at >= since)
            && self.until.is_none_or(|until| entry.at <= until)
    }
}

#[cfg(test)]
#[path = "history_tests.rs"]
mod tests;
