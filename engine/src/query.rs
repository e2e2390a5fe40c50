//! Questions to the history: built step by step, answered when iterated.

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition, WallTime};

use crate::cell::Cell;
use crate::shared::Shared;

/// What the history says to a [`HistoryFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryAnswer {
    /// The entries, in the order that was asked for.
    pub entries: Vec<Transition>,
    /// Everything up to this number was looked at. Whoever follows asks for what comes [`after`](HistoryFilter::after) it, or after the last entry
    /// if a limit cut the answer short.
    pub last_seq: u64,
    /// How many entries of the plugins that were asked for have left the history.
    pub lost: u64,
}

/// Answers a question.
pub(crate) fn answer(engine: &Shared, filter: &HistoryFilter) -> HistoryAnswer {
    let board = &engine.board;
    // A number is given and its entry appended under one lock of one plugin. So once the last number is read here, every entry up to it is
    // either there or its plugin's lock is held, for which `history` waits.
    let last_seq = board.ledger.next_seq.load(Ordering::SeqCst);
    let mut lost = 0;
    let mut entries = Vec::new();
    let mut ask = |cell: &Cell| {
        lost += cell.history_lost();
        entries.append(&mut cell.history(filter, last_seq));
    };
    if filter.ids.is_empty() {
        board.registry.all().for_each(|cell| ask(cell));
    } else {
        let cells = filter
            .ids
            .iter()
            .filter_map(|id| board.registry.find(id.as_str()));
        cells.for_each(|cell| ask(cell));
    }
    if filter.ids.len() != 1 {
        entries.sort_unstable_by_key(|entry: &Transition| entry.seq);
        if filter.newest_first {
            entries.reverse();
        }
        entries.truncate(filter.limit());
    }
    HistoryAnswer {
        entries,
        last_seq,
        lost,
    }
}

/// A question to the history of one plugin or of all, built step by step. Iterating over it answers it, with copies.
///
/// Entries come oldest first unless said otherwise. What has left the bounded memory is not there any more; how much that is
/// tells [`HistoryQuery::lost`].
#[must_use = "a query does nothing until it is iterated over"]
pub struct HistoryQuery {
    engine: Arc<Shared>,
    filter: HistoryFilter,
    /// Whether it was asked for an id that none can have, so that there is nothing to be found.
    is_void: bool,
}

impl HistoryQuery {
    pub(crate) fn of_all(engine: &Arc<Shared>) -> Self {
        Self {
            engine: Arc::clone(engine),
            filter: HistoryFilter::default(),
            is_void: false,
        }
    }

    pub(crate) fn of_plugin(engine: &Arc<Shared>, id: &str) -> Self {
        let id = PluginId::new(id).ok();
        Self {
            is_void: id.is_none(),
            filter: HistoryFilter {
                ids: id.into_iter().collect(),
                ..HistoryFilter::default()
            },
            ..Self::of_all(engine)
        }
    }

    /// Only entries that came with an error.
    pub fn errors(mut self) -> Self {
        self.filter.errors_only = true;
        self
    }

    /// Only entries of this generation.
    pub fn generation(mut self, generation: u32) -> Self {
        self.filter.generations = Some(generation..=generation);
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
        self.filter.to_states = vec![state];
        self
    }

    /// Only entries of this cause.
    pub fn cause(mut self, cause: Cause) -> Self {
        self.filter.causes = vec![cause];
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
        self.filter.limit = Some(count);
        self
    }

    /// How many entries have left the memory, of this plugin or of all.
    #[must_use]
    pub fn lost(&self) -> u64 {
        let nothing = HistoryFilter {
            limit: Some(0),
            ..self.filter.clone()
        };
        if self.is_void {
            return 0;
        }
        answer(&self.engine, &nothing).lost
    }

    fn answer(&self) -> Vec<Transition> {
        if self.is_void {
            return Vec::new();
        }
        answer(&self.engine, &self.filter).entries
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
