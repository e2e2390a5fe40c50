//! A clock that is moved by hand and tells nobody: whoever waits for it has to look, as with the machine's clock.

use std::time::Duration;

use plugin_engine::{Clock, ManualClock, Moment, WallTime};

/// How often whoever waits looks, in real time.
const LOOK_EVERY: Duration = Duration::from_millis(1);

/// A [`ManualClock`] that calls nobody when it is moved. So what follows from the time is done by the threads whose task it is, and not by
/// the test's. Clones are the same clock.
#[derive(Clone)]
pub struct PollClock {
    /// The clock that is moved by hand.
    pub manual: ManualClock,
}

impl PollClock {
    /// A clock at the beginning of 2026.
    pub fn new() -> Self {
        Self {
            manual: ManualClock::new(WallTime::from_unix_nanos(1_767_225_600_000_000_000)),
        }
    }

    /// Moves both clocks on.
    pub fn advance(&self, millis: u64) {
        self.manual.advance(Duration::from_millis(millis));
    }
}

impl Default for PollClock {
    fn default() -> Self {
        Self::new()
    }
}

impl Clock for PollClock {
    fn now(&self) -> Moment {
        self.manual.now()
    }

    fn wall(&self) -> WallTime {
        self.manual.wall()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        let is_past = moment <= self.manual.now();
        Some(if is_past { Duration::ZERO } else { LOOK_EVERY })
    }
}
