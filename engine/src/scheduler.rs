//! Update cycles, driven by the embedder one by one or by a run that waits for the next tick.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::Moment;

use crate::executor::{Batch, CycleReport};
use crate::shared::Shared;
use crate::supervisor::{Entry, IfTaken, SuperviseError, TaskContext, TaskHandle};

const NAME: &str = "plugin-scheduler";

/// A cycle that was started. Dropping it does not stop it.
///
/// ```
/// use std::time::Duration;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// let cycle = engine.start_cycle();
/// let so_far = cycle.report();
/// let after_a_while = cycle.wait_within(Duration::from_millis(5));
/// let at_last = cycle.wait();
/// assert!(so_far.completed <= after_a_while.completed);
/// assert_eq!(at_last.due, 0, "nothing is loaded");
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Clone)]
pub struct Cycle {
    batch: Arc<Batch>,
}

impl Cycle {
    /// Waits until every call of the cycle has ended or passed its deadline.
    #[must_use]
    pub fn wait(&self) -> CycleReport {
        self.batch.wait()
    }

    /// [`Cycle::wait`], but no longer than `limit` of real time; the report then tells of what has ended so far.
    #[must_use]
    pub fn wait_within(&self, limit: Duration) -> CycleReport {
        self.batch.wait_within(limit)
    }

    /// The report as it stands.
    #[must_use]
    pub fn report(&self) -> CycleReport {
        self.batch.report()
    }
}

impl std::fmt::Debug for Cycle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Cycle")
            .field("report", &self.report())
            .finish()
    }
}

/// Starts one cycle: takes the ticks that have come and hands their plugins to the workers.
pub(crate) fn start_cycle(engine: &Arc<Shared>) -> Cycle {
    engine.board.ledger.time.look_at_wall();
    engine.board.crashes.follow(&engine.board.ledger.time);
    let now = engine.board.ledger.time.now();
    let mut due = Vec::new();
    if !engine.board.stopping.load(Ordering::Relaxed) {
        engine.board.ledger.timers.lock().take_due(now, &mut due);
        #[cfg(feature = "simulation")]
        crate::simulation::tampered_due(&mut due);
    }
    let at = engine.board.ledger.time.wall_at(now);
    let batch = engine.executor.batch(due, now, at);
    if batch.len() > 0 {
        engine.executor.submit(&batch);
    }
    Cycle { batch }
}

/// When a run ends by itself.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum RunLimit {
    /// Only when it is told to.
    Stopped,
    /// After so many cycles in which at least one plugin was due; waits for the last one's calls.
    Cycles(u64),
    /// After so much time of the engine's clock.
    For(Duration),
}

/// Runs cycles on this thread until `limit` or until [`stop`]. Returns how many cycles had plugins due.
pub(crate) fn run(engine: &Arc<Shared>, limit: RunLimit, stops_before: u64) -> u64 {
    let entry = match enter(engine) {
        Ok(entry) => entry,
        Err(error) => {
            tracing::error!(target: "plugin_engine", %error, "no cycles are run");
            return 0;
        }
    };
    let mut run = Run::new(engine, limit, stops_before);
    entry.run(|context| run.go(context));
    run.cycles
}

/// Starts a run on a thread of its own, which also ends when the task is cancelled.
pub(crate) fn start(engine: &Arc<Shared>) -> Result<TaskHandle, SuperviseError> {
    let entry = enter(engine)?;
    let handle = entry.handle();
    let stops = engine.board.ledger.run.stops.load(Ordering::SeqCst);
    let mut run = Run::new(engine, RunLimit::Stopped, stops);
    entry.spawn(NAME, move |context| run.go(context))?;
    Ok(handle)
}

/// Enters a run as a task. There may be several.
fn enter(engine: &Arc<Shared>) -> Result<Entry, SuperviseError> {
    let board = Arc::downgrade(&engine.board);
    let wake = move || {
        if let Some(board) = board.upgrade() {
            board.ledger.run.notify();
        }
    };
    engine.supervisor.enter(NAME, IfTaken::IsNumbered, wake)
}

/// A run, with what it has to know when it goes on after a panic.
struct Run {
    engine: Arc<Shared>,
    limit: RunLimit,
    end: Moment,
    stops_before: u64,
    cycles: u64,
    last: Option<Cycle>,
}

impl Run {
    fn new(engine: &Arc<Shared>, limit: RunLimit, stops_before: u64) -> Self {
        let end = match limit {
            RunLimit::For(time) => engine.board.ledger.time.now().saturating_add(time),
            _ => Moment::FAR,
        };
        Self {
            engine: Arc::clone(engine),
            limit,
            end,
            stops_before,
            cycles: 0,
            last: None,
        }
    }

    fn go(&mut self, context: &TaskContext) {
        let engine = Arc::clone(&self.engine);
        let run = &engine.board.ledger.run;
        loop {
            let changes = *run.changes.lock();
            if self.is_over() || context.is_cancelled() {
                break;
            }
            context.round(|| {
                let cycle = start_cycle(&engine);
                if cycle.report().due > 0 {
                    self.cycles += 1;
                    self.last = Some(cycle);
                }
            });
            // The last of so many cycles is not followed by a wait for the next tick.
            if !self.is_over() {
                wait_for_tick(&engine, changes, self.end.min(context.next_beat()));
            }
        }
        if let (RunLimit::Cycles(_), Some(last)) = (self.limit, &self.last) {
            let _zone = context.protect();
            let _ = last.wait();
        }
    }

    fn is_over(&self) -> bool {
        let ledger = &self.engine.board.ledger;
        self.engine.board.stopping.load(Ordering::SeqCst)
            || ledger.run.stops.load(Ordering::SeqCst) != self.stops_before
            || ledger.time.now() >= self.end
            || self.limit == RunLimit::Cycles(self.cycles)
    }
}

/// Tells all runs of the engine to return.
pub(crate) fn stop(engine: &Shared) {
    engine.board.ledger.run.stops.fetch_add(1, Ordering::SeqCst);
    engine.board.ledger.run.notify();
}

/// Waits until the next tick, until `end`, or for a change that `changes` was read before.
fn wait_for_tick(engine: &Shared, changes: u64, end: Moment) {
    let until = {
        let timers = engine.board.ledger.timers.lock();
        let until = timers.next_due().unwrap_or(Moment::FAR).min(end);
        // Inside the lock of the timers, so that a tick which comes closer after this sees what is waited for.
        engine.board.ledger.run.begin_to_wait(until);
        until
    };
    let mut now_changes = engine.board.ledger.run.changes.lock();
    while *now_changes == changes {
        let wait = match until {
            Moment::FAR => None,
            until => engine.board.ledger.time.clock().real_time_until(until),
        };
        match wait {
            Some(Duration::ZERO) => break,
            Some(wait) => {
                let real = Instant::now().checked_add(wait);
                match real {
                    Some(real) => {
                        engine
                            .board
                            .ledger
                            .run
                            .changed
                            .wait_until(&mut now_changes, real);
                    }
                    None => engine.board.ledger.run.changed.wait(&mut now_changes),
                }
            }
            None => engine.board.ledger.run.changed.wait(&mut now_changes),
        }
    }
    drop(now_changes);
    let _timers = engine.board.ledger.timers.lock();
    engine.board.ledger.run.end_to_wait();
}
