//! When a plugin is due: a grid of ticks one interval apart, moved only by a failure, a retry or a new start.

use std::time::Duration;

use crate::Moment;
use crate::time::nanos;

/// The shortest interval between updates.
pub const INTERVAL_MIN: Duration = Duration::from_millis(1);
/// The longest interval between updates, and the longest delay of a retry.
pub const INTERVAL_MAX: Duration = Duration::from_secs(365 * 24 * 3_600);
/// The shortest timeout of a call.
pub const TIMEOUT_MIN: Duration = Duration::from_millis(1);
/// The longest timeout of a call.
pub const TIMEOUT_MAX: Duration = Duration::from_secs(24 * 3_600);

/// The longest delay that a plugin can ask for with `retry_after`.
const RETRY_AFTER_MAX: Duration = Duration::from_secs(24 * 3_600);

/// When a plugin is due next.
///
/// A success is stamped from the tick, not from its end, so slow successes do not drift. Ticks that pass while the plugin
/// cannot be called are skipped and counted, never made up for.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Schedule {
    interval_ns: u64,
    phase_ns: u64,
    next: Moment,
}

impl Schedule {
    /// A schedule that is not running. `interval` is kept between [`INTERVAL_MIN`] and [`INTERVAL_MAX`]; `phase`, the
    /// delay before the first tick, is kept below the interval.
    #[must_use]
    pub fn new(interval: Duration, phase: Duration) -> Self {
        let interval_ns = nanos(interval.clamp(INTERVAL_MIN, INTERVAL_MAX));
        Self {
            interval_ns,
            phase_ns: nanos(phase).min(interval_ns - 1),
            next: Moment::FAR,
        }
    }

    /// The interval.
    #[must_use]
    pub fn interval(&self) -> Duration {
        Duration::from_nanos(self.interval_ns)
    }

    /// Takes over where another schedule stands, if both tick alike; else says `false`, and nothing was done.
    pub fn go_on_from(&mut self, other: &Self) -> bool {
        let alike = self.interval_ns == other.interval_ns && self.phase_ns == other.phase_ns;
        if alike {
            self.next = other.next;
        }
        alike
    }

    /// The next tick, if there is one.
    #[must_use]
    #[inline]
    pub fn next(&self) -> Option<Moment> {
        (self.next != Moment::FAR).then_some(self.next)
    }

    /// Whether a tick has come.
    #[must_use]
    #[inline]
    pub fn is_due(&self, now: Moment) -> bool {
        self.next <= now
    }

    /// Starts: the first tick is `now` plus the phase.
    pub fn start(&mut self, now: Moment) {
        self.next = now.saturating_add(Duration::from_nanos(self.phase_ns));
    }

    /// The next tick is at this moment, and a new grid begins there.
    pub fn set_next(&mut self, next: Moment) {
        self.next = next;
    }

    /// The next tick is after this delay, which is kept between [`INTERVAL_MIN`] and [`INTERVAL_MAX`], and a new grid begins there.
    pub fn wait(&mut self, now: Moment, delay: Duration) {
        self.next = now.saturating_add(delay.clamp(INTERVAL_MIN, INTERVAL_MAX));
    }

    /// Stops: nothing is due until the next start.
    pub fn stop(&mut self) {
        self.next = Moment::FAR;
    }

    /// Takes all ticks that have come and moves on to the first one after `now`. Returns how many there were.
    #[inline]
    pub fn take(&mut self, now: Moment) -> u64 {
        if self.next > now {
            return 0;
        }
        let one_later = self.next.as_nanos().saturating_add(self.interval_ns);
        if one_later > now.as_nanos() {
            self.next = Moment::from_nanos(one_later);
            return 1;
        }
        let late_by = now.as_nanos() - self.next.as_nanos();
        let ticks = late_by / self.interval_ns + 1;
        let next = self
            .next
            .as_nanos()
            .saturating_add(ticks.saturating_mul(self.interval_ns));
        self.next = Moment::from_nanos(next);
        ticks
    }

    /// Begins a new grid one interval after `now`, or after the delay that the plugin asked for.
    pub fn retry(&mut self, now: Moment, after: Option<Duration>) {
        let delay = after.map_or(self.interval(), |delay| {
            delay.clamp(INTERVAL_MIN, RETRY_AFTER_MAX)
        });
        self.next = now.saturating_add(delay);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(millis: u64) -> Moment {
        Moment::from_nanos(millis * 1_000_000)
    }

    fn started(interval_ms: u64) -> Schedule {
        let mut schedule = Schedule::new(Duration::from_millis(interval_ms), Duration::ZERO);
        schedule.start(at(0));
        schedule
    }

    #[test]
    fn a_success_is_stamped_from_the_tick_and_does_not_drift() {
        let mut schedule = started(1_000);
        for second in 0..100 {
            // Taken a little late each time; the grid does not move.
            assert_eq!(schedule.take(at(second * 1_000 + 7)), 1);
            assert_eq!(schedule.next(), Some(at((second + 1) * 1_000)));
        }
    }

    #[test]
    fn missed_ticks_are_taken_together_and_counted() {
        let mut schedule = started(1_000);
        assert_eq!(schedule.take(at(5_500)), 6);
        assert_eq!(schedule.next(), Some(at(6_000)));
    }

    #[test]
    fn a_tick_that_falls_on_now_is_taken_and_the_next_lies_after() {
        let mut schedule = started(1_000);
        assert_eq!(schedule.take(at(3_000)), 4);
        assert_eq!(schedule.next(), Some(at(4_000)));
    }

    #[test]
    fn a_tick_that_falls_on_now_as_the_second_is_taken_with_the_first() {
        let mut schedule = started(1_000);
        assert_eq!(schedule.take(at(1_000)), 2);
        assert_eq!(schedule.next(), Some(at(2_000)));
    }

    #[test]
    fn nothing_is_due_before_its_time_or_after_a_stop() {
        let mut schedule = started(1_000);
        schedule.take(at(0));
        assert_eq!(schedule.take(at(999)), 0);
        schedule.stop();
        assert!(!schedule.is_due(at(u64::MAX / 2_000_000)));
        assert_eq!(schedule.next(), None);
    }

    #[test]
    fn a_retry_begins_a_new_grid_one_interval_after_the_failure() {
        let mut schedule = started(1_000);
        schedule.take(at(0));
        schedule.retry(at(300), None);
        assert_eq!(schedule.next(), Some(at(1_300)));
        schedule.take(at(1_300));
        assert_eq!(schedule.next(), Some(at(2_300)));
    }

    #[test]
    fn retry_after_replaces_the_interval_within_bounds() {
        let mut schedule = started(1_000);
        schedule.retry(at(300), Some(Duration::from_millis(50)));
        assert_eq!(schedule.next(), Some(at(350)));
        schedule.retry(at(300), Some(Duration::ZERO));
        assert_eq!(schedule.next(), Some(at(301)));
        schedule.retry(at(300), Some(Duration::MAX));
        assert_eq!(schedule.next(), Some(at(300 + 86_400_000)));
    }

    #[test]
    fn the_phase_delays_only_the_first_tick() {
        let mut schedule = Schedule::new(Duration::from_secs(1), Duration::from_millis(250));
        schedule.start(at(1_000));
        assert_eq!(schedule.next(), Some(at(1_250)));
        schedule.take(at(1_250));
        assert_eq!(schedule.next(), Some(at(2_250)));
    }

    #[test]
    fn absurd_values_saturate() {
        let mut schedule = Schedule::new(Duration::MAX, Duration::MAX);
        assert_eq!(schedule.interval(), INTERVAL_MAX);
        schedule.start(Moment::FAR);
        assert_eq!(schedule.next(), None);
        let mut schedule = started(1);
        assert!(schedule.take(Moment::from_nanos(u64::MAX - 1)) > 1);
        assert_eq!(schedule.next(), None);
    }
}
