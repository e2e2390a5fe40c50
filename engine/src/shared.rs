//! What all parts of one engine share.

use std::cell::RefCell;
use std::marker::PhantomData;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};
use std::time::Duration;

use parking_lot::{Condvar, Mutex};
use plugin_engine_core::{Cause, Event, FaultReport, Moment, Transition};

use crate::clock::TimeSource;
use crate::error::LoadError;
use crate::events::EventBus;
use crate::executor::Executor;
use crate::history::HistoryBudget;
use crate::library::Libraries;
use crate::loader::Loader;
use crate::registry::Registry;
use crate::timers::Timers;

/// What was said when the engine was built.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) plugin_dir: Option<PathBuf>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) workers: usize,
    pub(crate) threads_max: usize,
    pub(crate) create_timeout: Duration,
    pub(crate) display_timeout: Duration,
    pub(crate) destroy_timeout: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) startup_budget: Duration,
    pub(crate) backtraces: bool,
}

/// What all parts of one engine share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) time: TimeSource,
    pub(crate) registry: Registry,
    /// The number of the last transition.
    pub(crate) next_seq: AtomicU64,
    pub(crate) history_budget: HistoryBudget,
    pub(crate) events: EventBus,
    pub(crate) timers: Mutex<Timers>,
    pub(crate) executor: Executor,
    pub(crate) libraries: Libraries,
    pub(crate) loader: Loader,
    /// The files that were refused without an id to show the reason under, by path.
    pub(crate) refused: Mutex<std::collections::BTreeMap<PathBuf, Arc<LoadError>>>,
    /// Set once, by shutdown: no new call starts.
    pub(crate) stopping: AtomicBool,
    /// Told when the next tick has come closer, the clock was moved, or a run is to stop.
    pub(crate) run: RunSignal,
    /// How many plugins have been started.
    pub(crate) starts: AtomicU64,
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

impl Shared {
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

    pub(crate) fn record_thread_panic(&self, index: u32, report: &FaultReport) {
        let Some(cell) = self.registry.at(index) else {
            return;
        };
        let mut guarded = cell.lock();
        let event = Event::ThreadPanicked(report.clone());
        let applied = cell.apply(self, &mut guarded, self.time.now(), event);
        drop(guarded);
        if let Ok(applied) = applied {
            applied
                .notable
                .as_deref()
                .inspect(|transition| log(transition));
        }
    }

    /// A thread knows which file it runs code of, not which plugin: every plugin of that file is told.
    pub(crate) fn record_thread_panic_in_file(
        &self,
        digest: &crate::verify::FileDigest,
        report: &FaultReport,
    ) {
        let of_file: Vec<u32> = self
            .registry
            .all()
            .filter(|cell| {
                let guarded = cell.lock();
                let loaded = guarded.loaded.as_ref();
                loaded.is_some_and(|loaded| loaded.library.digest == *digest)
            })
            .map(|cell| cell.index)
            .collect();
        for index in of_file {
            self.record_thread_panic(index, report);
        }
    }
}

thread_local! {
    /// How many [`HeldLog`]s this thread has, and what was not said because of them.
    static HELD: RefCell<(usize, Vec<Transition>)> = const { RefCell::new((0, Vec::new())) };
}

/// Keeps back what this thread would log, until the last of these is dropped.
pub(crate) struct HeldLog(PhantomData<*const ()>);

/// Keeps back what this thread would log while something is held or owed that a listener might wait for.
pub(crate) fn hold_log() -> HeldLog {
    HELD.with_borrow_mut(|(holds, _)| *holds += 1);
    HeldLog(PhantomData)
}

impl Drop for HeldLog {
    fn drop(&mut self) {
        let said = HELD.with_borrow_mut(|(holds, said)| {
            *holds -= 1;
            if *holds == 0 {
                std::mem::take(said)
            } else {
                Vec::new()
            }
        });
        for transition in &said {
            say(transition);
        }
    }
}

/// Tells the embedder's subscriber of a transition, under a target of its own, so that who shows transitions in another way
/// can leave these lines out and keep the others. Never called inside a lock: what listens may ask the engine.
pub(crate) fn log(transition: &Transition) {
    let kept = HELD.with_borrow_mut(|(holds, said)| {
        if *holds > 0 {
            said.push(transition.clone());
        }
        *holds > 0
    });
    if !kept {
        say(transition);
    }
}

fn say(transition: &Transition) {
    let Transition {
        id,
        from,
        to,
        cause,
        ..
    } = transition;
    let Some(error) = &transition.error else {
        tracing::info!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, "transition");
        return;
    };
    let error = error.as_ref();
    // Said loudly the first time; a plugin that goes on failing says so in its snapshot and its history.
    if error.consecutive <= 1 || *cause == Cause::FailedPermanently {
        tracing::warn!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, %error, "transition");
    } else {
        tracing::debug!(target: "plugin_engine::transitions", plugin = %id, %from, %to, %cause, %error, "transition");
    }
}
