//! What threads wait for one another with, and the time they wait by.
//!
//! Outside of simulations these are the condition variable of `parking_lot` and the functions of the standard library, at no cost. In a
//! simulation (see `simulation`) there is one thread, on which everybody takes turns: who waits gives the turn to others there. What
//! lives here: that choice. What never will: what anybody waits for.

#[cfg(not(feature = "simulation"))]
mod on_threads {
    use std::time::Duration;

    use crate::threading::{Mutex, MutexGuard, thread};

    pub(crate) use crate::threading::Condvar;

    /// Waits until this is told, or for so long.
    #[cfg(feature = "watch")]
    pub(crate) fn wait_no_longer<T>(
        condition: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        time: Duration,
    ) {
        condition.wait_for(guard, time);
    }

    /// Takes a lock that is held while its holder waits.
    #[inline]
    pub(crate) fn take_turn<T>(turn: &Mutex<T>) -> MutexGuard<'_, T> {
        turn.lock()
    }

    #[cfg(all(test, any(loom, shuttle)))]
    pub(crate) use crate::threading::now;

    #[cfg(not(all(test, any(loom, shuttle))))]
    #[inline]
    pub(crate) fn now() -> std::time::Instant {
        std::time::Instant::now()
    }

    pub(crate) fn sleep(time: Duration) {
        thread::sleep(time);
    }
}

#[cfg(feature = "simulation")]
mod by_turns {
    use std::time::{Duration, Instant};

    use parking_lot::{Mutex, MutexGuard};

    use crate::simulation::{self, Pause};

    /// The condition variable of `parking_lot`, or in a simulation a wait that may end at any time: everybody looks again by themselves.
    #[derive(Default)]
    pub(crate) struct Condvar(parking_lot::Condvar);

    /// Whether a wait has come to its end by time.
    pub(crate) struct Waited(bool);

    impl Waited {
        pub(crate) fn timed_out(&self) -> bool {
            self.0
        }
    }

    impl Condvar {
        pub(crate) const fn new() -> Self {
            Self(parking_lot::Condvar::new())
        }

        pub(crate) fn notify_one(&self) {
            simulation::stir();
            self.0.notify_one();
        }

        pub(crate) fn notify_all(&self) {
            simulation::stir();
            self.0.notify_all();
        }

        pub(crate) fn wait<T>(&self, guard: &mut MutexGuard<'_, T>) {
            if simulation::is_here() {
                MutexGuard::unlocked(guard, || simulation::pause(Pause::UntilStirred));
            } else {
                self.0.wait(guard);
            }
        }

        pub(crate) fn wait_for<T>(&self, guard: &mut MutexGuard<'_, T>, time: Duration) -> Waited {
            if !simulation::is_here() {
                return Waited(self.0.wait_for(guard, time).timed_out());
            }
            MutexGuard::unlocked(guard, || simulation::pause(Pause::UntilStirred));
            Waited(false)
        }

        pub(crate) fn wait_until<T>(
            &self,
            guard: &mut MutexGuard<'_, T>,
            until: Instant,
        ) -> Waited {
            if !simulation::is_here() {
                return Waited(self.0.wait_until(guard, until).timed_out());
            }
            MutexGuard::unlocked(guard, || simulation::pause(Pause::UntilStirred));
            Waited(now() >= until)
        }
    }

    /// Waits until anything is told, or for so long: for who has to look then although nothing else happens at that time.
    #[cfg(feature = "watch")]
    pub(crate) fn wait_no_longer<T>(
        condition: &Condvar,
        guard: &mut MutexGuard<'_, T>,
        time: Duration,
    ) {
        if simulation::is_here() {
            MutexGuard::unlocked(guard, || {
                simulation::pause(Pause::UntilStirredFor(time));
            });
        } else {
            condition.0.wait_for(guard, time);
        }
    }

    /// Takes a lock that is held while its holder waits.
    pub(crate) fn take_turn<T>(turn: &Mutex<T>) -> MutexGuard<'_, T> {
        if !simulation::is_here() {
            return turn.lock();
        }
        loop {
            if let Some(guard) = turn.try_lock() {
                simulation::stir();
                return guard;
            }
            simulation::pause(Pause::UntilStirred);
        }
    }

    pub(crate) fn now() -> Instant {
        simulation::instant().unwrap_or_else(Instant::now)
    }

    pub(crate) fn sleep(time: Duration) {
        if simulation::is_here() {
            simulation::pause(Pause::For(time));
        } else {
            std::thread::sleep(time);
        }
    }
}

#[cfg(feature = "simulation")]
pub(crate) use by_turns::*;
#[cfg(not(feature = "simulation"))]
pub(crate) use on_threads::*;
