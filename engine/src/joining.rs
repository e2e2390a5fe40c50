//! Which threads of the engine ran code of which plugin files, and those that have to be waited for until they have ended.
//!
//! A thread that ran code of a file may keep thread-local values of it, which that code destroys when the thread ends. So a file can
//! only be unmapped when each such thread has ended, all of it: it has to be joined.

use std::sync::Arc;

use crate::threading::thread::JoinHandle;
use crate::threading::{
    Mutex,
    atomic::{AtomicU64, Ordering},
};

pub(crate) use crate::threading::Joinable as Thread;

/// How many files are told apart. Two whose numbers have the same rest share a place: a thread that ran the one then counts as one that
/// ran the other.
const PLACES: u64 = 1_024;
const WORDS: usize = (PLACES / 64) as usize;

/// The numbers of the plugin files whose code one thread ran.
#[derive(Debug, Default)]
pub(crate) struct Ran {
    words: [AtomicU64; WORDS],
}

impl Ran {
    fn place(&self, number: u64) -> (&AtomicU64, u64) {
        let place = number % PLACES;
        let word = usize::try_from(place / 64).unwrap_or(0);
        (&self.words[word], 1 << (place % 64))
    }

    /// Says that this thread runs code of that file from now on. By this thread alone, before it does. One load if it was said before.
    #[inline]
    pub(crate) fn add(&self, number: u64) {
        let (word, bit) = self.place(number);
        let known = word.load(Ordering::Relaxed);
        if known & bit == 0 {
            // Nobody else writes. Whoever reads comes after the last use of the file was given up, and so after this.
            word.store(known | bit, Ordering::Release);
        }
    }

    /// Whether code of that file was run. By anybody.
    pub(crate) fn has(&self, number: u64) -> bool {
        let (word, bit) = self.place(number);
        word.load(Ordering::Acquire) & bit != 0
    }

    /// Takes what is there, and leaves nothing.
    pub(crate) fn take(&self) -> Self {
        let words =
            std::array::from_fn(|at| AtomicU64::new(self.words[at].swap(0, Ordering::AcqRel)));
        Self { words }
    }
}

/// Threads that ran code of plugin files and end, or are about to.
#[derive(Debug, Default)]
pub(crate) struct Joining {
    threads: Mutex<Vec<(Thread, Arc<Ran>)>>,
}

impl Joining {
    /// Starts a thread that is to run code of plugin files, and keeps it: before it can have run anything.
    pub(crate) fn start<T>(
        &self,
        ran: Arc<Ran>,
        spawn: impl FnOnce() -> std::io::Result<JoinHandle<T>>,
    ) -> std::io::Result<()> {
        let mut threads = self.threads.lock();
        threads.retain_mut(|(thread, _)| !thread.has_ended());
        let thread = Thread::new(spawn()?);
        threads.push((thread, ran));
        Ok(())
    }

    /// Takes over a thread with what it ran. It need not have ended.
    pub(crate) fn keep(&self, thread: Thread, ran: Arc<Ran>) {
        let mut threads = self.threads.lock();
        threads.retain_mut(|(thread, _)| !thread.has_ended());
        threads.push((thread, ran));
    }

    /// How many threads have not ended that ran code of that file.
    pub(crate) fn count(&self, number: u64) -> usize {
        let mut threads = self.threads.lock();
        threads.retain_mut(|(thread, _)| !thread.has_ended());
        threads.iter().filter(|(_, ran)| ran.has(number)).count()
    }
}

// What the system does at the end of a thread is no part of any model.
#[cfg(all(test, not(any(loom, shuttle))))]
mod tests {
    use std::sync::mpsc::channel;

    use super::*;

    #[test]
    fn what_a_thread_ran_is_known_by_the_rest_of_its_number() {
        let ran = Ran::default();
        assert!(!ran.has(3) && !ran.has(64 + 3));
        ran.add(3);
        ran.add(1_000);
        assert!(ran.has(3) && ran.has(1_000) && !ran.has(64 + 3));
        assert!(ran.has(3 + PLACES), "it shares the place");
        let taken = ran.take();
        assert!(taken.has(3) && !ran.has(3));
    }

    #[test]
    fn a_thread_counts_until_its_thread_local_values_are_destroyed() {
        struct Slow(Option<std::sync::mpsc::Receiver<()>>);
        impl Drop for Slow {
            fn drop(&mut self) {
                let _ = self.0.take().map(|gate| gate.recv());
            }
        }
        thread_local! {
            static SLOW: std::cell::RefCell<Slow> = const { std::cell::RefCell::new(Slow(None)) };
        }
        let joining = Joining::default();
        let (let_go, gate) = channel::<()>();
        let handle = std::thread::spawn(move || {
            SLOW.with_borrow_mut(|slow| slow.0 = Some(gate));
        });
        while !handle.is_finished() {
            std::thread::yield_now();
        }
        let ran = Ran::default();
        ran.add(5);
        joining.keep(Thread::new(handle), Arc::new(ran));
        // What it had to do is done, but not all of it has ended.
        assert_eq!((joining.count(5), joining.count(6)), (1, 0));
        let_go.send(()).unwrap();
        while joining.count(5) > 0 {
            std::thread::yield_now();
        }
    }

    #[test]
    fn a_thread_that_nobody_waits_for_is_left_to_itself() {
        let (let_go, gate) = channel::<()>();
        let (tell, told) = channel();
        let joining = Joining::default();
        let handle = std::thread::spawn(move || {
            let _ = gate.recv();
            tell.send(()).unwrap();
        });
        joining.keep(Thread::new(handle), Arc::default());
        drop(joining);
        let_go.send(()).unwrap();
        told.recv().unwrap();
    }
}
