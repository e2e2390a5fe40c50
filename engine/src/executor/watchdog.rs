//! The watchdog: samples what workers are calling, relieves those that are slow, and abandons calls whose deadline has passed.
//!
//! It sleeps a millisecond at a time while anybody works, and deeply (until the next deadline, or until it is woken) while
//! nobody does but those whose calls are known to be slow.

use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::{AbandonReason, CallId, Event, Moment, Transition};

use super::Executor;
use super::batch::Tally;
use super::slot::{OnBehalf, Sample};
use crate::error::Error;
use crate::supervisor::{IfTaken, Supervisor, TaskContext};
use crate::threading::{
    Mutex, MutexGuard, OnceLock,
    atomic::{AtomicBool, Ordering},
    thread,
};
use crate::transition_log::log;
use crate::waiting;

const NAME: &str = "plugin-watchdog";
/// A call that has lasted this long is slow: its worker's share goes to others.
const SLOW: Duration = Duration::from_millis(1);
/// How many looks in a row must find nobody at work before the watchdog sleeps deeply. Waking it costs a system call.
const QUIET_LOOKS: u32 = 2;

/// What there is of the watchdog beside its thread.
#[derive(Default)]
pub(crate) struct Watchdog {
    seen: Mutex<Vec<Seen>>,
    thread: OnceLock<thread::Thread>,
    /// Whether the thread sleeps longer than a millisecond.
    deep: AtomicBool,
    ended: AtomicBool,
}

/// What was seen in a slot the last time.
#[derive(Clone, Copy)]
struct Seen {
    ticket: u64,
    at: Instant,
    abandoned: bool,
}

/// When to look again.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Next {
    /// Somebody is at work.
    Soon,
    /// Only calls that are known to be slow are in flight, and this is the nearest of their deadlines.
    At(Moment),
    /// Nothing has a deadline.
    Whenever,
}

impl Watchdog {
    /// Wakes the thread. Cheap enough for anything but the way of a good update.
    pub(crate) fn wake(&self) {
        self.deep.store(false, Ordering::SeqCst);
        if let Some(thread) = self.thread.get() {
            thread.unpark();
        }
    }

    /// Wakes the thread if it sleeps deeply. One load if it does not.
    #[inline]
    pub(crate) fn wake_if_deep(&self) {
        if self.deep.load(Ordering::SeqCst) {
            self.wake();
        }
    }

    /// Ends the thread.
    pub(crate) fn end(&self) {
        self.ended.store(true, Ordering::SeqCst);
        self.wake();
    }

    /// Looks at all slots once. On the watchdog's thread, or on that of whoever moves a manual clock.
    pub(crate) fn sweep(&self, executor: &Arc<Executor>) {
        let _ = self.look(executor);
    }

    fn look(&self, executor: &Arc<Executor>) -> Next {
        let used = executor.slots_used.load(Ordering::Relaxed);
        let now = executor.board.ledger.time.now();
        let real_now = waiting::now();
        let mut next = Next::Whenever;
        let mut slow = Vec::new();
        let mut overdue = Vec::new();
        let mut seen = self.seen.lock();
        let nothing = Seen {
            ticket: 0,
            at: real_now,
            abandoned: false,
        };
        let len = used.max(seen.len());
        seen.resize(len, nothing);
        for (index, (slot, seen)) in executor.slots.iter().zip(seen.iter_mut()).enumerate() {
            let Some(sample) = slot.sample() else {
                if slot.busy.load(Ordering::Relaxed) {
                    next = Next::Soon;
                }
                continue;
            };
            if seen.ticket != sample.ticket {
                *seen = Seen {
                    ticket: sample.ticket,
                    at: real_now,
                    abandoned: false,
                };
            }
            if !slot.has_proved_slow() {
                next = Next::Soon;
                if real_now.duration_since(seen.at) >= SLOW {
                    slow.push((index, sample.ticket));
                }
            }
            if seen.abandoned {
                continue;
            }
            if sample.deadline <= now {
                overdue.push((index, sample));
            } else if sample.deadline < Moment::FAR {
                next = match next {
                    Next::Soon => Next::Soon,
                    Next::At(other) => Next::At(other.min(sample.deadline)),
                    Next::Whenever => Next::At(sample.deadline),
                };
            }
        }
        drop(seen);
        for (index, ticket) in slow {
            executor.relieve(index, ticket);
        }
        for (index, sample) in overdue {
            abandon(executor, index, sample);
            // Only now: what a look has begun and not ended, because of a panic, is done by the next one.
            if let Some(seen) = self.seen.lock().get_mut(index) {
                seen.abandoned |= seen.ticket == sample.ticket;
            }
        }
        executor.tend();
        next
    }

    fn is_anybody_fast_at_work(&self, executor: &Executor) -> bool {
        let used = executor.slots_used.load(Ordering::Relaxed);
        executor.slots[..used.min(executor.slots.len())]
            .iter()
            .any(|slot| slot.busy.load(Ordering::SeqCst) && !slot.has_proved_slow())
    }
}

/// Records that a call's deadline has passed, unless it has ended meanwhile.
fn abandon(executor: &Arc<Executor>, index: usize, sample: Sample) {
    let Some(cell) = executor.board.registry.at(sample.cell) else {
        return;
    };
    let guarded = cell.lock();
    let now = executor.board.ledger.time.now();
    let overdue = guarded.machine.in_flight().is_some_and(|call| {
        let limit = guarded.machine.limits().of(call.call);
        call.id == sample.call && call.started.saturating_add(limit) <= now
    });
    if !overdue {
        return;
    }
    let why = AbandonReason::Deadline;
    for news in settle_abandoned(executor, cell, guarded, index, sample.call, why) {
        executor.tell_of(Box::new(news));
    }
}

/// Abandons a call and tells whoever waits for it. What the embedder's subscriber is to be told comes back, to be told last:
/// who listens may want a command of this plugin, whose turn somebody had who was told just now. `guarded` is the lock of `cell`, in which the call is in flight.
fn settle_abandoned(
    executor: &Arc<Executor>,
    cell: &crate::cell::Cell,
    mut guarded: MutexGuard<'_, crate::cell::Guarded>,
    index: usize,
    id: CallId,
    why: AbandonReason,
) -> Vec<Transition> {
    let now = executor.board.ledger.time.now();
    let applied = cell.apply(
        &executor.board.ledger,
        &mut guarded,
        now,
        Event::Abandoned { id, why },
    );
    let Ok(applied) = applied else {
        return Vec::new();
    };
    if let Some(host) = &guarded.heard {
        host.stop_listening(id);
    }
    // Read inside the lock: the worker needs it to end the call, so it still works for whom it worked for when it began.
    let slot = &executor.slots[index];
    let on_behalf = slot.on_behalf();
    let counted = slot.is_counted.load(Ordering::SeqCst);
    drop(guarded);
    match on_behalf {
        OnBehalf::Cycle(batch) if !counted => {
            batch.settle(Tally::default(), 1, || executor.board.ledger.time.now());
        }
        OnBehalf::Cycle(_) | OnBehalf::Nobody => {}
        OnBehalf::Command(waiter) => waiter.tell(super::TaskEnd::Abandoned),
    }
    applied.into_news().collect()
}

/// Abandons every call that is still in flight, deadline or not, because the engine shuts down.
pub(crate) fn abandon_all(executor: &Arc<Executor>) {
    for (index, slot) in executor.slots.iter().enumerate() {
        let Some(sample) = slot.sample() else {
            continue;
        };
        let Some(cell) = executor.board.registry.at(sample.cell) else {
            continue;
        };
        let guarded = cell.lock();
        let why = AbandonReason::ShutDown;
        for news in settle_abandoned(executor, cell, guarded, index, sample.call, why) {
            log(&news);
        }
    }
}

/// Starts the watchdog's thread.
pub(super) fn start(executor: &Arc<Executor>, supervisor: &Supervisor) -> Result<(), Error> {
    let weak = Arc::downgrade(executor);
    let wake = move || {
        if let Some(executor) = weak.upgrade() {
            executor.watchdog.wake();
        }
    };
    let entry = supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    let shared = Arc::clone(executor);
    entry.spawn(NAME, move |context| run(&shared, context))?;
    Ok(())
}

fn run(executor: &Arc<Executor>, context: &TaskContext) {
    let watchdog = &executor.watchdog;
    // The same thread, if this is not the first run.
    let _ = watchdog.thread.set(thread::current());
    watchdog.deep.store(false, Ordering::SeqCst);
    let mut quiet = 0;
    while !watchdog.ended.load(Ordering::SeqCst) {
        let next = context.round(|| watchdog.look(executor));
        quiet = if next == Next::Soon { 0 } else { quiet + 1 };
        if quiet < QUIET_LOOKS {
            thread::park_timeout(until(executor, next).unwrap_or(SLOW).min(SLOW));
            continue;
        }
        watchdog.deep.store(true, Ordering::SeqCst);
        // Looked at after the flag is set: a worker that begins now either is seen here, or sees the flag and wakes us.
        if watchdog.is_anybody_fast_at_work(executor) || watchdog.look(executor) == Next::Soon {
            watchdog.deep.store(false, Ordering::SeqCst);
            continue;
        }
        let waits = until(executor, next).into_iter().chain(context.beat());
        match waits.min() {
            Some(wait) => thread::park_timeout(wait),
            None => thread::park(),
        }
        watchdog.deep.store(false, Ordering::SeqCst);
    }
}

/// How long to sleep, in real time; `None` until woken.
fn until(executor: &Executor, next: Next) -> Option<Duration> {
    match next {
        Next::Soon => Some(SLOW),
        Next::At(deadline) => executor.board.ledger.time.clock().real_time_until(deadline),
        Next::Whenever => None,
    }
}

#[cfg(all(test, not(any(loom, shuttle))))]
#[path = "watchdog_tests.rs"]
mod tests;
