//! The locks, atomics and threads of every build but that of the models. One of the few places with unsafe code.

pub(crate) use std::sync::{OnceLock, atomic};
pub(crate) use std::thread;

#[cfg(not(feature = "simulation"))]
pub(crate) use parking_lot::Condvar;
pub(crate) use parking_lot::{Mutex, MutexGuard};

use std::os::unix::thread::JoinHandleExt;
use std::thread::JoinHandle;

/// A thread that can be joined without being waited for.
#[derive(Debug)]
pub(crate) struct Joinable {
    thread: libc::pthread_t,
    joined: bool,
}

impl Joinable {
    pub(crate) fn new<T>(handle: JoinHandle<T>) -> Self {
        Self {
            thread: handle.into_pthread_t(),
            joined: false,
        }
    }

    /// Whether it has ended, its thread-local values included. Never waits.
    pub(crate) fn has_ended(&mut self) -> bool {
        if !self.joined {
            // SAFETY: the thread was taken over from its handle, so nobody else joins or detaches it, and this is the last use of its
            // number if it is joined now.
            let errno = unsafe { libc::pthread_tryjoin_np(self.thread, std::ptr::null_mut()) };
            self.joined = errno == 0;
        }
        self.joined
    }
}

impl Drop for Joinable {
    fn drop(&mut self) {
        if !self.joined {
            // SAFETY: as in `has_ended`; it is left to itself.
            unsafe { libc::pthread_detach(self.thread) };
        }
    }
}
