//! Everything that is known of one plugin at one moment, published as one value.
//!
//! The plain fields lie in a row of words under a sequence lock made of atomics alone; what has an owner (the texts, the
//! error) hangs behind one pointer that is swapped only when it changes. A reader checks the sequence around both, so it
//! never sees fields of two moments. A write costs about two dozen plain stores, a read as many loads and one loan.

use std::path::Path;
use std::sync::Arc;
use std::time::Duration;

use arc_swap::{ArcSwap, ArcSwapOption};
use plugin_engine_core::{
    BreakerState, CallKind, Counts, Fault, Health, Machine, Moment, PluginId, PluginState, WallTime,
};

use crate::facts::{Facts, HeldFacts};
use crate::sequence_lock::SequenceLock;

/// Everything that is known of one plugin at one moment. A copy: nothing in the engine changes through it.
///
/// ```no_run
/// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
/// # engine.load_all();
/// let clock = engine.snapshot("clock");
/// println!("{} {} is {}", clock.id(), clock.version().unwrap_or("?"), clock.state);
/// println!("each {:?}, no longer than {:?}", clock.interval(), clock.timeout());
/// println!("{}: {:?}", clock.health, clock.health_reason());
/// println!("{:?}, SHA-256 {:?}", clock.file(), clock.sha256());
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Snapshot {
    /// Its state.
    pub state: PluginState,
    /// Since when it is in that state; `None` for an id that nothing is known of.
    pub since: Option<WallTime>,
    /// The error that stands: why the state is Error, or the last recoverable failure, until a success clears it.
    pub error: Option<Arc<Fault>>,
    /// The generation; 0 before the first load.
    pub generation: u32,
    /// When the last update ended or passed its deadline.
    pub last_update: Option<WallTime>,
    /// When the last update completed.
    pub last_success: Option<WallTime>,
    /// When the last display ended or passed its deadline.
    pub last_display: Option<WallTime>,
    /// When a call last said that its work is getting on.
    pub last_progress: Option<WallTime>,
    /// When the next update is due.
    pub next_update: Option<WallTime>,
    /// How well it is; see [`Snapshot::health_reason`].
    pub health: Health,
    /// What its circuit breaker does.
    pub breaker: BreakerState,
    /// How often what happened.
    pub counts: Counts,
    /// How many calls of a kind have failed in a row.
    pub in_a_row: FailuresInARow,
    /// The call that is in flight, in time or abandoned.
    pub in_flight: Option<InFlightCall>,
    /// How many entries the history has.
    pub history_len: usize,
    /// The number of the last transition.
    pub seq: u64,
    /// Shared, not copied: what changes only with a load.
    facts: HeldFacts,
}

impl Snapshot {
    /// What there is to say of an id that nothing is known of.
    pub(crate) fn unknown(id: &str) -> Self {
        Self::of_facts(Facts::new(PluginId::nearest(id)))
    }

    /// What there is to say of a plugin of which only this is known.
    pub(crate) fn of_facts(facts: Facts) -> Self {
        Self {
            state: PluginState::Unloaded,
            since: None,
            error: None,
            generation: 0,
            last_update: None,
            last_success: None,
            last_display: None,
            last_progress: None,
            next_update: None,
            health: Health::Unknown,
            breaker: BreakerState::Off,
            counts: Counts::default(),
            in_a_row: FailuresInARow::default(),
            in_flight: None,
            history_len: 0,
            seq: 0,
            facts: HeldFacts::owned(Arc::new(facts)),
        }
    }

    /// The version, of a snapshot that is put together from what is left of a history.
    pub(crate) fn set_version(&mut self, version: &Arc<str>) {
        let version = Some(Arc::clone(version));
        self.facts = self.facts.changed(|facts| facts.version = version);
    }

    /// This, to be held for long or together with many others.
    pub(crate) fn kept(self) -> Self {
        let facts = self.facts.own();
        Self { facts, ..self }
    }

    /// This, with something to say of the health beside the error.
    #[cfg(test)]
    pub(crate) fn noting(mut self, note: &str) -> Self {
        let note = Some(note.into());
        self.facts = self.facts.changed(|facts| facts.health_note = note);
        self
    }

    /// The plugin.
    #[must_use]
    pub fn id(&self) -> &PluginId {
        &self.facts.id
    }

    /// The author's version of the generation that is loaded.
    #[must_use]
    pub fn version(&self) -> Option<&str> {
        self.facts.version.as_deref()
    }

    /// The file that the plugin was loaded from, or that was refused.
    #[must_use]
    pub fn file(&self) -> Option<&Path> {
        self.facts.file.as_deref().map(|file| &*file.path)
    }

    /// The SHA-256 of the file that is loaded, in hexadecimal. Worked out when it is first asked for, once per file, which takes about a
    /// millisecond per MiB.
    #[must_use]
    pub fn sha256(&self) -> Option<&str> {
        self.facts.sha256.as_ref()?.text()
    }

    /// Why the health is what it is, where it is not good.
    #[must_use]
    pub fn health_reason(&self) -> Option<&str> {
        let error = self.error.as_ref().map(|error| &*error.message);
        match self.health {
            Health::Unknown | Health::Healthy => None,
            Health::Degraded | Health::Unhealthy => self.facts.health_note.as_deref().or(error),
        }
    }

    /// The interval between updates.
    #[must_use]
    pub fn interval(&self) -> Duration {
        self.facts.interval
    }

    /// How long one update may take.
    #[must_use]
    pub fn timeout(&self) -> Duration {
        self.facts.timeout
    }
}

/// How many calls of each kind have failed in a row. A success of one kind says nothing of another.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct FailuresInARow {
    /// Creates; at most 2,097,151 are counted, of each kind.
    pub creates: u32,
    /// Updates.
    pub updates: u32,
    /// Displays.
    pub displays: u32,
}

impl FailuresInARow {
    const MAX: u64 = (1 << 21) - 1;

    #[inline]
    fn of(machine: &Machine) -> Self {
        Self {
            creates: machine.failures_in_a_row(CallKind::Create),
            updates: machine.failures_in_a_row(CallKind::Update),
            displays: machine.failures_in_a_row(CallKind::Display),
        }
    }

    #[inline]
    fn packed(self) -> u64 {
        let part = |count: u32| u64::from(count).min(Self::MAX);
        part(self.creates) | part(self.updates) << 21 | part(self.displays) << 42
    }

    #[inline]
    fn unpacked(word: u64) -> Self {
        let part = |at: u32| (word >> at & Self::MAX) as u32;
        Self {
            creates: part(0),
            updates: part(21),
            displays: part(42),
        }
    }
}

/// A call that has not returned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct InFlightCall {
    /// Its kind.
    pub call: CallKind,
    /// When it started.
    pub since: WallTime,
    /// Whether its deadline has passed.
    pub abandoned: bool,
}

const WORDS: usize = 18;
/// How many of them an update changes that nothing is wrong with. They come first.
const WORDS_OF_PLAIN_UPDATE: usize = 12;

/// How often a read is tried before the reader asks for the lock instead of going on for ever.
pub(crate) const READ_TRIES_MAX: usize = 64;

/// A snapshot as it is published: written under the lock of its cell, read by anybody. In this order in memory, see
/// [`Cell`](crate::cell::Cell).
#[repr(C)]
pub(crate) struct Published {
    plain: SequenceLock<WORDS>,
    /// The error, if the words say that there is one.
    error: ArcSwapOption<Fault>,
    /// What changes only with a load.
    facts: ArcSwap<Facts>,
}

/// The plain fields, between the machine and the words.
#[derive(Clone, Copy)]
pub(crate) struct Plain {
    words: [u64; WORDS],
}

/// What a snapshot has beside the machine.
#[derive(Clone, Copy)]
pub(crate) struct Beside {
    pub(crate) seq: u64,
    pub(crate) history_len: usize,
}

/// What a snapshot has that has an owner.
pub(crate) struct Owned {
    pub(crate) facts: HeldFacts,
    pub(crate) error: Option<Arc<Fault>>,
}

impl Plain {
    /// Packs what is plain; `beside` is what is not the machine's.
    #[inline]
    pub(crate) fn of(machine: &Machine, beside: Beside) -> Self {
        let call = machine.in_flight();
        let flags = u64::from(machine.state() as u8)
            | call.map_or(0, |call| {
                (u64::from(call.call as u8) + 1) << 8 | u64::from(call.abandoned) << 16
            })
            | u64::from(machine.has_error()) << 17
            | (machine.health() as u64) << 18
            | (machine.breaker() as u64) << 20
            | u64::from(machine.generation()) << 32;
        let times = machine.times();
        let counts = machine.counts();
        let wall = |time: Option<WallTime>| time.map_or(0, WallTime::as_unix_nanos);
        Self {
            words: [
                flags,
                beside.seq,
                machine.since().as_unix_nanos(),
                wall(times.last_update),
                wall(times.last_success),
                machine.schedule().next().map_or(u64::MAX, Moment::as_nanos),
                counts.calls,
                counts.updates,
                counts.successes,
                counts.skipped,
                call.map_or(0, |call| call.since.as_unix_nanos()),
                beside.history_len as u64,
                // From here on what a plain update does not change.
                wall(times.last_display),
                counts.failures,
                counts.timeouts,
                counts.panics,
                counts.late,
                FailuresInARow::of(machine).packed(),
            ],
        }
    }

    #[inline]
    fn has_error(&self) -> bool {
        self.words[0] >> 17 & 1 == 1
    }

    /// Puts the parts together. `wall_at` tells the time of day of a moment.
    #[inline]
    pub(crate) fn snapshot(
        &self,
        Owned { facts, error }: Owned,
        progress: Option<Moment>,
        wall_at: impl Fn(Moment) -> WallTime,
    ) -> Snapshot {
        let [
            flags,
            seq,
            since,
            last_update,
            last_success,
            next,
            calls,
            updates,
            successes,
            skipped,
            call_since,
            history_len,
            last_display,
            failures,
            timeouts,
            panics,
            late,
            in_a_row,
        ] = self.words;
        let wall = |nanos: u64| (nanos != 0).then(|| WallTime::from_unix_nanos(nanos));
        let call = ((flags >> 8) as u8)
            .checked_sub(1)
            .and_then(CallKind::from_code);
        Snapshot {
            state: PluginState::from_code(flags as u8).unwrap_or(PluginState::Unloaded),
            since: wall(since),
            error,
            generation: (flags >> 32) as u32,
            last_update: wall(last_update),
            last_success: wall(last_success),
            last_display: wall(last_display),
            last_progress: progress.map(&wall_at),
            health: Health::from_code((flags >> 18 & 3) as u8).unwrap_or_default(),
            breaker: BreakerState::from_code((flags >> 20 & 3) as u8).unwrap_or_default(),
            in_a_row: FailuresInARow::unpacked(in_a_row),
            next_update: (next != u64::MAX).then(|| wall_at(Moment::from_nanos(next))),
            counts: Counts {
                calls,
                updates,
                successes,
                failures,
                timeouts,
                panics,
                late,
                skipped,
            },
            in_flight: call.map(|call| InFlightCall {
                call,
                since: WallTime::from_unix_nanos(call_since),
                abandoned: flags >> 16 & 1 == 1,
            }),
            history_len: usize::try_from(history_len).unwrap_or(usize::MAX),
            seq,
            facts,
        }
    }
}

impl Published {
    /// Publishes a first value.
    pub(crate) fn new(plain: Plain, facts: Facts) -> Self {
        Self {
            plain: SequenceLock::new(plain.words),
            error: ArcSwapOption::empty(),
            facts: ArcSwap::from_pointee(facts),
        }
    }

    /// The facts that hold. Only inside the lock of the cell do they belong to what else is seen there.
    pub(crate) fn facts(&self) -> Arc<Facts> {
        self.facts.load_full()
    }

    /// Publishes other facts together with the rest. The caller holds the cell's lock.
    #[cold]
    pub(crate) fn write_facts(&self, plain: &Plain, facts: Facts) {
        self.plain
            .write(&plain.words, || self.facts.store(Arc::new(facts)));
    }

    /// Publishes what a plain update changes. The caller holds the cell's lock, so there is one writer at a time.
    #[inline]
    pub(crate) fn write_plain_update(&self, plain: &Plain) {
        self.plain
            .write(&plain.words[..WORDS_OF_PLAIN_UPDATE], || ());
    }

    /// Publishes all of it. The error and the facts only if they have changed. The caller holds the cell's lock.
    pub(crate) fn write_changed(
        &self,
        plain: &Plain,
        error: Option<Option<Arc<Fault>>>,
        facts: Option<Facts>,
    ) {
        self.plain.write(&plain.words, || {
            if let Some(error) = error {
                self.error.store(error);
            }
            if let Some(facts) = facts {
                self.facts.store(Arc::new(facts));
            }
        });
    }

    /// Reads, if no write comes in between. Without an error this writes one word of the reader's own thread and nothing
    /// else, as long as that holds few snapshots.
    #[inline]
    pub(crate) fn try_read(&self) -> Option<(Plain, Owned)> {
        let (words, (error, facts)) = self.plain.try_read(|words| {
            // Looked at only if the words say so, and then it belongs to them.
            let has_error = Plain { words: *words }.has_error();
            let error = has_error.then(|| self.error.load_full()).flatten();
            (error, self.facts.load())
        })?;
        let plain = Plain { words };
        let facts = HeldFacts::lent(facts);
        Some((plain, Owned { facts, error }))
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine_core::{CallLimits, CallOutcome, CreateReason, Event, Schedule};

    use super::*;

    const MS: Duration = Duration::from_millis(1);

    fn words(machine: &Machine) -> [u64; WORDS] {
        let beside = Beside {
            seq: 1,
            history_len: 1,
        };
        Plain::of(machine, beside).words
    }

    #[test]
    fn a_plain_update_changes_no_word_but_those_that_it_publishes() {
        let limits = CallLimits {
            create: MS,
            update: MS,
            display: MS,
            destroy: MS,
            state: MS,
        };
        let mut machine = Machine::new(Schedule::new(MS, Duration::ZERO), limits);
        let at = |ms: u64| Moment::from_nanos(ms * 1_000_000);
        let wall = |ms: u64| WallTime::from_unix_nanos(1_000_000 * (1_000 + ms));
        let mut ms = 0;
        let mut apply = |machine: &mut Machine, event| {
            ms += 1;
            machine.apply(at(ms), wall(ms), event).unwrap().call
        };
        apply(&mut machine, Event::Mapped);
        for event in [
            Event::CreateStarted(CreateReason::Load),
            Event::DisplayStarted,
            Event::UpdateStarted { on_demand: false },
        ] {
            let id = apply(&mut machine, event).unwrap();
            let outcome = CallOutcome::Completed;
            apply(&mut machine, Event::CallEnded { id, outcome });
        }
        let before = words(&machine)[WORDS_OF_PLAIN_UPDATE..].to_vec();
        let first = words(&machine);
        // With ticks that were missed, which are counted.
        let id = machine.start_plain_update(at(90), wall(90)).unwrap();
        assert_eq!(words(&machine)[WORDS_OF_PLAIN_UPDATE..], before);
        machine.complete_plain_update(at(99), wall(99), id).unwrap();
        assert_eq!(words(&machine)[WORDS_OF_PLAIN_UPDATE..], before);
        assert_ne!(words(&machine), first);
    }
}
