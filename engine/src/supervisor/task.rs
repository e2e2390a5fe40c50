//! One task: where it stands, and how it is told to look or to end. The same for threads and futures.

use std::cell::Cell;
use std::future::Future;
use std::pin::Pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::task::Waker;
use std::time::Instant;

use plugin_engine_core::{Moment, TaskEnd, TaskId, TaskKind};
use tokio::sync::Notify;

use super::context::TaskContext;
use super::pulse::Pulse;
use super::{LOOK_EVERY, panics};
use crate::joining::Thread;
use crate::threading::atomic::AtomicBool;
use crate::threading::{Mutex, MutexGuard};
use crate::waiting::{self, Condvar};

thread_local! {
    /// The number of the run whose loop is on this thread just now; 0 for none.
    static CURRENT: Cell<u64> = const { Cell::new(0) };
}

#[cfg(feature = "simulation")]
pub(crate) fn swap_local(other: &mut u64) {
    *other = CURRENT.replace(*other);
}

/// The number of the last run of any task of the process.
static LAST_RUN: AtomicU64 = AtomicU64::new(0);

/// Ends the wait that a task of the engine is in.
pub(super) type Wake = Option<Box<dyn Fn() + Send + Sync>>;

/// A future that is being run.
pub(super) type Running = Pin<Box<dyn Future<Output = ()> + Send>>;

/// One task.
pub(super) struct Task {
    pub(super) name: Box<str>,
    pub(super) id: TaskId,
    pub(super) kind: TaskKind,
    pub(super) pulse: Arc<Pulse>,
    is_cancelled: AtomicBool,
    standing: Mutex<Standing>,
    changed: Condvar,
    /// [`Task::changed`] for those that wait in a future.
    pub(super) rang: Notify,
    wake: Wake,
    /// The thread that was started for it.
    thread: Mutex<Option<Thread>>,
    /// The future while it is neither being polled nor gone, so that it can be dropped at once when the task is cancelled.
    pub(super) future: Mutex<Option<Running>>,
    /// Who polls it.
    pub(super) poller: Mutex<Option<Waker>>,
    pub(super) is_future: AtomicBool,
}

struct Standing {
    /// The number of its run, of all runs of the process.
    number: u64,
    runs: u32,
    phase: Phase,
}

/// Where a task stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Phase {
    Running,
    Waiting { until: Moment },
    Over(TaskEnd),
}

impl Task {
    pub(super) fn new(
        name: &str,
        id: TaskId,
        kind: TaskKind,
        pulse: &Arc<Pulse>,
        wake: Wake,
    ) -> Self {
        Self {
            name: name.into(),
            id,
            kind,
            pulse: Arc::clone(pulse),
            is_cancelled: AtomicBool::new(false),
            standing: Mutex::new(Standing {
                number: next_number(),
                runs: 0,
                phase: Phase::Running,
            }),
            changed: Condvar::new(),
            rang: Notify::new(),
            wake,
            thread: Mutex::default(),
            future: Mutex::default(),
            poller: Mutex::default(),
            is_future: AtomicBool::new(false),
        }
    }

    pub(super) fn phase(&self) -> Phase {
        self.standing.lock().phase
    }

    pub(super) fn restarts(&self) -> u32 {
        self.standing.lock().runs.saturating_sub(1)
    }

    /// Why it is over, if it is.
    pub(super) fn end(&self) -> Option<TaskEnd> {
        match self.phase() {
            Phase::Over(end) => Some(end),
            Phase::Running | Phase::Waiting { .. } => None,
        }
    }

    #[inline]
    pub(super) fn is_cancelled(&self) -> bool {
        self.is_cancelled.load(Ordering::SeqCst)
    }

    /// Begins a run. `None` if the task was told to end.
    pub(super) fn begin(self: &Arc<Self>) -> Option<TaskContext> {
        let mut standing = self.standing.lock();
        if self.is_cancelled() || matches!(standing.phase, Phase::Over(_)) {
            return None;
        }
        standing.runs = standing.runs.saturating_add(1);
        standing.number = next_number();
        standing.phase = Phase::Running;
        let number = standing.number;
        let run = self.pulse.liveness.lock().begin(self.id);
        drop(standing);
        Some(TaskContext::new(Arc::clone(self), run, number))
    }

    /// The run has panicked, and the next one begins at a moment.
    pub(super) fn pause(&self, context: &TaskContext, until: Moment) {
        let mut standing = self.standing.lock();
        if !matches!(standing.phase, Phase::Over(_)) {
            standing.phase = Phase::Waiting { until };
        }
        self.pulse.liveness.lock().pause(context.run);
    }

    /// The task is over. Whoever says so first says why.
    pub(super) fn finish(&self, end: TaskEnd) {
        let mut standing = self.standing.lock();
        if !matches!(standing.phase, Phase::Over(_)) {
            standing.phase = Phase::Over(end);
            self.pulse.liveness.lock().end(self.id, end);
        }
        drop(standing);
        self.changed.notify_all();
        self.rang.notify_waiters();
    }

    /// The task never ran: nothing is left of it.
    pub(super) fn forget(&self) {
        self.pulse.liveness.lock().forget(self.id);
        self.finish(TaskEnd::Cancelled);
    }

    /// Has whoever waits look: a loop that waits for time, for its end, or for whatever a task of the engine waits for.
    pub(super) fn ring(&self) {
        // Under the lock, so that nobody is between having looked and waiting.
        drop(self.standing.lock());
        self.changed.notify_all();
        self.rang.notify_waiters();
        if let Some(wake) = &self.wake {
            wake();
        }
    }

    /// Tells the task to end. A future that is not being polled just now is over when this returns; so is one that waits to be started
    /// again.
    pub(super) fn cancel(&self) {
        self.is_cancelled.store(true, Ordering::SeqCst);
        self.ring();
        let Some(mut slot) = self.future.try_lock() else {
            // Whoever polls it looks once more when that is done.
            self.wake_poller();
            return;
        };
        let future = slot.take();
        drop(slot);
        if self.is_future.load(Ordering::SeqCst) {
            self.drop_as_own(future);
            self.finish(TaskEnd::Cancelled);
            self.wake_poller();
        }
    }

    /// Drops what the task holds as its own loop does: that may be the last of an engine, which waits for all tasks but for one from within
    /// which it is dropped.
    pub(super) fn drop_as_own<T>(&self, held: T) {
        let number = self.standing.lock().number;
        as_current(number, || panics::dropped(held));
    }

    fn wake_poller(&self) {
        let poller = self.poller.lock().clone();
        if let Some(poller) = poller {
            poller.wake();
        }
    }

    /// Waits until a moment. `false` if the task was told to end before.
    pub(super) fn wait_until(&self, until: Moment) -> bool {
        let mut standing = self.standing.lock();
        loop {
            if self.is_cancelled() {
                return false;
            }
            if self.pulse.now() >= until {
                return true;
            }
            self.wait(&mut standing, until);
        }
    }

    /// Waits until the task is told to end.
    pub(super) fn wait_for_cancel(&self) {
        let mut standing = self.standing.lock();
        while !self.is_cancelled() {
            self.changed.wait(&mut standing);
        }
    }

    fn wait(&self, standing: &mut MutexGuard<'_, Standing>, until: Moment) {
        match self.pulse.real_time_until(until) {
            Some(wait) => {
                self.changed.wait_for(standing, wait);
            }
            None => self.changed.wait(standing),
        }
    }

    /// Keeps the thread that was started for it.
    pub(super) fn keep_thread(&self, thread: Thread) {
        *self.thread.lock() = Some(thread);
    }

    /// Waits until the task is over, and its thread has ended, no longer than until a moment. Says whether it has.
    pub(super) fn join(&self, until: Option<Instant>) -> bool {
        let mut standing = self.standing.lock();
        while !matches!(standing.phase, Phase::Over(_)) {
            let Some(until) = until else {
                self.changed.wait(&mut standing);
                continue;
            };
            if waiting::now() >= until {
                return false;
            }
            // Looked at again and again instead of waited for: the first wait of a thread registers a thread-local value, for which the
            // system's loader has to be free, and an unmap that hangs holds it. A shutdown must not.
            drop(standing);
            waiting::sleep(LOOK_EVERY);
            standing = self.standing.lock();
        }
        drop(standing);
        let mut thread = self.thread.lock();
        while let Some(started) = thread.as_mut()
            && !started.has_ended()
        {
            if until.is_some_and(|until| waiting::now() >= until) {
                // What is left of it is the end of its thread.
                return true;
            }
            waiting::sleep(LOOK_EVERY);
        }
        true
    }

    /// Whether this thread is in the loop of this task.
    pub(super) fn is_current(&self) -> bool {
        is_current(self.standing.lock().number)
    }
}

fn next_number() -> u64 {
    LAST_RUN.fetch_add(1, Ordering::Relaxed) + 1
}

/// Whether this thread is in the loop of any task.
pub(super) fn is_supervised() -> bool {
    CURRENT.try_with(Cell::get).is_ok_and(|run| run != 0)
}

pub(super) fn is_current(run: u64) -> bool {
    CURRENT.try_with(Cell::get) == Ok(run)
}

/// Does something as the loop of a run.
pub(super) fn as_current<R>(run: u64, act: impl FnOnce() -> R) -> R {
    struct Back(u64);
    impl Drop for Back {
        fn drop(&mut self) {
            CURRENT.set(self.0);
        }
    }
    let _back = Back(CURRENT.replace(run));
    act()
}
