//! Questions to the history: built step by step, answered when iterated.

mod foremost;

use std::fmt;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition, WallTime};

use crate::cell::Cell;
use crate::history::{Found, Place};
use crate::shared::Shared;
use foremost::Foremost;

/// What the history says to a [`HistoryFilter`].
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct HistoryAnswer {
    /// The entries, in the order that was asked for.
    pub entries: Vec<Transition>,
    /// What stands between them, in the same order: starts and stops of the engine, and what is left of entries that could not be kept. Only where history is on
    /// disk.
    pub marks: Vec<HistoryMark>,
    /// Everything up to this number was looked at. Whoever follows asks for what comes [`after`](HistoryFilter::after) it, or after the last entry
    /// if a limit cut the answer short.
    pub last_seq: u64,
    /// How many entries of the plugins that were asked for have left the history.
    pub lost: u64,
    /// Why what is on disk is missing here, if it is.
    pub problem: Option<String>,
}

/// Something that stands between the transitions of a history on disk.
///
/// ```no_run
/// use plugin_engine::{HistoryFilter, HistoryMark};
///
/// # let engine = plugin_engine::Engine::builder().state_dir("state").build()?;
/// for mark in engine.query(&HistoryFilter::default()).marks {
///     if let HistoryMark::Started { pid, .. } = mark {
///         println!("{}: started at {} as process {pid}", mark.seq(), mark.at());
///     }
/// }
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub enum HistoryMark {
    /// The engine was started.
    Started {
        /// The number of the start.
        seq: u64,
        /// When.
        at: WallTime,
        /// The process.
        pid: u32,
        /// The version of the engine.
        version: Box<str>,
        /// The numbers, first and last, that the process before may have used, and of which nothing is known. Where they are larger than that of the start,
        /// they are of this process, whose file was damaged while it ran.
        lost: Option<(u64, u64)>,
    },
    /// The engine was stopped in an orderly way. Where a start follows a start, it was not.
    Stopped {
        /// The number of the stop.
        seq: u64,
        /// When.
        at: WallTime,
    },
    /// Good updates that had to leave before they were written: only sums are known.
    Folded {
        /// The plugin.
        id: PluginId,
        /// The smallest number among them.
        first_seq: u64,
        /// The largest.
        last_seq: u64,
        /// How many transitions they were.
        transitions: u64,
        /// How many updates completed.
        updates: u64,
        /// When the last of them was.
        at: WallTime,
        /// How long they took together.
        total: Duration,
    },
    /// Other entries that had to leave before they were written.
    Gap {
        /// The plugin.
        id: PluginId,
        /// The smallest number among them.
        first_seq: u64,
        /// The largest.
        last_seq: u64,
        /// How many they were.
        count: u64,
        /// When the last of them was.
        at: WallTime,
    },
}

impl HistoryMark {
    /// The number by which it stands in order.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Started { seq, .. } | Self::Stopped { seq, .. } => *seq,
            Self::Folded { last_seq, .. } | Self::Gap { last_seq, .. } => *last_seq,
        }
    }

    /// When it was.
    #[must_use]
    pub fn at(&self) -> WallTime {
        match self {
            Self::Started { at, .. }
            | Self::Stopped { at, .. }
            | Self::Folded { at, .. }
            | Self::Gap { at, .. } => *at,
        }
    }

    /// What is no transition among what is on disk.
    #[cfg(feature = "history-sqlite")]
    pub(crate) fn of(entry: plugin_engine_history_store::HistoryEntry) -> Result<Self, Transition> {
        use plugin_engine_history_store::HistoryEntry;
        Ok(match entry {
            HistoryEntry::Transition(transition) => return Err(transition),
            HistoryEntry::Started(started) => Self::Started {
                seq: started.seq,
                at: started.at,
                pid: started.pid,
                version: started.version,
                lost: started.lost,
            },
            HistoryEntry::Stopped(stopped) => Self::Stopped {
                seq: stopped.seq,
                at: stopped.at,
            },
            HistoryEntry::Folded { id, folded, .. } => Self::Folded {
                id,
                first_seq: folded.first_seq,
                last_seq: folded.last_seq,
                transitions: folded.transitions,
                updates: folded.updates,
                at: folded.last_at,
                total: folded.total_duration,
            },
            HistoryEntry::Gap { id, gap } => Self::Gap {
                id,
                first_seq: gap.first_seq,
                last_seq: gap.last_seq,
                count: gap.count,
                at: gap.last_at,
            },
        })
    }
}

/// What the memory of all plugins that are asked for says to a question.
struct InMemory {
    found: Vec<Found>,
    /// Up to which number all was looked at.
    last_seq: u64,
    /// How many entries have left the memory.
    lost: u64,
    /// Everything above this number is there.
    #[cfg(feature = "history-sqlite")]
    floor: u64,
}

fn in_memory(engine: &Shared, filter: &HistoryFilter) -> InMemory {
    let board = &engine.board;
    // A number is given and its entry appended under one lock of one plugin. So once the last number is read here, every entry up to it is
    // either there or its plugin's lock is held, for which `history` waits.
    let last_seq = board.ledger.next_seq.load(Ordering::SeqCst);
    let mut all = InMemory {
        found: Vec::new(),
        last_seq,
        lost: 0,
        #[cfg(feature = "history-sqlite")]
        floor: 0,
    };
    // Of one plugin no more is copied than is wanted.
    let mut foremost = match filter.ids.len() {
        1 => None,
        _ => Foremost::of(filter),
    };
    let mut narrowed = filter.clone();
    let mut up_to = last_seq;
    let mut ask = |cell: &Cell| {
        let of_one = cell.history(&narrowed, up_to);
        all.lost += of_one.lost;
        // Without a disk what has left the memory is nowhere.
        #[cfg(feature = "history-sqlite")]
        {
            all.floor = all.floor.max(of_one.floor);
        }
        if of_one.found.len_max() == 0 {
            return;
        }
        if let Some(foremost) = &mut foremost {
            let places = of_one.found.places().into_iter();
            places.for_each(|(seq, _)| foremost.see(seq));
            up_to = foremost.narrow(&mut narrowed, last_seq);
        }
        all.found.push(of_one.found);
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
    all
}

/// The places of entries of several plugins in the order that was asked for: plugin, and entry.
fn in_order(found: &[Found], newest_first: bool) -> Vec<(usize, Place)> {
    let mut order: Vec<(u64, usize, Place)> =
        Vec::with_capacity(found.iter().map(Found::len_max).sum());
    for (plugin, one) in found.iter().enumerate() {
        let places = one.places().into_iter();
        order.extend(places.map(|(seq, place)| (seq, plugin, place)));
    }
    // A number is given once.
    order.sort_unstable();
    if newest_first {
        order.reverse();
    }
    order
        .into_iter()
        .map(|(_, plugin, place)| (plugin, place))
        .collect()
}

/// Shows the entries of a question, one after another.
fn show(found: &[Found], filter: &HistoryFilter, mut each: impl FnMut(&Transition)) {
    if found.len() > 1 {
        let mut order = in_order(found, filter.newest_first);
        order.truncate(filter.limit());
        let mut shown: Vec<_> = found.iter().map(Found::shown).collect();
        for (plugin, place) in order {
            each(shown[plugin].show(&found[plugin], place));
        }
        return;
    }
    for one in found {
        one.show_all(&mut each);
    }
}

/// Copies of the entries of a question.
fn copies(found: Vec<Found>, filter: &HistoryFilter) -> Vec<Transition> {
    let most: usize = found.iter().map(Found::len_max).sum();
    let mut copies = Vec::with_capacity(most.min(filter.limit()));
    show(&found, filter, |entry| copies.push(entry.clone()));
    copies
}

/// Answers a question.
pub(crate) fn answer(engine: &Shared, filter: &HistoryFilter) -> HistoryAnswer {
    #[cfg(feature = "history-sqlite")]
    if let Some(durable) = &engine.durable {
        let of_memory = durable.of_memory(filter);
        let memory = in_memory(engine, &of_memory);
        let memory = crate::durable::InMemory {
            entries: copies(memory.found, &of_memory),
            floor: memory.floor,
            after: of_memory.after.unwrap_or(0),
            last_seq: memory.last_seq,
        };
        return durable.join(filter, memory);
    }
    let memory = in_memory(engine, filter);
    HistoryAnswer {
        entries: copies(memory.found, filter),
        marks: Vec::new(),
        last_seq: memory.last_seq,
        lost: memory.lost,
        problem: None,
    }
}

/// Shows the entries of an answer, without a copy of each where they are in memory only.
fn visit(engine: &Shared, filter: &HistoryFilter, each: impl FnMut(&Transition)) {
    #[cfg(feature = "history-sqlite")]
    if engine.durable.is_some() {
        answer(engine, filter).entries.iter().for_each(each);
        return;
    }
    show(&in_memory(engine, filter).found, filter, each);
}

/// A question to the history of one plugin or of all, built step by step. Iterating over it answers it, with copies.
///
/// Entries come oldest first unless said otherwise. What has left the bounded memory is not there any more; how much that is
/// tells [`HistoryQuery::lost`].
///
/// ```
/// use plugin_engine::{Cause, PluginState};
/// use std::time::{Duration, SystemTime};
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// let now = SystemTime::now();
/// let query = engine
///     .history("clock")
///     .since(now - Duration::from_secs(3_600))
///     .until(now)
///     .generation(2)
///     .to_state(PluginState::Error)
///     .cause(Cause::GaveUp)
///     .errors()
///     .after(1_000)
///     .newest_first()
///     .limit(20);
/// println!("{} older ones have left", query.lost());
/// for entry in query {
///     println!("{entry}");
/// }
/// # Ok::<(), plugin_engine::Error>(())
/// ```
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

    /// Answers the question, and shows each entry in turn instead of making a copy of each. For who counts, sums up or draws: of an engine without a state
    /// directory the newest thousand entries of one plugin take a sixth of the time that iterating over them takes (`cargo bench --bench durable -- newest`).
    ///
    /// No lock is held while `each` runs; it may ask the engine again.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let mut failures = 0;
    /// engine.history("clock").newest_first().limit(1_000).visit(|entry| {
    ///     failures += u32::from(entry.error.is_some());
    /// });
    /// assert_eq!(failures, 0);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn visit(self, each: impl FnMut(&Transition)) {
        if !self.is_void {
            visit(&self.engine, &self.filter, each);
        }
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
