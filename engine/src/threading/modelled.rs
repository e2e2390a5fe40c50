//! Stand-ins under the control of a checker, with the faces of `parking_lot` and of the standard library.
//!
//! Loom tries out every interleaving that there is within its bounds, and what a processor with weak ordering may show. It knows no
//! timeouts, and takes accesses with `SeqCst` for ones with `AcqRel`. Shuttle tries out many interleavings of larger programs, in which
//! every thread sees what the others did last. No wait here ends because of time: what is not woken is found as a deadlock.

use std::ops::{Deref, DerefMut};
use std::time::{Duration, Instant};

#[cfg(loom)]
use loom::sync as checked;
#[cfg(all(shuttle, not(loom)))]
use shuttle::sync as checked;

/// A lock that is never poisoned.
#[derive(Default)]
pub(crate) struct Mutex<T>(checked::Mutex<T>);

pub(crate) struct MutexGuard<'a, T> {
    mutex: &'a Mutex<T>,
    /// `None` only while its thread waits on a [`Condvar`].
    guard: Option<checked::MutexGuard<'a, T>>,
}

impl<T> Mutex<T> {
    pub(crate) fn new(value: T) -> Self {
        Self(checked::Mutex::new(value))
    }

    #[track_caller]
    pub(crate) fn lock(&self) -> MutexGuard<'_, T> {
        let guard = match self.0.lock() {
            Ok(guard) => guard,
            Err(poisoned) => poisoned.into_inner(),
        };
        self.guarded(guard)
    }

    #[track_caller]
    pub(crate) fn try_lock(&self) -> Option<MutexGuard<'_, T>> {
        let guard = self.0.try_lock().ok()?;
        Some(self.guarded(guard))
    }

    fn guarded<'a>(&'a self, guard: checked::MutexGuard<'a, T>) -> MutexGuard<'a, T> {
        MutexGuard {
            mutex: self,
            guard: Some(guard),
        }
    }
}

impl<T> std::fmt::Debug for Mutex<T> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Mutex").finish_non_exhaustive()
    }
}

impl<T> Deref for MutexGuard<'_, T> {
    type Target = T;

    fn deref(&self) -> &T {
        self.guard.as_ref().expect("nobody looks while it waits")
    }
}

impl<T> DerefMut for MutexGuard<'_, T> {
    fn deref_mut(&mut self) -> &mut T {
        self.guard.as_mut().expect("nobody looks while it waits")
    }
}

#[derive(Default)]
pub(crate) struct Condvar(checked::Condvar);

/// Says that no time has run out.
pub(crate) struct WaitTimeoutResult;

impl WaitTimeoutResult {
    pub(crate) fn timed_out(&self) -> bool {
        false
    }
}

impl Condvar {
    pub(crate) fn new() -> Self {
        Self(checked::Condvar::new())
    }

    #[track_caller]
    pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
        let held = guard.guard.take().expect("it waits once at a time");
        let held = match self.0.wait(held) {
            Ok(held) => held,
            Err(poisoned) => poisoned.into_inner(),
        };
        *guard = guard.mutex.guarded(held);
    }

    #[track_caller]
    pub(crate) fn wait_for<T>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _: Duration,
    ) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }

    #[track_caller]
    pub(crate) fn wait_until<T, I>(
        &self,
        guard: &mut MutexGuard<'_, T>,
        _: I,
    ) -> WaitTimeoutResult {
        self.wait(guard);
        WaitTimeoutResult
    }

    #[track_caller]
    pub(crate) fn notify_one(&self) {
        self.0.notify_one();
    }

    #[track_caller]
    pub(crate) fn notify_all(&self) {
        self.0.notify_all();
    }
}

/// What is written once. Whoever finds it written sees what was written before, and nothing else is promised.
pub(crate) struct OnceLock<T> {
    value: std::sync::OnceLock<T>,
    is_set: atomic::AtomicBool,
}

impl<T> OnceLock<T> {
    pub(crate) fn new() -> Self {
        Self {
            value: std::sync::OnceLock::new(),
            is_set: atomic::AtomicBool::new(false),
        }
    }

    #[track_caller]
    pub(crate) fn get(&self) -> Option<&T> {
        let is_set = self.is_set.load(atomic::Ordering::Acquire);
        is_set.then(|| self.value.get()).flatten()
    }

    #[track_caller]
    pub(crate) fn set(&self, value: T) -> Result<(), T> {
        let set = self.value.set(value);
        if set.is_ok() {
            self.is_set.store(true, atomic::Ordering::Release);
        } else {
            // Who comes second waits for the first.
            while !self.is_set.load(atomic::Ordering::Acquire) {
                thread::yield_now();
            }
        }
        set
    }

    #[track_caller]
    pub(crate) fn get_or_init(&self, init: impl FnOnce() -> T) -> &T {
        if self.get().is_none() {
            let _ = self.set(init());
        }
        self.value.get().expect("it was set by somebody")
    }
}

impl<T> Default for OnceLock<T> {
    fn default() -> Self {
        Self::new()
    }
}

pub(crate) mod atomic {
    #[cfg(loom)]
    pub(crate) use loom::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
    #[cfg(all(shuttle, not(loom)))]
    pub(crate) use shuttle::sync::atomic::{
        AtomicBool, AtomicU32, AtomicU64, AtomicUsize, Ordering, fence,
    };
}

pub(crate) mod thread {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicBool, Ordering};
    use std::time::Duration;

    #[cfg(loom)]
    use loom::thread as checked;
    #[cfg(all(shuttle, not(loom)))]
    use shuttle::thread as checked;

    pub(crate) use checked::{Thread, current, park, yield_now};

    pub(crate) struct Builder(checked::Builder);

    pub(crate) struct JoinHandle<T> {
        handle: checked::JoinHandle<T>,
        pub(super) has_ended: Arc<AtomicBool>,
    }

    impl Builder {
        pub(crate) fn new() -> Self {
            Self(checked::Builder::new())
        }

        pub(crate) fn name(self, name: String) -> Self {
            Self(self.0.name(name))
        }

        #[track_caller]
        pub(crate) fn spawn<T: Send + 'static>(
            self,
            run: impl FnOnce() -> T + Send + 'static,
        ) -> std::io::Result<JoinHandle<T>> {
            let has_ended = Arc::<AtomicBool>::default();
            let ended = Arc::clone(&has_ended);
            let handle = self.0.spawn(move || {
                let value = run();
                ended.store(true, Ordering::Release);
                value
            })?;
            Ok(JoinHandle { handle, has_ended })
        }
    }

    #[track_caller]
    pub(crate) fn spawn<T: Send + 'static>(
        run: impl FnOnce() -> T + Send + 'static,
    ) -> JoinHandle<T> {
        Builder::new()
            .spawn(run)
            .expect("a model has threads enough")
    }

    impl<T> JoinHandle<T> {
        pub(crate) fn join(self) -> std::thread::Result<T> {
            self.handle.join()
        }
    }

    /// A nap. Others run meanwhile.
    pub(crate) fn sleep(_: Duration) {
        yield_now();
    }

    /// A short one is a nap, because the code relies on its end. A long one ends when somebody ends it.
    pub(crate) fn park_timeout(wait: Duration) {
        if wait > Duration::from_millis(1) {
            park();
        } else {
            yield_now();
        }
    }
}

/// Time that moves on by a millisecond whenever somebody looks, so that a program runs the same way each time.
pub(crate) fn now() -> Instant {
    thread_local! {
        // All threads of a model are on one of the system's.
        static NEXT: std::cell::Cell<Instant> = std::cell::Cell::new(Instant::now());
    }
    let now = NEXT.get();
    NEXT.set(now + Duration::from_millis(1));
    now
}

/// A thread that can be joined without being waited for.
#[derive(Debug)]
pub(crate) struct Joinable(std::sync::Arc<std::sync::atomic::AtomicBool>);

impl Joinable {
    pub(crate) fn new<T>(handle: thread::JoinHandle<T>) -> Self {
        Self(handle.has_ended)
    }

    pub(crate) fn has_ended(&mut self) -> bool {
        self.0.load(std::sync::atomic::Ordering::Acquire)
    }
}
