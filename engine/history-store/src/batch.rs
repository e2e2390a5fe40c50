//! What is handed over to be written: a complete stretch of sequence numbers, by plugin.

use std::collections::HashMap;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{Cause, Fault, PluginId, PluginState, Transition, WallTime};

use crate::error::Trouble;

/// All that was given the numbers from `first_seq` to `last_seq`, both included.
///
/// Every number of that range belongs to exactly one thing in the batch: to half of an [`Update`], to a [`Change`], to what was
/// [`Folded`] or left as a [`Gap`], or to a start or stop of the engine. [`Store::append`](crate::Store::append) counts.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Batch {
    /// The first number. Larger than that of everything written before.
    pub first_seq: u64,
    /// The last number.
    pub last_seq: u64,
    /// The entries, by plugin. A plugin may come several times, once for each generation, the older one first.
    pub plugins: Vec<PluginEntries>,
    /// Starts and stops of the engine.
    pub engine: Vec<EngineRecord>,
    /// What else is to be remembered of plugins, in the same transaction.
    pub rows: Vec<PluginRow>,
}

/// Entries of one generation of one plugin, in the order of their numbers ([`Entry::seq`]).
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginEntries {
    /// The plugin.
    pub id: PluginId,
    /// The generation that was active.
    pub generation: u32,
    /// The version of that generation, where it is known.
    pub version: Option<Arc<str>>,
    /// The entries.
    pub entries: Vec<Entry>,
}

/// What one plugin did, or what is left of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Entry {
    /// An update that was started and completed, with nothing to say of it: two transitions.
    Update(Update),
    /// One transition of any kind.
    Change(Change),
    /// Updates of which only sums are known.
    Folded(Folded),
    /// Entries of which nothing is known but that they were.
    Gap(Gap),
}

/// Two transitions, [`Cause::UpdateStarted`] and [`Cause::UpdateCompleted`], without an error.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Update {
    /// The number of the start.
    pub start_seq: u64,
    /// The number of the completion, larger than that of the start.
    pub end_seq: u64,
    /// When it was started. It completed `duration` later, by the same clock.
    pub at: WallTime,
    /// How long it took.
    pub duration: Duration,
}

/// A [`Transition`] without what its [`PluginEntries`] say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Change {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// The state before.
    pub from: PluginState,
    /// The state after.
    pub to: PluginState,
    /// Why.
    pub cause: Cause,
    /// The error that came with it.
    pub error: Option<Arc<Fault>>,
    /// How long the call took that ended with it.
    pub duration: Option<Duration>,
}

/// Plain updates that were counted instead of kept, because there was no room for all until they could be written.
///
/// Other entries of the plugin may have numbers in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Folded {
    /// The smallest number among them.
    pub first_seq: u64,
    /// The largest number among them.
    pub last_seq: u64,
    /// How many transitions they were.
    pub transitions: u64,
    /// How many completed updates these were.
    pub updates: u64,
    /// When the first of them was.
    pub first_at: WallTime,
    /// When the last of them was.
    pub last_at: WallTime,
    /// How long the completed ones took together.
    pub total_duration: Duration,
}

/// Entries that had to leave before they could be written.
///
/// Other entries of the plugin may have numbers in between.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Gap {
    /// The smallest number among them.
    pub first_seq: u64,
    /// The largest number among them.
    pub last_seq: u64,
    /// How many they were.
    pub count: u64,
    /// When the first of them was.
    pub first_at: WallTime,
    /// When the last of them was.
    pub last_at: WallTime,
}

/// A start or a stop of the engine, with a number of its own.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum EngineRecord {
    /// The engine was started.
    Started(Started),
    /// The engine was stopped in an orderly way.
    Stopped(Stopped),
}

/// The engine was started.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Started {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: WallTime,
    /// The process.
    pub pid: u32,
    /// The version of the engine.
    pub version: Box<str>,
    /// The numbers, first and last, that the process before may have used without having written what they were used for. Where they are larger than that of the
    /// start, they are of this process: the file was damaged while it ran, and a new one begun.
    pub lost: Option<(u64, u64)>,
}

/// The engine was stopped in an orderly way. It belongs to the last start before it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Stopped {
    /// Its number.
    pub seq: u64,
    /// When.
    pub at: WallTime,
}

/// What is remembered of a plugin beyond its entries.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PluginRow {
    /// The plugin.
    pub id: PluginId,
    /// The last generation that was given out.
    pub generation: u32,
    /// Whether a person has unloaded or switched it off.
    pub off_by_hand: bool,
}

impl Entry {
    /// The number by which it stands in order: the last one that it covers.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Update(update) => update.end_seq,
            Self::Change(change) => change.seq,
            Self::Folded(folded) => folded.last_seq,
            Self::Gap(gap) => gap.last_seq,
        }
    }

    /// The first number that it covers.
    pub(crate) fn first_seq(&self) -> u64 {
        match self {
            Self::Update(update) => update.start_seq,
            Self::Change(change) => change.seq,
            Self::Folded(folded) => folded.first_seq,
            Self::Gap(gap) => gap.first_seq,
        }
    }

    /// How many numbers it covers.
    pub(crate) fn transitions(&self) -> u64 {
        match self {
            Self::Update(_) => 2,
            Self::Change(_) => 1,
            Self::Folded(folded) => folded.transitions,
            Self::Gap(gap) => gap.count,
        }
    }

    /// From when to when it is.
    pub(crate) fn times(&self) -> (WallTime, WallTime) {
        match self {
            Self::Update(update) => (update.at, update.at.saturating_add(update.duration)),
            Self::Change(change) => (change.at, change.at),
            Self::Folded(folded) => (folded.first_at, folded.last_at),
            Self::Gap(gap) => (gap.first_at, gap.last_at),
        }
    }
}

impl EngineRecord {
    /// Its number.
    #[must_use]
    pub fn seq(&self) -> u64 {
        match self {
            Self::Started(started) => started.seq,
            Self::Stopped(stopped) => stopped.seq,
        }
    }
}

impl From<&Transition> for Change {
    fn from(transition: &Transition) -> Self {
        Self {
            seq: transition.seq,
            at: transition.at,
            from: transition.from,
            to: transition.to,
            cause: transition.cause,
            error: transition.error.clone(),
            duration: transition.duration,
        }
    }
}

impl Batch {
    /// Whether a store whose last number is `last_seq` would take it, for what stands in for one.
    ///
    /// # Errors
    /// [`Invalid`](crate::StoreErrorKind::Invalid): it does not fit together, or not to what is there.
    #[doc(hidden)]
    pub fn check(&self, last_seq: u64, path: &std::path::Path) -> Result<(), crate::StoreError> {
        check(self, last_seq).map_err(|trouble| trouble.of(path))
    }

    /// A batch of these transitions, which are in the order of their numbers and without holes; `None` if there are none.
    #[must_use]
    pub fn of(transitions: &[Transition]) -> Option<Self> {
        let (first, last) = (transitions.first()?, transitions.last()?);
        let mut plugins: Vec<PluginEntries> = Vec::new();
        let mut newest: HashMap<&PluginId, usize> = HashMap::new();
        for transition in transitions {
            let fits = newest.get(&transition.id).copied().filter(|at| {
                let group = &plugins[*at];
                group.generation == transition.generation && group.version == transition.version
            });
            let at = fits.unwrap_or_else(|| {
                plugins.push(PluginEntries {
                    id: transition.id.clone(),
                    generation: transition.generation,
                    version: transition.version.clone(),
                    entries: Vec::new(),
                });
                newest.insert(&transition.id, plugins.len() - 1);
                plugins.len() - 1
            });
            push(&mut plugins[at].entries, Entry::Change(transition.into()));
        }
        Some(Self {
            first_seq: first.seq,
            last_seq: last.seq,
            plugins,
            engine: Vec::new(),
            rows: Vec::new(),
        })
    }
}

/// Appends an entry, and makes an update of it and the one before if they are the start and the completion of one.
pub(crate) fn push(entries: &mut Vec<Entry>, entry: Entry) {
    if let Some(Entry::Change(start)) = entries.last()
        && is_plain_start(start)
        && let Entry::Change(end) = &entry
        && is_plain_end(end)
        && let Some(duration) = end.duration
        && start.at.saturating_add(duration) == end.at
    {
        let update = Update {
            start_seq: start.seq,
            end_seq: end.seq,
            at: start.at,
            duration,
        };
        entries.pop();
        entries.push(Entry::Update(update));
        return;
    }
    entries.push(entry);
}

/// Whether it is the start of an update, with nothing else to say.
pub(crate) fn is_plain_start(change: &Change) -> bool {
    change.cause == Cause::UpdateStarted
        && change.from == PluginState::Enabled
        && change.to == PluginState::Running
        && change.error.is_none()
        && change.duration.is_none()
}

/// Whether it is the completion of an update, with nothing to say but how long that took.
pub(crate) fn is_plain_end(change: &Change) -> bool {
    change.cause == Cause::UpdateCompleted
        && change.from == PluginState::Running
        && change.to == PluginState::Enabled
        && change.error.is_none()
        && change.duration.is_some()
}

/// Whether this is the start of an engine whose file is there no more, named once more in a new one: before all that is written there, with the numbers between
/// as lost.
fn is_named_again(record: &EngineRecord, first: u64, last_seq: u64) -> bool {
    let EngineRecord::Started(started) = record else {
        return false;
    };
    let between = (started.seq + 1, first - 1);
    (last_seq + 1..first).contains(&started.seq)
        && started.lost == (between.0 <= between.1).then_some(between)
}

/// Whether every number of the batch is used once, as far as can be counted.
pub(crate) fn check(batch: &Batch, last_seq: u64) -> Result<(), Trouble> {
    let invalid = |what: String| Err(Trouble::Invalid(what));
    let (first, last) = (batch.first_seq, batch.last_seq);
    if first <= last_seq || first > last {
        return invalid(format!(
            "a batch from {first} to {last} does not follow {last_seq}"
        ));
    }
    let mut count: u64 = 0;
    for group in &batch.plugins {
        for entry in &group.entries {
            if entry.first_seq() < first || entry.seq() > last || entry.first_seq() > entry.seq() {
                return invalid(format!(
                    "an entry of {} from {} to {} is outside of {first} to {last}",
                    group.id,
                    entry.first_seq(),
                    entry.seq()
                ));
            }
            count = count.saturating_add(entry.transitions());
        }
    }
    for record in &batch.engine {
        if is_named_again(record, first, last_seq) {
            continue;
        }
        if !(first..=last).contains(&record.seq()) {
            return invalid(format!(
                "number {} is outside of {first} to {last}",
                record.seq()
            ));
        }
        count = count.saturating_add(1);
    }
    if count != last - first + 1 {
        return invalid(format!(
            "{} numbers from {first} to {last}, but entries for {count}",
            last - first + 1
        ));
    }
    Ok(())
}
