//! Wakes the thread that looks. However much is noticed at once, it is one bit.

use std::time::Duration;

use crate::threading::Mutex;
use crate::waiting::{self, Condvar};

/// What the thread that looks waits for.
#[derive(Default)]
pub(crate) struct Signal {
    state: Mutex<State>,
    changed: Condvar,
}

#[derive(Default)]
struct State {
    noticed: bool,
    ended: bool,
}

impl Signal {
    /// Something may have changed.
    pub(crate) fn notice(&self) {
        self.state.lock().noticed = true;
        self.changed.notify_all();
    }

    /// Has the thread that waits do what it does while it waits.
    pub(super) fn stir(&self) {
        // Under the lock, so that it is not between having looked and waiting.
        drop(self.state.lock());
        self.changed.notify_all();
    }

    /// The watch is over.
    pub(super) fn end(&self) {
        self.state.lock().ended = true;
        self.changed.notify_all();
    }

    /// Whether the watch is over.
    pub(super) fn is_ended(&self) -> bool {
        self.state.lock().ended
    }

    /// Waits until something is noticed, or the watch is over, or for as long as `limit`; but, unless the watch is over, at least as long
    /// as `least`: a file that is being written is noticed thousands of times a second. Says whether anything was noticed.
    ///
    /// `idle` is called before it waits, and says for how long at most; it is called again after that.
    pub(super) fn wait(
        &self,
        least: Duration,
        limit: Duration,
        mut idle: impl FnMut() -> Option<Duration>,
    ) -> bool {
        let began = waiting::now();
        let mut state = self.state.lock();
        while !state.ended {
            let limit = if state.noticed {
                least
            } else {
                limit.max(least)
            };
            let passed = waiting::now().saturating_duration_since(began);
            let left = limit.saturating_sub(passed);
            if left.is_zero() {
                break;
            }
            let wait = idle().map_or(left, |most| most.min(left));
            waiting::wait_no_longer(&self.changed, &mut state, wait);
        }
        std::mem::take(&mut state.noticed)
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::time::Instant;

    use super::*;

    const LONG: Duration = Duration::from_secs(3_600);

    #[test]
    fn a_notice_ends_the_wait_be_it_before_or_during_it() {
        let signal = Arc::new(Signal::default());
        signal.notice();
        assert!(signal.wait(Duration::ZERO, LONG, || None));
        let other = Arc::clone(&signal);
        let waits = std::thread::spawn(move || other.wait(Duration::ZERO, LONG, || None));
        signal.notice();
        assert!(waits.join().unwrap());
        assert!(!signal.is_ended());
    }

    #[test]
    fn however_often_it_is_noticed_there_is_a_time_between_two_looks() {
        let signal = Signal::default();
        let began = Instant::now();
        for _ in 0..5 {
            signal.notice();
            signal.wait(Duration::from_millis(20), LONG, || None);
        }
        assert!(began.elapsed() >= Duration::from_millis(100));
    }

    #[test]
    fn the_end_is_not_waited_for() {
        let signal = Signal::default();
        signal.end();
        signal.wait(LONG, LONG, || None);
        assert!(signal.is_ended());
    }

    #[test]
    fn without_any_notice_the_wait_ends_by_itself() {
        let signal = Signal::default();
        assert!(!signal.wait(Duration::ZERO, Duration::from_millis(5), || None));
        assert!(!signal.is_ended());
    }
}
