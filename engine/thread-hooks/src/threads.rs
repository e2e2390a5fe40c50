//! The threads: which live, what each was started with, and by whom.
//!
//! A thread counts as alive until the system knows it no more, not until its start routine has returned: its thread-local values are
//! destroyed after that.

use std::cell::Cell;
use std::ffi::c_void;
use std::mem::transmute;
use std::sync::atomic::{AtomicBool, AtomicPtr, AtomicU32, AtomicU64, AtomicUsize, Ordering};
use std::sync::{Mutex, PoisonError};

use libc::{c_int, pthread_attr_t, pthread_t};

use crate::Thread;
use crate::next::Next;

/// The most threads that are recorded at a time.
const THREADS_MAX: usize = 16_384;
/// How many places are looked at before a new one is taken into use.
const PROBES_MAX: usize = 64;

/// What a thread begins with. It may end by an exit that unwinds the stack, which must be let through.
type Start = unsafe extern "C-unwind" fn(*mut c_void) -> *mut c_void;
type Create =
    unsafe extern "C" fn(*mut pthread_t, *const pthread_attr_t, Start, *mut c_void) -> c_int;

const FREE: u32 = 0;
/// Taken for a thread that has not said its number yet.
const STARTING: u32 = 1;
const STARTED: u32 = 2;

struct Slot {
    state: AtomicU32,
    tid: AtomicU32,
    start: AtomicUsize,
    started_by: AtomicUsize,
    number: AtomicU64,
    argument: AtomicPtr<c_void>,
}

/// Pages of it that were never used take no memory.
static SLOTS: [Slot; THREADS_MAX] = [const {
    Slot {
        state: AtomicU32::new(FREE),
        tid: AtomicU32::new(0),
        start: AtomicUsize::new(0),
        started_by: AtomicUsize::new(0),
        number: AtomicU64::new(0),
        argument: AtomicPtr::new(std::ptr::null_mut()),
    }
}; THREADS_MAX];
/// How many slots were ever in use.
static USED: AtomicUsize = AtomicUsize::new(0);
/// Where the next search for a free slot begins.
static NEXT: AtomicUsize = AtomicUsize::new(0);
static LAST_NUMBER: AtomicU64 = AtomicU64::new(0);
/// Whether a thread was started that there was no slot for.
static UNRECORDED: AtomicBool = AtomicBool::new(false);

static CREATE: Next = Next::new(c"pthread_create", c"__interceptor_pthread_create");

thread_local! {
    /// What this thread was started with. No destructor.
    static START: Cell<usize> = const { Cell::new(0) };
}

pub(crate) fn look_up() {
    CREATE.address();
}

/// The system's number of this thread.
pub(crate) fn this_thread() -> u32 {
    // SAFETY: asks for a number, and nothing else.
    unsafe { libc::gettid() }.cast_unsigned()
}

fn lives(tid: u32) -> bool {
    // SAFETY: signal 0 is none: only whether there is such a thread is found out.
    let known = unsafe { libc::syscall(libc::SYS_tgkill, libc::getpid(), tid, 0) };
    // Whatever else may be wrong, it is not known to have ended.
    known == 0 || std::io::Error::last_os_error().raw_os_error() != Some(libc::ESRCH)
}

fn used() -> &'static [Slot] {
    &SLOTS[..USED.load(Ordering::Acquire).min(THREADS_MAX)]
}

fn take(slot: &Slot) -> bool {
    slot.state
        .compare_exchange(FREE, STARTING, Ordering::AcqRel, Ordering::Relaxed)
        .is_ok()
}

/// A slot for a thread that is about to be started.
fn claim() -> Option<&'static Slot> {
    loop {
        let used = used();
        let begin = NEXT.fetch_add(1, Ordering::Relaxed);
        let probes = used.len().min(PROBES_MAX);
        let found = (0..probes)
            .map(|probe| &used[(begin + probe) % used.len()])
            .find(|slot| take(slot));
        if found.is_some() {
            return found;
        }
        if used.len() == THREADS_MAX {
            // Those that have ended are given back, and every place is looked at.
            living();
            return used.iter().find(|slot| take(slot));
        }
        let at = USED.fetch_add(1, Ordering::AcqRel);
        if let Some(slot) = SLOTS.get(at).filter(|slot| take(slot)) {
            return Some(slot);
        }
    }
}

/// Starts a thread, as the system's function does, and records it.
///
/// # Safety
/// As for the system's function.
#[unsafe(no_mangle)]
unsafe extern "C" fn pthread_create(
    thread: *mut pthread_t,
    attributes: *const pthread_attr_t,
    start: Start,
    argument: *mut c_void,
) -> c_int {
    let Some(create) = CREATE.address() else {
        return libc::EAGAIN;
    };
    // SAFETY: the address is that of the system's function of this name, which has this type.
    let create: Create = unsafe { transmute(create) };
    let Some(slot) = claim() else {
        UNRECORDED.store(true, Ordering::Release);
        // SAFETY: the caller's promise.
        return unsafe { create(thread, attributes, start, argument) };
    };
    slot.tid.store(0, Ordering::Relaxed);
    slot.start.store(start as usize, Ordering::Relaxed);
    slot.started_by
        .store(START.try_with(Cell::get).unwrap_or(0), Ordering::Relaxed);
    slot.argument.store(argument, Ordering::Relaxed);
    let number = LAST_NUMBER.fetch_add(1, Ordering::SeqCst) + 1;
    slot.number.store(number, Ordering::Release);
    // SAFETY: the caller's promise; the slot is a static, and stays this thread's until that has ended.
    let errno = unsafe {
        let slot = std::ptr::from_ref(slot).cast_mut().cast();
        create(thread, attributes, begin, slot)
    };
    if errno != 0 {
        slot.state.store(FREE, Ordering::Release);
    }
    errno
}

/// What every recorded thread begins with.
unsafe extern "C-unwind" fn begin(slot: *mut c_void) -> *mut c_void {
    // SAFETY: `pthread_create` handed over a static.
    let slot = unsafe { &*slot.cast::<Slot>() };
    let start = slot.start.load(Ordering::Acquire);
    let argument = slot.argument.load(Ordering::Relaxed);
    let _ = START.try_with(|own| own.set(start));
    slot.tid.store(this_thread(), Ordering::Relaxed);
    slot.state.store(STARTED, Ordering::Release);
    // SAFETY: this is the function that was to be called, with its own argument. Nothing of this frame is left to do when it
    // returns, or when it ends the thread.
    unsafe { transmute::<usize, Start>(start)(argument) }
}

/// How often all places are looked at, until no thread was started meanwhile.
const PASSES_MAX: usize = 64;

/// The threads that live; the places of the others are given back. A thread that is started while this looks, at a place that was looked at
/// already, by one that ends before its own place is, would be missed: so it is looked again until none was started meanwhile. If
/// that does not come about, the last entry stands for those that are just being started.
pub(crate) fn living() -> Vec<Thread> {
    // One at a time: a place that two find free of its thread would be given back twice, the second time when it has another.
    static ALONE: Mutex<()> = Mutex::new(());
    let _alone = ALONE.lock().unwrap_or_else(PoisonError::into_inner);
    let mut seen = Vec::new();
    for _ in 0..PASSES_MAX {
        let before = LAST_NUMBER.load(Ordering::SeqCst);
        seen = pass();
        if LAST_NUMBER.load(Ordering::SeqCst) == before {
            return seen;
        }
    }
    seen.push(Thread {
        tid: 0,
        start: 0,
        started_by: 0,
        number: u64::MAX,
    });
    seen
}

fn pass() -> Vec<Thread> {
    let mut living: Vec<(Thread, &Slot)> = Vec::new();
    for slot in used() {
        let state = slot.state.load(Ordering::Acquire);
        if state == FREE {
            continue;
        }
        let thread = Thread {
            tid: if state == STARTED {
                slot.tid.load(Ordering::Relaxed)
            } else {
                0
            },
            start: slot.start.load(Ordering::Relaxed),
            started_by: slot.started_by.load(Ordering::Relaxed),
            number: slot.number.load(Ordering::Relaxed),
        };
        if state == STARTED && !lives(thread.tid) {
            slot.state.store(FREE, Ordering::Release);
            continue;
        }
        living.push((thread, slot));
    }
    // A number that was given to a new thread says that the one which had it before has ended.
    living.sort_unstable_by_key(|(thread, _)| (thread.tid, std::cmp::Reverse(thread.number)));
    living.dedup_by(|(later, slot), (kept, _)| {
        let same = later.tid != 0 && later.tid == kept.tid;
        if same {
            slot.state.store(FREE, Ordering::Release);
        }
        same
    });
    living.into_iter().map(|(thread, _)| thread).collect()
}

pub(crate) fn trouble() -> Option<String> {
    if UNRECORDED.load(Ordering::Acquire) {
        return Some(format!(
            "more than {THREADS_MAX} threads lived at a time, which is as many as are recorded"
        ));
    }
    CREATE.trouble(pthread_create as *const () as usize)
}

#[cfg(test)]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn a_thread_is_known_from_its_start_until_the_system_knows_it_no_more() {
        let (tell, told) = channel();
        let (let_go, gate) = channel::<()>();
        let (inner_tell, inner_told) = channel();
        let (inner_let_go, inner_gate) = channel::<()>();
        let outer = std::thread::spawn(move || {
            let inner = std::thread::spawn(move || {
                inner_tell.send(this_thread()).unwrap();
                let _ = inner_gate.recv();
            });
            tell.send(this_thread()).unwrap();
            let _ = gate.recv();
            inner
        });
        let (outer_tid, inner_tid) = (told.recv().unwrap(), inner_told.recv().unwrap());
        let find = |tid| living().into_iter().find(|thread| thread.tid == tid);
        let (found, inner_found) = (find(outer_tid).unwrap(), find(inner_tid).unwrap());
        assert_eq!(inner_found.started_by, found.start);
        assert!(inner_found.number > found.number);
        let_go.send(()).unwrap();
        let inner = outer.join().unwrap();
        while lives(outer_tid) {
            std::thread::yield_now();
        }
        assert_eq!(find(outer_tid), None);
        assert_eq!(find(inner_tid), Some(inner_found));
        inner_let_go.send(()).unwrap();
        inner.join().unwrap();
    }

    #[test]
    fn places_of_threads_that_have_ended_are_used_again() {
        for _ in 0..2_000 {
            std::thread::spawn(|| {}).join().unwrap();
            if USED.load(Ordering::Relaxed) > 100 {
                living();
            }
        }
        assert!(USED.load(Ordering::Relaxed) < 1_000);
    }

    #[test]
    fn a_thread_may_end_from_within() {
        unsafe extern "C-unwind" fn leave(argument: *mut c_void) -> *mut c_void {
            // SAFETY: no frame of this thread has anything to clean up.
            unsafe { libc::pthread_exit(argument) }
        }
        let mut thread = 0;
        let mut returned = std::ptr::null_mut();
        // SAFETY: all addresses are valid; the thread is joined once.
        unsafe {
            let argument = std::ptr::without_provenance_mut(7);
            let created = pthread_create(&raw mut thread, std::ptr::null(), leave, argument);
            assert_eq!(created, 0);
            assert_eq!(libc::pthread_join(thread, &raw mut returned), 0);
        }
        assert_eq!(returned.addr(), 7);
    }
}
