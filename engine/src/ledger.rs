//! What every transition is entered into, whichever plugin it is of: the counter, the budget of the histories, the events, the
//! timers, and the clock that stamps it.

use std::time::Duration;

use plugin_engine_core::Moment;

use crate::changed_plugins::Changes;
use crate::clock::TimeSource;
use crate::events::EventBus;
use crate::history::HistoryBudget;
use crate::probations::Probations;
use crate::threading::{
    Mutex,
    atomic::{AtomicU64, AtomicUsize, Ordering},
};
use crate::timers::Timers;
use crate::unsaved_plugins::UnsavedPlugins;
use crate::waiting::Condvar;

/// What every transition is entered into.
pub(crate) struct Ledger {
    pub(crate) time: TimeSource,
    /// The number of the last transition.
    pub(crate) next_seq: AtomicU64,
    pub(crate) history_budget: HistoryBudget,
    /// The plugins with entries that are still to be written to where they outlive the process.
    pub(crate) unsaved: UnsavedPlugins,
    pub(crate) events: EventBus,
    pub(crate) timers: Mutex<Timers>,
    /// Told when the next tick has come closer, the clock was moved, or a run is to stop.
    pub(crate) run: RunSignal,
    /// The plugins that others may wait for and that have changed.
    pub(crate) changes: Changes,
    /// Rung when a plugin on probation fails.
    pub(crate) probations: Probations,
}

impl Ledger {
    pub(crate) fn new(time: TimeSource, history_bytes_max: usize) -> Self {
        Self {
            time,
            next_seq: AtomicU64::new(0),
            history_budget: HistoryBudget::new(history_bytes_max),
            unsaved: UnsavedPlugins::default(),
            events: EventBus::default(),
            timers: Mutex::new(Timers::default()),
            run: RunSignal::default(),
            changes: Changes::default(),
            probations: Probations::default(),
        }
    }

    /// The number of the next transition, of the plugin with this index. Taken inside the lock of its cell, in which the entry is appended, too.
    #[inline]
    pub(crate) fn number(&self, index: u32) -> u64 {
        self.unsaved.mark(index);
        #[cfg(feature = "simulation")]
        if crate::simulation::is_tampered_with() {
            let step = crate::simulation::tampered_number(index);
            return self
                .next_seq
                .fetch_add(step, Ordering::AcqRel)
                .wrapping_add(step);
        }
        // Whoever sees the number sees the mark.
        self.next_seq.fetch_add(1, Ordering::AcqRel) + 1
    }

    /// Sets or stops the ticker of a plugin. Called inside the lock of its cell.
    #[cold]
    pub(crate) fn rearm(&self, index: u32, due: Option<Moment>, interval: Duration) {
        let mut timers = self.timers.lock();
        timers.set(index, due, interval);
        // Read inside the lock: a run writes it there, together with having looked for the next tick.
        let awaited = self.run.awaited_ns.load(Ordering::Relaxed);
        drop(timers);
        if due.is_some_and(|due| due.as_nanos() < awaited) {
            self.run.notify();
        }
    }
}

/// What a run waits on.
#[derive(Default)]
pub(crate) struct RunSignal {
    pub(crate) changes: Mutex<u64>,
    pub(crate) changed: Condvar,
    /// The latest tick that a run waits for, in nanoseconds; an earlier one has to wake them. 0 while no run waits. Changed
    /// inside the lock of the timers, as is the number of runs that wait.
    pub(crate) awaited_ns: AtomicU64,
    waiting: AtomicUsize,
    /// How often all runs were told to stop.
    pub(crate) stops: AtomicU64,
}

impl RunSignal {
    /// A run waits for this tick from now on.
    pub(crate) fn begin_to_wait(&self, until: Moment) {
        self.waiting.fetch_add(1, Ordering::Relaxed);
        // With several runs the latest counts: an earlier tick than that wakes also those who need not know.
        self.awaited_ns
            .fetch_max(until.as_nanos(), Ordering::Relaxed);
    }

    /// A run does not wait any more.
    pub(crate) fn end_to_wait(&self) {
        if self.waiting.fetch_sub(1, Ordering::Relaxed) == 1 {
            self.awaited_ns.store(0, Ordering::Relaxed);
        }
    }

    pub(crate) fn notify(&self) {
        *self.changes.lock() += 1;
        self.changed.notify_all();
    }
}
