//! Marks: on which thread the process came to its end, and how. All of this runs in signal handlers and at the exit, so it takes no lock,
//! allocates nothing and asks the system only what may be asked there. One of the few places with unsafe code.

use std::ptr::null_mut;
use std::sync::atomic::{AtomicPtr, AtomicU32, AtomicU64, Ordering, compiler_fence};

use crate::current;
use crate::layout::{How, MarkWords, ProcessWords};

/// How many records of one process are told of its end as a whole.
const RECORDS_MAX: usize = 16;

/// The records that are open. Null for none.
static OPEN: [AtomicPtr<ProcessWords>; RECORDS_MAX] =
    [const { AtomicPtr::new(null_mut()) }; RECORDS_MAX];
/// The process that has opened them. A child that a plugin has forked has the same memory, and its end says nothing.
static PROCESS: AtomicU32 = AtomicU32::new(0);
static LAST_ORDER: AtomicU64 = AtomicU64::new(0);

/// From now on the end of the process is marked in this record, too, unless there are too many.
pub(crate) fn open(record: *mut ProcessWords) {
    PROCESS.store(std::process::id(), Ordering::Release);
    let _ = OPEN.iter().find(|place| {
        place
            .compare_exchange(null_mut(), record, Ordering::AcqRel, Ordering::Relaxed)
            .is_ok()
    });
}

/// This record goes away.
pub(crate) fn close(record: *mut ProcessWords) {
    for place in &OPEN {
        let _ = place.compare_exchange(record, null_mut(), Ordering::AcqRel, Ordering::Relaxed);
    }
}

fn open_records() -> impl Iterator<Item = &'static ProcessWords> {
    OPEN.iter().filter_map(|place| {
        // SAFETY: a record takes itself out before it unmaps what this points to. A handler that runs on another thread at that very
        // moment may come too late for that, in a process that is about to end by that handler's signal anyway.
        unsafe { place.load(Ordering::Acquire).as_ref() }
    })
}

/// The system's number of this thread.
pub(crate) fn this_thread() -> u32 {
    // SAFETY: asks for a number, and nothing else.
    unsafe { libc::gettid() }.cast_unsigned()
}

/// Whether this is the process that has opened the records, and not a child that was forked off it.
fn is_this_process() -> bool {
    // SAFETY: asks for a number, and nothing else.
    let pid = unsafe { libc::getpid() }.cast_unsigned();
    pid == PROCESS.load(Ordering::Acquire)
}

/// The time of day, in nanoseconds since 1970.
fn wall_ns() -> u64 {
    let mut time = libc::timespec {
        tv_sec: 0,
        tv_nsec: 0,
    };
    // SAFETY: the address is that of a value on this stack. May be called in a signal handler.
    let result = unsafe { libc::clock_gettime(libc::CLOCK_REALTIME, &raw mut time) };
    if result != 0 {
        return 0;
    }
    let (seconds, nanos) = (time.tv_sec.cast_unsigned(), time.tv_nsec.cast_unsigned());
    seconds.wrapping_mul(1_000_000_000).wrapping_add(nanos)
}

fn write(mark: &MarkWords, of: u64, order: u64, how: How, at: u64) {
    mark.order.store(order, Ordering::Relaxed);
    mark.how.store(how.word(), Ordering::Relaxed);
    mark.at.store(at, Ordering::Relaxed);
    compiler_fence(Ordering::Release);
    mark.of.store(of, Ordering::Release);
}

/// Marks that the process comes to its end on this thread. The first mark of a call stays: what follows from an end that has begun (an
/// abort after an overflow of the stack was told) is not why.
pub(crate) fn mark(how: How) {
    if !is_this_process() {
        return;
    }
    let order = LAST_ORDER.fetch_add(1, Ordering::Relaxed) + 1;
    let at = wall_ns();
    for process in open_records() {
        if process.mark.of.load(Ordering::Relaxed) == 0 {
            process
                .thread
                .store(u64::from(this_thread()), Ordering::Relaxed);
            write(&process.mark, 1, order, how, at);
        }
    }
    if matches!(how, How::SentSignal(_)) {
        // Where the system has delivered it says nothing.
        return;
    }
    if let Some(place) = current::place()
        && place.what.load(Ordering::Relaxed) != 0
    {
        let number = place.number.load(Ordering::Relaxed);
        if place.mark.of.load(Ordering::Relaxed) != number {
            write(&place.mark, number, order, how, at);
        }
    }
}

/// The process goes on after all: somebody has mended what the signal was about.
pub(crate) fn unmark() {
    if !is_this_process() {
        return;
    }
    for process in open_records() {
        process.mark.of.store(0, Ordering::Release);
    }
    if let Some(place) = current::place() {
        place.mark.of.store(0, Ordering::Release);
    }
}

/// Says that this thread is about to end the process with this status, in a way that runs no exit handlers (`_exit`). For programs that put
/// a function of their own in front of the system's. May be called at any place, also in a signal handler.
///
/// ```no_run
/// plugin_engine_crash_marks::exiting(3);
/// // … and now `_exit(3)`, which runs nothing that could say so afterwards.
/// ```
pub fn exiting(status: i32) {
    mark(How::Exit(status));
}
