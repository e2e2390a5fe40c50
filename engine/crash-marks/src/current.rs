//! What this thread is calling. One of the few places with unsafe code.

use std::cell::Cell;
use std::marker::PhantomData;
use std::ptr::null;
use std::sync::Arc;
use std::sync::atomic::{Ordering, compiler_fence};

use crate::layout::{Call, Slot, halves};
use crate::record::Record;

thread_local! {
    /// The place of this thread; null for one that is not attached. No destructor, and never made at its first use: a signal handler
    /// reads it.
    static PLACE: Cell<*const Slot> = const { Cell::new(null()) };
}

/// A thread that has a place in a record until this is dropped. It cannot leave its thread.
#[must_use = "the thread has its place only for as long as this lives"]
pub struct Attached {
    record: Arc<Record>,
    slot: u32,
    _of_this_thread: PhantomData<*const ()>,
}

impl Attached {
    /// Gives this thread its place, which the record has just taken out of those that are free.
    pub(crate) fn new(record: Arc<Record>, slot: u32) -> Self {
        PLACE.set(std::ptr::from_ref(record.slot(slot)));
        Self {
            record,
            slot,
            _of_this_thread: PhantomData,
        }
    }
}

impl Drop for Attached {
    fn drop(&mut self) {
        end();
        PLACE.set(null());
        self.record.give_back(self.slot);
    }
}

/// Whether this thread has a place.
pub(crate) fn is_attached() -> bool {
    !PLACE.get().is_null()
}

/// The place of this thread.
#[inline]
pub(crate) fn place() -> Option<&'static Slot> {
    let place = PLACE.get();
    // SAFETY: what is not null points into the mapping of the record that this thread's `Attached` keeps, which clears it first when it
    // is dropped, on this very thread; forgotten instead, it keeps the record for ever. `'static` is no longer than that for whoever
    // lets go of it before its thread may drop that, as all in this crate do.
    unsafe { place.as_ref() }
}

/// Says that this thread begins a call into the code of that plugin, at that moment of the clock of the process in nanoseconds. Nothing
/// happens on a thread that is not attached. Four plain stores; no system call, no allocation.
#[inline]
pub fn begin(name: u32, call: Call, since_ns: u64) {
    let Some(place) = place() else { return };
    // Only this thread writes, and only a handler on this thread or somebody after the end of the process reads.
    let number = place.number.load(Ordering::Relaxed).wrapping_add(1);
    place.number.store(number, Ordering::Relaxed);
    place.since.store(since_ns, Ordering::Relaxed);
    compiler_fence(Ordering::Release);
    // Without a name there is nobody to tell of.
    let what = if name == 0 {
        0
    } else {
        halves(name, call as u8)
    };
    place.what.store(what, Ordering::Release);
}

/// Says that the call has returned.
#[inline]
pub fn end() {
    if let Some(place) = place() {
        place.what.store(0, Ordering::Release);
        compiler_fence(Ordering::Release);
    }
}
