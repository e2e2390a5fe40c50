//! The due plugins of one cycle, shared out among workers in chunks, and the report that adds up as they end.

use std::time::Duration;

use plugin_engine_core::{Moment, WallTime};

use crate::threading::{
    Mutex,
    atomic::{AtomicUsize, Ordering},
};
use crate::waiting::Condvar;

/// The most items that one worker takes at a time. A slow one gives the rest of its chunk away after a millisecond.
const CHUNK_LEN_MAX: usize = 64;

/// What came of one update cycle.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub struct CycleReport {
    /// Plugins whose tick had come.
    pub due: usize,
    /// Updates that completed.
    pub completed: usize,
    /// Updates that returned an error.
    pub failed: usize,
    /// Updates that passed their deadline, and those that could not be made because creating the instance anew did.
    pub timed_out: usize,
    /// Updates that panicked.
    pub panicked: usize,
    /// Ticks that led to no call: an earlier call has not returned, or a command is waiting.
    pub skipped: usize,
    /// When the cycle began.
    pub at: WallTime,
    /// How long it took, to the last end or deadline.
    pub duration: Duration,
}

impl CycleReport {
    fn settled(&self) -> usize {
        self.completed + self.failed + self.timed_out + self.panicked + self.skipped
    }
}

/// How one item ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Verdict {
    Completed,
    Failed,
    Panicked,
    Skipped,
    /// Its deadline passed; the watchdog has counted it already.
    Abandoned,
}

/// Verdicts of one worker that are not in the report yet: four numbers in one word, so that a worker adds with one
/// instruction on a line of its own, and the watchdog can take them away from under a worker that is stuck.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub(crate) struct Tally(pub(crate) u64);

impl Tally {
    pub(crate) fn one(verdict: Verdict) -> Self {
        Self(match verdict {
            Verdict::Completed => 1,
            Verdict::Failed => 1 << 16,
            Verdict::Panicked => 1 << 32,
            Verdict::Skipped => 1 << 48,
            Verdict::Abandoned => 0,
        })
    }

    fn parts(self) -> [usize; 4] {
        [0, 16, 32, 48].map(|shift| (self.0 >> shift & 0xffff) as usize)
    }
}

/// The due plugins of one cycle.
pub(crate) struct Batch {
    items: Vec<u32>,
    /// How many of them, the first ones, are shared out in chunks; the others are known to be slow, and taken one by one.
    quick: usize,
    next: AtomicUsize,
    chunk: usize,
    began: Moment,
    report: Mutex<CycleReport>,
    done: Condvar,
}

impl Batch {
    /// A batch of plugins of which the first `quick` are not known to be slow.
    pub(crate) fn new(
        items: Vec<u32>,
        quick: usize,
        workers: usize,
        began: Moment,
        at: WallTime,
    ) -> Self {
        let due = items.len();
        Self {
            // Eight chunks per worker even out what one takes longer than another.
            chunk: (quick / (workers * 8)).clamp(1, CHUNK_LEN_MAX),
            items,
            quick,
            next: AtomicUsize::new(0),
            began,
            report: Mutex::new(CycleReport {
                due,
                at,
                ..CycleReport::default()
            }),
            done: Condvar::new(),
        }
    }

    pub(crate) fn len(&self) -> usize {
        self.items.len()
    }

    pub(crate) fn item(&self, at: u32) -> Option<u32> {
        self.items.get(at as usize).copied()
    }

    /// The items that are known to be slow.
    pub(crate) fn slow(&self) -> (u32, u32) {
        (self.quick as u32, self.items.len() as u32)
    }

    /// The next chunk that nobody has taken, of those that are not known to be slow.
    pub(crate) fn take_chunk(&self) -> Option<(u32, u32)> {
        let low = self.next.fetch_add(self.chunk, Ordering::Relaxed);
        let high = (low + self.chunk).min(self.quick);
        (low < high).then_some((low as u32, high as u32))
    }

    /// Whether chunks are left to take.
    pub(crate) fn has_more(&self) -> bool {
        self.next.load(Ordering::Relaxed) < self.quick
    }

    /// Adds verdicts to the report; the last one ends the cycle.
    pub(crate) fn settle(&self, tally: Tally, timed_out: usize, now: impl FnOnce() -> Moment) {
        let [completed, failed, panicked, skipped] = tally.parts();
        let mut report = self.report.lock();
        // A worker that comes back later has nothing more to add: how long the cycle took stays.
        let had_ended = report.settled() >= report.due;
        report.completed += completed;
        report.failed += failed;
        report.panicked += panicked;
        report.skipped += skipped;
        report.timed_out += timed_out;
        if !had_ended && report.settled() >= report.due {
            report.duration = now().saturating_since(self.began);
            drop(report);
            self.done.notify_all();
        }
    }

    /// The report as it stands.
    pub(crate) fn report(&self) -> CycleReport {
        *self.report.lock()
    }

    /// Waits for the ends or the deadlines of all calls.
    pub(crate) fn wait(&self) -> CycleReport {
        let mut report = self.report.lock();
        while report.settled() < report.due {
            self.done.wait(&mut report);
        }
        *report
    }

    /// [`Batch::wait`], no longer than `limit` of real time.
    pub(crate) fn wait_within(&self, limit: Duration) -> CycleReport {
        let until = std::time::Instant::now().checked_add(limit);
        let mut report = self.report.lock();
        while report.settled() < report.due {
            match until {
                Some(until) if self.done.wait_until(&mut report, until).timed_out() => break,
                Some(_) => {}
                None => self.done.wait(&mut report),
            }
        }
        *report
    }
}

// Some of these wait on threads of the system, which are no part of any model.
#[cfg(all(test, not(any(loom, shuttle))))]
#[path = "batch_tests.rs"]
mod tests;
