//! One plugin's cell: its machine, its instance and its history behind one lock, and its published snapshot beside it.
//!
//! Whoever holds the lock applies the event, numbers the transition, appends it and publishes the snapshot in that one
//! critical section. No code of a plugin, no subscriber and no log ever runs under the lock.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};

use plugin_engine_core::{
    Event, HistoryFilter, Machine, Moment, PluginId, PluginState, Record, RejectReason, Step,
    Transition, WallTime,
};

mod consequences;
mod guarded;
mod plain_update;

use crate::clock::TimeSource;
use crate::discover::Candidate;
use crate::facts::{Facts, HeldFacts};
use crate::history::{Found, HistoryBudget, PluginHistory};
use crate::ledger::Ledger;
use crate::snapshot::{Beside, Owned, Plain, Published, READ_TRIES_MAX, Snapshot};
use crate::threading::{Mutex, MutexGuard};
use crate::turns::{ReloadTurn, Turn, Turns};
use crate::usage::{Ending, UsageRecord};
use crate::waiting::Condvar;

pub(crate) use crate::applied::Applied;
use plain_update::Named;

pub(crate) use guarded::{Guarded, Loaded, Probation, Requires, RolledBack, Source, UnloadedFile};

/// One plugin.
///
/// In this order in memory, as are what is published and what is guarded: what a good update touches begins a cache line and lies
/// together. First comes where the rest lies that an update touches, then what is published, then the lock and what it guards.
#[repr(C, align(64))]
pub(crate) struct Cell {
    pub(crate) index: u32,
    named: Named,
    published: Published,
    guarded: Mutex<Guarded>,
    pub(crate) id: PluginId,
    /// When a call last recorded progress, in nanoseconds of the monotonic clock; 0 for never. Written in the middle of calls, so
    /// no part of what is published.
    pub(crate) progress: Arc<AtomicU64>,
    /// Told when a call has ended or was abandoned and somebody waits for that.
    settled: Condvar,
    turns: Turns,
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
            named: Named::default(),
            published: Published::new(Plain::of(&machine, beside), facts),
            guarded: Mutex::new(Guarded {
                instance: None,
                waiters: 0,
                tick_waits: false,
                off_by_hand: false,
                decided_by_hand: false,
                requires: None,
                seq: 0,
                recorded: 0,
                usage: UsageRecord::default(),
                history: PluginHistory::default(),
                machine,
                source: None,
                loaded: None,
                heard: None,
                started: 0,
                misconfigured: None,
                probation: None,
                rolled_back: None,
                unloaded_by_hand: None,
                episode: None,
                error: None,
            }),
            id,
            progress: Arc::default(),
            settled: Condvar::new(),
            turns: Turns::default(),
        }
    }

    #[inline]
    pub(crate) fn lock(&self) -> MutexGuard<'_, Guarded> {
        // Whoever comes here holds nothing but turns, so anybody else may come in between.
        #[cfg(feature = "simulation")]
        crate::simulation::pause(crate::simulation::Pause::Briefly);
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

    /// Applies an event and does everything that belongs to it inside the lock. What is left to the caller is what must be
    /// done outside.
    pub(crate) fn apply(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        event: Event,
    ) -> Result<Applied, RejectReason> {
        let mut applied = self.apply_one(ledger, guarded, now, event)?;
        if guarded.machine.has_more_to_say() {
            self.follow_up(ledger, guarded, now, &mut applied);
        }
        Ok(applied)
    }

    fn apply_one(
        &self,
        ledger: &Ledger,
        guarded: &mut Guarded,
        now: Moment,
        event: Event,
    ) -> Result<Applied, RejectReason> {
        let wall = ledger.time.wall_at(now);
        let had_leftover = guarded.has_leftover();
        let ending = Ending::of(&guarded.machine, &event);
        #[cfg(feature = "simulation")]
        let event = {
            use crate::simulation::tampered_event;
            tampered_event(self.index, &guarded.machine, now, event)
                .ok_or(RejectReason::NoSuchCall)?
        };
        let step = guarded.machine.apply(now, wall, event)?;
        #[cfg(feature = "simulation")]
        let step = {
            let mut step = step;
            crate::simulation::tampered_step(self.index, &mut guarded.machine, now, &mut step);
            step
        };
        guarded.usage.follow(ending, &step, now);
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
            let seq = ledger.number(self.index);
            guarded.seq = seq;
            guarded.recorded += 1;
            if !record.is_routine() {
                notable = Some(self.transition(guarded, seq, wall, &record));
            }
            guarded
                .history
                .push(&ledger.history_budget, seq, wall, record);
        }
        // A restart that came due while this call was in the way is offered again: its ticker has gone on meanwhile.
        let restart_may_wait = effects.settled && guarded.machine.waits_for_restart();
        if effects.rearm || restart_may_wait {
            // What was left before this event is nobody's business but the next cycle's.
            let now = (had_leftover && guarded.has_leftover()).then_some(now);
            let schedule = guarded.machine.schedule();
            ledger.rearm(self.index, now.or(schedule.next()), schedule.interval());
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
        if effects.health_changed || effects.became_unhealthy {
            self.tell_health(ledger, guarded, wall, effects);
        }
        Ok(Applied {
            call,
            ended,
            notable,
            consequences: Vec::new(),
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
        #[cfg(feature = "simulation")]
        if !crate::simulation::tampered_publish(self.index, &guarded.machine) {
            return;
        }
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
        let facts = self.changed_facts(guarded);
        self.published
            .write_changed(&guarded.plain(), changed, facts);
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
            facts.version = Some(Arc::clone(&library.version));
            facts.file = guarded
                .source
                .as_ref()
                .map(|source| Arc::clone(&source.candidate));
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
    pub(crate) fn set_file(&self, guarded: &mut Guarded, file: Arc<Candidate>) {
        let mut facts = (*self.published.facts()).clone();
        facts.file = Some(file);
        self.set_facts(guarded, facts);
    }

    /// Names the generation that the machine has just begun.
    pub(crate) fn name_generation(&self, guarded: &mut Guarded, version: Arc<str>) {
        let generation = guarded.machine.generation();
        guarded
            .history
            .begin_generation(guarded.seq, generation, version);
    }

    /// Lets updates start again that were held back, if nobody else holds them back. A tick that came meanwhile is offered again.
    pub(crate) fn let_updates_start(&self, ledger: &Ledger, guarded: &mut Guarded) {
        guarded.waiters -= 1;
        if guarded.waiters == 0 && std::mem::take(&mut guarded.tick_waits) {
            let now = guarded.has_leftover().then(|| ledger.time.now());
            let schedule = guarded.machine.schedule();
            ledger.rearm(self.index, now.or(schedule.next()), schedule.interval());
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
            facts: HeldFacts::owned(self.published.facts()),
            error: guarded.error.clone(),
        };
        (guarded.plain(), owned)
    }

    /// Forgets the history up to now.
    pub(crate) fn forget_history(&self, ledger: &Ledger) {
        let mut guarded = self.lock();
        guarded.history.forget(&ledger.history_budget);
        guarded.recorded = 0;
        self.publish(&mut guarded);
    }

    /// The entries of the history that `filter` takes, up to this number, and what is missing.
    pub(crate) fn history(&self, filter: &HistoryFilter, up_to: u64) -> FoundInMemory {
        let guarded = self.lock();
        FoundInMemory {
            found: guarded.history.query(&self.id, filter, up_to),
            lost: guarded.recorded - guarded.history.len() as u64,
            #[cfg(feature = "history-sqlite")]
            floor: guarded.history.floor(),
        }
    }
}

/// What the memory of one plugin says to a question, as of one moment.
pub(crate) struct FoundInMemory {
    pub(crate) found: Found,
    /// How many entries have left the memory.
    pub(crate) lost: u64,
    /// Everything above this number is there.
    #[cfg(feature = "history-sqlite")]
    pub(crate) floor: u64,
}

/// Keeps the compiler honest about what may cross threads.
const _: fn() = || {
    fn is_shared<T: Send + Sync>() {}
    is_shared::<Cell>();
    is_shared::<HistoryBudget>();
};

#[cfg(test)]
mod tests {
    use std::mem::offset_of;

    use super::plain_update::HOT_LINES;
    use super::*;

    /// How many cache lines a good update of a plugin touches in its cell, which is what it waits for in the first place. What is added before
    /// the end of the hot part makes every update of every plugin slower: think twice, and measure.
    #[test]
    fn what_a_good_update_touches_lies_together() {
        let lock = offset_of!(Cell, guarded);
        let guarded = lock + size_of::<Mutex<Guarded>>() - size_of::<Guarded>();
        let machine = guarded + offset_of!(Guarded, machine);
        let hot = machine + Machine::HOT_BYTES;
        assert_eq!(lock / 64, 3, "the lock lies in the fourth line, at {lock}");
        assert!(hot <= HOT_LINES * 64, "all of it is asked for ahead: {hot}");
        assert!(hot > (HOT_LINES - 1) * 64, "and nothing else: {hot}");
    }

    /// What the cell of a plugin takes that is never called, times a hundred thousand. What few plugins have belongs behind a pointer.
    #[test]
    fn a_cell_takes_no_more_room_than_it_is_known_to() {
        let lines = size_of::<Cell>().div_ceil(64);
        assert!(lines <= 17, "it takes {lines} lines of a cache");
    }
}
