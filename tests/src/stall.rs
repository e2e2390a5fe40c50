//! A clock that holds up whoever asks it the time, at the one point between two steps of the engine that a test wants.

use std::sync::{Arc, Condvar, Mutex};
use std::time::Duration;

use plugin_engine::{Clock, ManualClock, Moment, WallTime};

use crate::wait_for;

/// A [`ManualClock`] that a test can make stall. Clones are the same clock.
#[derive(Clone)]
pub struct StallClock {
    /// The clock that is moved by hand.
    pub manual: ManualClock,
    stall: Arc<(Mutex<Stall>, Condvar)>,
}

#[derive(Default)]
struct Stall {
    /// The name of the threads that are held up at their next question.
    thread: Option<&'static str>,
    held: u32,
}

impl StallClock {
    /// A clock that does not stall yet.
    pub fn new() -> Self {
        Self {
            manual: ManualClock::new(WallTime::from_unix_nanos(1_767_225_600_000_000_000)),
            stall: Arc::default(),
        }
    }

    /// From now on, threads of this name are held up when they ask for the time.
    pub fn stall(&self, thread: &'static str) {
        self.stall.0.lock().unwrap().thread = Some(thread);
    }

    /// Waits until a thread is held up.
    pub fn await_stalled(&self) {
        wait_for("a thread to ask for the time", || {
            self.stall.0.lock().unwrap().held > 0
        });
    }

    /// Lets all go on.
    pub fn release(&self) {
        self.stall.0.lock().unwrap().thread = None;
        self.stall.1.notify_all();
    }

    /// Moves both clocks on.
    pub fn advance(&self, millis: u64) {
        self.manual.advance(Duration::from_millis(millis));
    }
}

impl Default for StallClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for StallClock {
    fn now(&self) -> Moment {
        let mut stall = self.stall.0.lock().unwrap();
        if stall.thread.is_some() && stall.thread == std::thread::current().name() {
            stall.held += 1;
            while stall.thread.is_some() {
                stall = self.stall.1.wait(stall).unwrap();
            }
            stall.held -= 1;
        }
        drop(stall);
        self.manual.now()
    }

    fn wall(&self) -> WallTime {
        self.manual.wall()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        self.manual.real_time_until(moment)
    }

    fn on_move(&self, moved: Box<dyn Fn() + Send + Sync>) {
        self.manual.on_move(moved);
    }
}
