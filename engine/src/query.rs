//! Questions to the history: built step by step, answered when iterated.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{Cause, PluginState, Transition, WallTime};

use crate::cell::Cell;
use crate::history::Filter;
use crate::shared::Shared;

/// A question to the history of one plugin or of all. Iterating over it answers it, with copies.
///
/// Entries come oldest first unless said otherwise. What has left the bounded memory is not there any more; how much that is
/// tells [`HistoryQuery::lost`].
#[must_use = "a query does nothing until it is iterated over"]
pub struct HistoryQuery {
    engine: Arc<Shared>,
    of: Of,
    filter: Filter,
}

enum Of {
    All,
    One(Arc<Cell>),
    Unknown,
}

impl HistoryQuery {
    pub(crate) fn of_all(engine: &Arc<Shared>) -> Self {
        Self {
            engine: Arc::clone(engine),
            of: Of::All,
            filter: Filter::default(),
        }
    }

    pub(crate) fn of_plugin(engine: &Arc<Shared>, id: &str) -> Self {
        let cell = engine.board.registry.find(id);
        Self {
            engine: Arc::clone(engine),
            of: cell.map_or(Of::Unknown, |cell| Of::One(Arc::clone(cell))),
            filter: Filter::default(),
        }
    }

    /// Only entries that came with an error.
    pub fn errors(mut self) -> Self {
        self.filter.errors_only = true;
        self
    }

    /// Only entries of this generation.
    pub fn generation(mut self, generation: u32) -> Self {
        self.filter.generation = Some(generation);
        self
    }

    /// Only entries at or after this time.
    pub fn since(mut self, time: impl Into<WallTime>) -> Self {
        self.filter.since = Some(time.into());
        self
    }

    /// Only entries at or before this time.
    pub fn until(mut self, time: impl Into<WallTime>) -> Self {
        self.filter.until = Some(time.into());
        self
    }

    /// Only entries that lead to this state.
    pub fn to_state(mut self, state: PluginState) -> Self {
        self.filter.to = Some(state);
        self
    }

    /// Only entries of this cause.
    pub fn cause(mut self, cause: Cause) -> Self {
        self.filter.cause = Some(cause);
        self
    }

    /// Only entries whose number is larger. Whoever asks again and again with the number of the last entry misses none:
    /// entries come in the order of their numbers, and none is shown before all smaller ones are there.
    pub fn after(mut self, seq: u64) -> Self {
        self.filter.after = Some(seq);
        self
    }

    /// The newest entry first.
    pub fn newest_first(mut self) -> Self {
        self.filter.newest_first = true;
        self
    }

    /// At most this many entries, the first ones in the order asked for.
    pub fn limit(mut self, count: usize) -> Self {
        self.filter.limit = count;
        self
    }

    /// How many entries have left the memory, of this plugin or of all.
    #[must_use]
    pub fn lost(&self) -> u64 {
        match &self.of {
            Of::All => self
                .engine
                .board
                .registry
                .all()
                .map(|cell| cell.history_lost())
                .sum(),
            Of::One(cell) => cell.history_lost(),
            Of::Unknown => 0,
        }
    }

    fn answer(mut self) -> Vec<Transition> {
        match &self.of {
            Of::Unknown => Vec::new(),
            Of::One(cell) => cell.history(&self.filter),
            Of::All => {
                // A number is given and its entry appended under one lock of one plugin. So once the last number is read
                // here, every entry up to it is either there or its plugin's lock is held, for which `history` waits.
                self.filter.up_to = self.engine.board.ledger.next_seq.load(Ordering::SeqCst);
                let mut found: Vec<_> = self
                    .engine
                    .board
                    .registry
                    .all()
                    .flat_map(|cell| cell.history(&self.filter))
                    .collect();
                found.sort_unstable_by_key(|entry| entry.seq);
                if self.filter.newest_first {
                    found.reverse();
                }
                found.truncate(self.filter.limit);
                found
            }
        }
    }
}

impl IntoIterator for HistoryQuery {
    type Item = Transition;
    type IntoIter = std::vec::IntoIter<Transition>;

    fn into_iter(self) -> Self::IntoIter {
        self.answer().into_iter()
    }
}

impl fmt::Debug for HistoryQuery {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HistoryQuery")
            .field("filter", &self.filter)
            .finish_non_exhaustive()
    }
}
