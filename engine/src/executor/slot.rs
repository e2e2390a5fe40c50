//! One worker's slot: what it is calling, and what is left of its share. Written by the worker, sampled by the watchdog.
//!
//! The fields of a call lie between two stores of the ticket, as in a sequence lock: a sample counts only if the ticket
//! was the same before and after. Beginning and ending a call costs five plain stores on a line that no other worker uses.

use std::sync::Arc;

use plugin_engine_core::{CallId, Moment};

use super::batch::{Batch, Tally, Verdict};
use crate::instance::CallTicket;
use crate::joining::{Ran, Thread};
use crate::threading::{
    Mutex,
    atomic::{AtomicBool, AtomicU32, AtomicU64, Ordering, fence},
};
use crate::waiting::{self, Condvar};

/// A slot. Aligned to two cache lines, because processors fetch them in pairs.
#[derive(Default)]
#[repr(align(128))]
pub(crate) struct Slot {
    /// The number of the call in this slot; 0 while none is in flight.
    ticket: AtomicU64,
    last_ticket: AtomicU64,
    cell: AtomicU32,
    call: AtomicU64,
    deadline_ns: AtomicU64,
    /// What is left of the worker's chunk: the next item and the end, in one word.
    range: AtomicU64,
    /// The verdicts of the chunk so far. Written by the worker alone, so without a locked instruction.
    tally: AtomicU64,
    /// What of the tally is in the report already.
    reported: Mutex<Tally>,
    /// Set by the watchdog when a call has lasted a millisecond, cleared by the worker.
    slow: AtomicBool,
    /// Whether the worker counts as slow because its plugin was slow the last time, and has not been so for a millisecond yet. Changed inside the
    /// lock of the queue.
    foreseen: AtomicBool,
    /// Whether the worker is at work, so that the watchdog must not sleep deeply.
    pub(crate) busy: AtomicBool,
    /// Whether the item that the worker is at has been counted, and only cleaning up after it is left.
    pub(crate) is_counted: AtomicBool,
    /// What the worker waits on, with the lock of the queue, while there is no work.
    pub(crate) work_came: Condvar,
    /// For whom the worker works.
    on_behalf: Mutex<OnBehalf>,
    /// Whose code the worker has run. Written by the worker alone.
    pub(crate) ran: Ran,
    /// Whether the worker has to leave instead of looking for work. Changed inside the lock of the queue.
    pub(crate) leaves: AtomicBool,
    /// The worker, while there is one.
    pub(crate) thread: Mutex<Option<Thread>>,
}

/// For whom a worker works: whom to tell if its call is abandoned.
#[derive(Clone, Default)]
pub(crate) enum OnBehalf {
    #[default]
    Nobody,
    Cycle(Arc<Batch>),
    Command(Arc<Waiter>),
}

/// A call as the watchdog sees it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Sample {
    pub(crate) ticket: u64,
    pub(crate) cell: u32,
    pub(crate) call: CallId,
    pub(crate) deadline: Moment,
}

fn pack((low, high): (u32, u32)) -> u64 {
    u64::from(low) << 32 | u64::from(high)
}

fn unpack(range: u64) -> (u32, u32) {
    ((range >> 32) as u32, range as u32)
}

impl Slot {
    /// Says which call begins. By the worker.
    #[inline]
    pub(crate) fn begin(&self, cell: u32, ticket: CallTicket) {
        let number = self.last_ticket.load(Ordering::Relaxed) + 1;
        self.last_ticket.store(number, Ordering::Relaxed);
        // Orders the end of the call before, ticket 0, before the fields of this one.
        fence(Ordering::Release);
        self.cell.store(cell, Ordering::Relaxed);
        self.call.store(ticket.id.0, Ordering::Relaxed);
        self.deadline_ns
            .store(ticket.deadline.as_nanos(), Ordering::Relaxed);
        self.ticket.store(number, Ordering::Release);
    }

    /// Says that the call has returned. By the worker.
    #[inline]
    pub(crate) fn end(&self) {
        self.ticket.store(0, Ordering::Release);
    }

    /// What the worker is calling, if anything. By anybody.
    pub(crate) fn sample(&self) -> Option<Sample> {
        let ticket = self.ticket.load(Ordering::Acquire);
        if ticket == 0 {
            return None;
        }
        let sample = Sample {
            ticket,
            cell: self.cell.load(Ordering::Relaxed),
            call: CallId(self.call.load(Ordering::Relaxed)),
            deadline: Moment::from_nanos(self.deadline_ns.load(Ordering::Relaxed)),
        };
        fence(Ordering::Acquire);
        (self.ticket.load(Ordering::Relaxed) == ticket).then_some(sample)
    }

    pub(crate) fn set_range(&self, range: (u32, u32)) {
        self.range.store(pack(range), Ordering::Release);
    }

    /// The next item of the chunk. By the worker.
    #[inline]
    pub(crate) fn next_item(&self) -> Option<u32> {
        let mut range = self.range.load(Ordering::Acquire);
        loop {
            let (low, high) = unpack(range);
            if low >= high {
                return None;
            }
            match self.range.compare_exchange_weak(
                range,
                pack((low + 1, high)),
                Ordering::AcqRel,
                Ordering::Acquire,
            ) {
                Ok(_) => return Some(low),
                Err(now) => range = now,
            }
        }
    }

    /// Takes what is left of the chunk. By the watchdog.
    pub(crate) fn take_rest(&self) -> Option<(u32, u32)> {
        let (low, high) = unpack(self.range.swap(0, Ordering::AcqRel));
        (low < high).then_some((low, high))
    }

    /// Counts a verdict. By the worker.
    #[inline]
    pub(crate) fn count(&self, verdict: Verdict) {
        let tally = self.tally.load(Ordering::Relaxed) + Tally::one(verdict).0;
        self.tally.store(tally, Ordering::Release);
    }

    /// Takes the verdicts that are not in the report yet, from a worker that is stuck. By anybody.
    pub(crate) fn take_tally(&self) -> Tally {
        let mut reported = self.reported.lock();
        let tally = self.tally.load(Ordering::Acquire);
        // Each of the four numbers only grows within a chunk, so none borrows from the next.
        let new = Tally(tally - reported.0);
        *reported = Tally(tally);
        new
    }

    /// Takes what is left of the verdicts at the end of a chunk, and begins anew. By the worker.
    pub(crate) fn finish_tally(&self) -> Tally {
        let mut reported = self.reported.lock();
        let new = Tally(self.tally.load(Ordering::Relaxed) - reported.0);
        self.tally.store(0, Ordering::Release);
        *reported = Tally::default();
        new
    }

    #[inline]
    pub(crate) fn is_slow(&self) -> bool {
        self.slow.load(Ordering::Relaxed)
    }

    /// Only inside the lock of the queue, which counts the slow ones.
    pub(crate) fn set_slow(&self, slow: bool) {
        self.slow.store(slow, Ordering::Relaxed);
    }

    /// Whether it only counts as slow, because of the last time.
    pub(crate) fn is_foreseen(&self) -> bool {
        self.foreseen.load(Ordering::Relaxed)
    }

    /// Whether the call in it has lasted a millisecond, so that its worker is waited for no more.
    pub(crate) fn has_proved_slow(&self) -> bool {
        self.is_slow() && !self.is_foreseen()
    }

    /// Only inside the lock of the queue, which counts them.
    pub(crate) fn set_foreseen(&self, foreseen: bool) {
        self.foreseen.store(foreseen, Ordering::Relaxed);
    }

    pub(crate) fn work_for(&self, whom: OnBehalf) {
        *self.on_behalf.lock() = whom;
    }

    pub(crate) fn on_behalf(&self) -> OnBehalf {
        self.on_behalf.lock().clone()
    }
}

/// What a command waits on: the end of its call, or its deadline.
#[derive(Default)]
pub(crate) struct Waiter {
    end: Mutex<Option<TaskEnd>>,
    told: Condvar,
}

/// How a command's call ended.
#[derive(Debug, Clone)]
pub(crate) enum TaskEnd {
    /// It returned, and its result counts.
    Ended(Verdict, Option<plugin_api::View>),
    /// It was not made, because the plugin's state had changed.
    NotMade(plugin_engine_core::RejectReason),
    /// Its deadline passed.
    Abandoned,
    /// No thread could be had for it.
    Refused,
}

impl Waiter {
    /// Tells how it ended. What is told later is not heard.
    pub(crate) fn tell(&self, end: TaskEnd) {
        self.end.lock().get_or_insert(end);
        self.told.notify_all();
    }

    pub(crate) fn wait(&self) -> TaskEnd {
        let mut end = self.end.lock();
        loop {
            if let Some(end) = &*end {
                return end.clone();
            }
            self.told.wait(&mut end);
        }
    }

    /// [`Waiter::wait`], until a moment of real time.
    pub(crate) fn wait_until(&self, until: std::time::Instant) -> Option<TaskEnd> {
        let mut end = self.end.lock();
        while end.is_none() {
            if self.told.wait_until(&mut end, until).timed_out() {
                break;
            }
        }
        end.clone()
    }

    /// [`Waiter::wait_until`] by looking again and again, for a shutdown: the first wait of a thread registers a thread-local value, for
    /// which the system's loader has to be free, and an unmap that hangs holds it.
    pub(crate) fn look_until(&self, until: std::time::Instant) {
        const LOOK_EVERY: std::time::Duration = std::time::Duration::from_micros(200);
        while self.end.lock().is_none() && waiting::now() < until {
            waiting::sleep(LOOK_EVERY);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ticket(id: u64) -> CallTicket {
        CallTicket {
            id: CallId(id),
            since: Moment::ZERO,
            deadline: Moment::from_nanos(7),
        }
    }

    #[test]
    fn a_sample_is_of_the_call_that_has_begun_and_not_ended() {
        let slot = Slot::default();
        assert_eq!(slot.sample(), None);
        slot.begin(3, ticket(5));
        let first = slot.sample().unwrap();
        assert_eq!((first.cell, first.call), (3, CallId(5)));
        assert_eq!(first.deadline, Moment::from_nanos(7));
        slot.end();
        assert_eq!(slot.sample(), None);
        slot.begin(3, ticket(5));
        assert_ne!(slot.sample().unwrap().ticket, first.ticket, "another call");
    }

    #[test]
    fn what_nobody_has_begun_of_a_chunk_can_be_taken_once() {
        let slot = Slot::default();
        slot.set_range((3, 6));
        assert_eq!(slot.next_item(), Some(3));
        assert_eq!(slot.take_rest(), Some((4, 6)));
        assert_eq!((slot.take_rest(), slot.next_item()), (None, None));
        slot.set_range((8, 9));
        assert_eq!((slot.next_item(), slot.next_item()), (Some(8), None));
        assert_eq!(slot.take_rest(), None);
    }

    #[test]
    fn every_verdict_is_taken_once_by_whoever_comes_first() {
        let slot = Slot::default();
        slot.count(Verdict::Completed);
        slot.count(Verdict::Completed);
        slot.count(Verdict::Failed);
        assert_eq!(slot.take_tally(), Tally(2 | 1 << 16));
        assert_eq!(slot.take_tally(), Tally(0));
        slot.count(Verdict::Panicked);
        assert_eq!(slot.finish_tally(), Tally(1 << 32));
        assert_eq!(slot.finish_tally(), Tally(0));
        slot.count(Verdict::Skipped);
        assert_eq!(slot.take_tally(), Tally(1 << 48));
    }

    #[test]
    fn a_slot_is_slow_for_as_long_as_that_is_said() {
        let slot = Slot::default();
        assert!(!slot.is_slow());
        slot.set_slow(true);
        assert!(slot.is_slow());
        slot.set_slow(false);
        assert!(!slot.is_slow());
    }

    #[test]
    fn who_waits_hears_the_first_end_and_none_that_is_told_later() {
        let waiter = Waiter::default();
        let over = std::time::Instant::now();
        assert!(waiter.wait_until(over).is_none(), "nothing was told");
        waiter.tell(TaskEnd::Abandoned);
        waiter.tell(TaskEnd::Refused);
        assert!(matches!(waiter.wait(), TaskEnd::Abandoned));
        let told = waiter.wait_until(over);
        assert!(matches!(told, Some(TaskEnd::Abandoned)), "{told:?}");
    }
}
