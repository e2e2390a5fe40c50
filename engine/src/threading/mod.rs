//! What threads of the engine share and wait on: locks, atomics, the threads themselves, and the time that they measure in between.
//!
//! Everything whose protocol is checked by a model takes them from here. Ordinarily they are those of `parking_lot` and of the standard
//! library, by name, at no cost. With `--cfg loom` or `--cfg shuttle` tests get stand-ins whose every step a checker schedules; see
//! `models`. What never lives here: a lock or a protocol of the engine itself.

#[cfg(all(test, any(loom, shuttle)))]
mod modelled;
#[cfg(not(all(test, any(loom, shuttle))))]
mod ordinary;

#[cfg(all(test, any(loom, shuttle)))]
pub(crate) use modelled::{Condvar, Joinable, Mutex, MutexGuard, OnceLock, atomic, now, thread};
#[cfg(all(not(all(test, any(loom, shuttle))), not(feature = "simulation")))]
pub(crate) use ordinary::Condvar;
#[cfg(not(all(test, any(loom, shuttle))))]
pub(crate) use ordinary::{Joinable, Mutex, MutexGuard, OnceLock, atomic, thread};
