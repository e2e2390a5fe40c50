//! One plugin's cell: its machine, its instance and its history behind one lock, and its published snapshot beside it.
//!
//! Whoever holds the lock applies the event, numbers the transition, appends it and publishes the snapshot in that one
//! critical section. No code of a plugin, no subscriber and no log ever runs under the lock.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use parking_lot::{Condvar, Mutex, MutexGuard};
use plugin_engine_core::{
    CallId, Event, Fault, Machine, Moment, PluginId, PluginState, Record, RejectReason,
    Requirement, Step, Transition, Unmet, WallTime,
};

use crate::clock::TimeSource;
use crate::config::{ConfigError, PluginConfig, Preparation};
use crate::digest::Fingerprint;
use crate::discover::Candidate;
use crate::history::{Filter, HistoryBudget, PluginHistory};
use crate::host::HostContext;
use crate::instance::{Instance, SavedState};
use crate::ledger::Ledger;
use crate::library::LoadedLibrary;
use crate::snapshot::{Beside, Facts, Owned, Plain, Published, READ_TRIES_MAX, Snapshot};
use crate::turns::{ReloadTurn, Turn, Turns};

pub(crate) use crate::applied::Applied;

/// One plugin.
pub(crate) struct Cell {
    pub(crate) index: u32,
    pub(crate) id: PluginId,
    /// When a call last recorded progress, in nanoseconds of the monotonic clock; 0 for never. Written in the middle of calls, so
    /// no part of what is published.
    pub(crate) progress: Arc<AtomicU64>,
    published: Published,
    guarded: Mutex<Guarded>,
    /// Told when a call has ended or was abandoned and somebody waits for that.
    settled: Condvar,
    turns: Turns,
}

/// What only the holder of the cell's lock sees.
pub(crate) struct Guarded {
    pub(crate) machine: Machine,
    /// The instance, unless it is in a call or there is none.
    pub(crate) instance: Option<Box<Instance>>,
    pub(crate) source: Option<Source>,
    /// What the library is, and the host that its instances speak to.
    pub(crate) loaded: Option<Loaded>,
    /// The host that the latest call speaks to, also when the library was let go since.
    pub(crate) heard: Option<Arc<HostContext>>,
    /// The how-manieth start of the engine the last start of this plugin was; 0 for none.
    pub(crate) started: u64,
    /// What was wrong with the settings at the latest create.
    pub(crate) misconfigured: Option<Arc<ConfigError>>,
    /// What the plugin requires; `None` for nothing.
    pub(crate) requires: Option<Box<Requires>>,
    /// What is kept of the generation before a reload, while the new one is on probation.
    pub(crate) probation: Option<Probation>,
    /// What took over last and was rolled back.
    pub(crate) rolled_back: Option<RolledBack>,
    /// Whether a person has switched the plugin off, and nobody has switched it on since. Holds for whatever is loaded next, too.
    pub(crate) off_by_hand: bool,
    /// What a person has unloaded, if the plugin was not loaded since.
    pub(crate) unloaded_by_hand: Option<UnloadedFile>,
    /// How many commands hold updates back, or wait for a call to end. While one does, no update starts.
    pub(crate) waiters: u32,
    /// Whether a tick has come meanwhile that is to be offered again.
    pub(crate) tick_waits: bool,
    /// The error that is published.
    error: Option<Arc<Fault>>,
    history: PluginHistory,
    /// The number of the last transition.
    seq: u64,
    /// How many transitions there were; what is not in the history any more has left it.
    recorded: u64,
}

/// Where a plugin comes from: enough to load it again.
#[derive(Clone)]
pub(crate) struct Source {
    pub(crate) candidate: Candidate,
    pub(crate) config: PluginConfig,
}

/// What is kept of the generation before a reload, for as long as the new one is on probation.
pub(crate) struct Probation {
    pub(crate) until: Moment,
    /// The generation that is on probation.
    pub(crate) generation: u32,
    /// How many panics there were when it began.
    pub(crate) panics: u64,
    pub(crate) previous: Loaded,
    pub(crate) source: Option<Source>,
    /// What the instance before had saved.
    pub(crate) state: Option<Arc<SavedState>>,
}

/// What was rolled back: these bytes with these settings.
#[derive(Clone)]
pub(crate) struct RolledBack {
    pub(crate) bytes: Fingerprint,
    pub(crate) config: PluginConfig,
}

/// The bytes of a file whose plugin somebody unloaded: until they change, a look at the directory does not load it again. `None` where
/// no bytes were loaded.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct UnloadedFile(pub(crate) Option<Fingerprint>);

/// What a plugin is loaded from.
#[derive(Clone)]
pub(crate) struct Loaded {
    pub(crate) library: Arc<LoadedLibrary>,
    pub(crate) host: Arc<HostContext>,
    /// What has to be done with the settings each time; `None` where the host has them for good.
    pub(crate) preparation: Option<Arc<Preparation>>,
}

/// What a plugin requires.
pub(crate) struct Requires {
    pub(crate) list: Arc<[Requirement]>,
    /// What was missing when it was held back the last time.
    pub(crate) unmet: Option<Arc<Unmet>>,
}

impl Guarded {
    /// What the plugin requires; `None` for nothing.
    pub(crate) fn required(&self) -> Option<Arc<[Requirement]>> {
        self.requires
            .as_ref()
            .map(|requires| Arc::clone(&requires.list))
    }

    /// The plain fields of the snapshot.
    #[inline]
    fn plain(&self) -> Plain {
        let beside = Beside {
            seq: self.seq,
            history_len: self.history.len(),
        };
        Plain::of(&self.machine, beside)
    }
}

impl Cell {
    pub(crate) fn new(index: u32, id: PluginId, machine: Machine) -> Self {
        let facts = Facts {
            interval: machine.schedule().interval(),
            timeout: machine.limits().update,
            ..Facts::new(id.clone())
        };
        let beside = Beside {
            seq: 0,
            history_len: 0,
        };
        Self {
            index,
            id,
            progress: Arc::default(),
            published: Published::new(Plain::of(&machine, beside), facts),
            guarded: Mutex::new(Guarded {
                machine,
                instance: None,
                source: None,
                loaded: None,
                heard: None,
                started: 0,
                misconfigured: None,
                requires: None,
                probation: None,
                rolled_back: None,
                off_by_hand: false,
                unloaded_by_hand: None,
                waiters: 0,
                tick_waits: false,
                error: None,
                history: PluginHistory::default(),
                seq: 0,
                recorded: 0,
            }),
            settled: Condvar::new(),
            turns: Turns::default(),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Guarded> {
        self.guarded.lock()
    }

    /// Waits for the turn of a command.
    pub(crate) fn take_turn(&self) -> Turn<'_> {
        self.turns.take()
    }

    /// Waits until no other reload of this plugin is under way.
    pub(crate) fn take_reload(&self) -> ReloadTurn<'_> {
        self.turns.take_reload()
    }

    /// Whether this thread is in the middle of a reload of this plugin, so that another one would wait for ever.
    pub(crate) fn is_reloaded_by_this_thread(&self) -> bool {
        self.turns.is_reloaded_by_this_thread()
    }

    /// Starts an update of a plugin that is due and in good order; `None` if there is anything else to say of it, and nothing
    /// was done.
    ///
    /// Costs one addition to the engine's counter, one entry in a ring that has grown, and the stores of the snapshot: no
    /// allocation, no other lock, no system call. So does [`Cell::complete_plain_update`].
    #[inline]
    pub(crate) fn start_plain_update(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
    ) -> Option<CallId> {
        let wall = ledger.time.wall_at(now);
        let id = guarded.machine.start_plain_update(now, wall)?;
        self.record_plain(ledger, guarded, wall, u64::MAX);
        Some(id)
    }

    /// Completes an update that was in time and came after one that completed, too; `false` if there is anything else to say of
    /// it, and nothing was done.
    #[inline]
    pub(crate) fn complete_plain_update(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        id: CallId,
    ) -> bool {
        let wall = ledger.time.wall_at(now);
        let Some(duration) = guarded.machine.complete_plain_update(now, wall, id) else {
            return false;
        };
        // A call lasts less than 584 years.
        let nanos = duration.as_secs() * 1_000_000_000 + u64::from(duration.subsec_nanos());
        self.record_plain(ledger, guarded, wall, nanos);
        if guarded.waiters > 0 {
            self.settled.notify_all();
        }
        true
    }

    #[inline]
    fn record_plain(&self, ledger: &Ledger, guarded: &mut Guarded, at: WallTime, duration_ns: u64) {
        // Numbered inside the lock, as in `apply`.
        let seq = ledger.next_seq.fetch_add(1, Ordering::Relaxed) + 1;
        guarded.seq = seq;
        guarded.recorded += 1;
        let budget = &ledger.history_budget;
        if duration_ns == u64::MAX {
            guarded.history.push_start(budget, seq, at);
        } else {
            guarded
                .history
                .push_completion(budget, seq, at, duration_ns);
        }
        // No error has come or gone, so what hangs behind the plain fields is the same.
        self.published.write(&guarded.plain(), None);
    }

    /// Applies an event and does everything that belongs to it inside the lock. What is left to the caller is what must be
    /// done outside.
    pub(crate) fn apply(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        event: Event,
    ) -> Result<Applied, RejectReason> {
        let wall = ledger.time.wall_at(now);
        let step = guarded.machine.apply(now, wall, event)?;
        let Step {
            record,
            call,
            ended,
            effects,
        } = step;
        let mut notable = None;
        let mut matters_to_others = false;
        if let Some(record) = record {
            use PluginState::{Enabled, Running};
            let called = matches!(
                (record.from, record.to),
                (Enabled, Running) | (Running, Enabled)
            );
            matters_to_others = !called;
            // Numbered inside the lock: a reader that has seen a number and then takes this lock finds the entry.
            let seq = ledger.next_seq.fetch_add(1, Ordering::Relaxed) + 1;
            guarded.seq = seq;
            guarded.recorded += 1;
            if !record.is_routine() {
                notable = Some(self.transition(guarded, seq, wall, &record));
            }
            guarded
                .history
                .push(&ledger.history_budget, seq, wall, record);
        }
        if effects.rearm {
            let schedule = guarded.machine.schedule();
            ledger.rearm(self.index, schedule.next(), schedule.interval());
        }
        self.publish(guarded);
        if matters_to_others {
            ledger.changes.tell(self.index);
        }
        if guarded.probation.is_some() && notable.is_some() {
            ledger.probations.ring();
        }
        if effects.settled && guarded.waiters > 0 {
            self.settled.notify_all();
        }
        if let Some(transition) = &notable
            && ledger.events.is_heard()
        {
            // Inside the lock, so that two changes of one plugin are published in their order; subscribers only have queues.
            let payload = match &transition.error {
                Some(error) => format!("{} {error}", transition.to),
                None => transition.to.to_string(),
            };
            ledger.events.publish_state(wall, &self.id, &payload);
        }
        Ok(Applied {
            call,
            ended,
            notable,
        })
    }

    /// Applies an event that nobody waits for, and logs what it came to.
    pub(crate) fn record(&self, ledger: &Ledger, event: Event) {
        let mut guarded = self.lock();
        let applied = self.apply(ledger, &mut guarded, ledger.time.now(), event);
        drop(guarded);
        if let Ok(applied) = applied {
            applied.log();
        }
    }

    /// What is said outside of a record that is not one of a plugin that works.
    #[cold]
    fn transition(
        &self,
        guarded: &Guarded,
        seq: u64,
        at: WallTime,
        record: &Record,
    ) -> Box<Transition> {
        Box::new(Transition {
            seq,
            at,
            id: self.id.clone(),
            generation: guarded.machine.generation(),
            version: self.published.facts().version.clone(),
            from: record.from,
            to: record.to,
            cause: record.cause,
            error: record.error.clone(),
            duration: record.duration,
        })
    }

    /// Publishes what the machine is now.
    pub(crate) fn publish(&self, guarded: &mut Guarded) {
        let error = guarded.machine.error();
        let same = match (error, &guarded.error) {
            (None, None) => true,
            (Some(one), Some(other)) => Arc::ptr_eq(one, other),
            _ => false,
        };
        let changed = (!same).then(|| {
            guarded.error = guarded.machine.error().cloned();
            guarded.error.clone()
        });
        self.published.write(&guarded.plain(), changed);
    }

    fn set_facts(&self, guarded: &mut Guarded, facts: Facts) {
        self.published.write_facts(&guarded.plain(), facts);
    }

    /// Says what the plugin is loaded from, or that it is loaded from nothing any more.
    pub(crate) fn set_loaded(&self, guarded: &mut Guarded, loaded: Option<Loaded>) {
        let mut facts = (*self.published.facts()).clone();
        facts.interval = guarded.machine.schedule().interval();
        facts.timeout = guarded.machine.limits().update;
        if let Some(loaded) = &loaded {
            let library = &loaded.library;
            facts.version = Some(library.manifest.version.as_str().into());
            facts.file = guarded
                .source
                .as_ref()
                .map(|source| Arc::from(&*source.candidate.path));
            facts.sha256 = Some(Arc::clone(&library.sha256));
            guarded.heard = Some(Arc::clone(&loaded.host));
        } else {
            facts.version = None;
            facts.sha256 = None;
        }
        guarded.loaded = loaded;
        self.set_facts(guarded, facts);
    }

    /// Says which file the plugin belongs to, before it is known whether that can be loaded.
    pub(crate) fn set_file(&self, guarded: &mut Guarded, file: &Path) {
        let mut facts = (*self.published.facts()).clone();
        facts.file = Some(file.into());
        self.set_facts(guarded, facts);
    }

    /// Names the generation that the machine has just begun.
    pub(crate) fn name_generation(&self, guarded: &mut Guarded, version: &str) {
        let generation = guarded.machine.generation();
        guarded
            .history
            .begin_generation(guarded.seq, generation, version.into());
    }

    /// Lets updates start again that were held back, if nobody else holds them back. A tick that came meanwhile is offered again.
    pub(crate) fn let_updates_start(&self, ledger: &Ledger, guarded: &mut Guarded) {
        guarded.waiters -= 1;
        if guarded.waiters == 0 && std::mem::take(&mut guarded.tick_waits) {
            let schedule = guarded.machine.schedule();
            ledger.rearm(self.index, schedule.next(), schedule.interval());
        }
    }

    /// Waits until the call that is in flight, if any, has ended or was abandoned. No update starts meanwhile.
    pub(crate) fn wait_settled<'a>(
        &'a self,
        ledger: &Ledger,
        mut guarded: MutexGuard<'a, Guarded>,
    ) -> MutexGuard<'a, Guarded> {
        guarded.waiters += 1;
        while guarded
            .machine
            .in_flight()
            .is_some_and(|call| !call.abandoned)
        {
            self.settled.wait(&mut guarded);
        }
        self.let_updates_start(ledger, &mut guarded);
        guarded
    }

    /// A snapshot. Without a lock, unless writers come in between again and again.
    #[inline]
    pub(crate) fn snapshot(&self, time: &TimeSource) -> Snapshot {
        let (plain, owned) = self.read();
        let progress = match self.progress.load(Ordering::Relaxed) {
            0 => None,
            nanos => Some(Moment::from_nanos(nanos)),
        };
        plain.snapshot(owned, progress, |moment| time.wall_at(moment))
    }

    #[inline]
    fn read(&self) -> (Plain, Owned) {
        for _ in 0..READ_TRIES_MAX {
            if let Some(read) = self.published.try_read() {
                return read;
            }
            std::hint::spin_loop();
        }
        // No writer can come in between now.
        let guarded = self.lock();
        let owned = Owned {
            facts: self.published.facts(),
            error: guarded.error.clone(),
        };
        (guarded.plain(), owned)
    }

    /// The entries of the history that `filter` takes.
    pub(crate) fn history(&self, filter: &Filter) -> Vec<Transition> {
        self.lock().history.query(&self.id, filter)
    }

    /// How many entries have left the history.
    pub(crate) fn history_lost(&self) -> u64 {
        let guarded = self.lock();
        guarded.recorded - guarded.history.len() as u64
    }
}

/// Keeps the compiler honest about what may cross threads.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Cell>();
    is_shared::<HistoryBudget>();
};
