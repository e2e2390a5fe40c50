//! The circuit breaker of one plugin: after some failures in a row its updates are skipped for a cool-down, and then one is the probe.
//!
//! The probe is an update like any other, and whatever becomes of it decides: there is no permit that could be lost. One that is never
//! made leaves the breaker open, and the next tick is the probe.

use std::time::Duration;

use crate::{INTERVAL_MAX, Moment};

/// When a breaker opens, and for how long.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct BreakerPolicy {
    /// How many updates in a row have to fail.
    pub failures: u32,
    /// How long updates are skipped then, at most [`INTERVAL_MAX`].
    pub cool_down: Duration,
}

impl Default for BreakerPolicy {
    /// 3 failures, 300 s.
    fn default() -> Self {
        Self {
            failures: 3,
            cool_down: Duration::from_secs(300),
        }
    }
}

/// What a breaker does.
///
/// ```
/// use plugin_engine_core::BreakerState;
///
/// assert_eq!(BreakerState::default().name(), "off");
/// assert_eq!(BreakerState::from_code(BreakerState::Open as u8), Some(BreakerState::Open));
/// assert_eq!(BreakerState::from_code(200), None);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum BreakerState {
    /// There is none.
    #[default]
    Off,
    /// Updates are made.
    Closed,
    /// Updates are skipped.
    Open,
    /// The probe is in flight.
    HalfOpen,
}

impl BreakerState {
    /// The state in snake case, as JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Off => "off",
            Self::Closed => "closed",
            Self::Open => "open",
            Self::HalfOpen => "half_open",
        }
    }

    /// The state with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Off,
            1 => Self::Closed,
            2 => Self::Open,
            3 => Self::HalfOpen,
            _ => return None,
        })
    }
}

impl std::fmt::Display for BreakerState {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// A breaker.
#[derive(Debug, Clone)]
pub(crate) struct Breaker {
    in_a_row: u32,
    open: bool,
    /// Until when updates are skipped; `None` where nobody knows when it opened: then the next tick is the probe.
    until: Option<Moment>,
    /// The first tick that the cool-down has put off and that nobody has counted.
    put_off: Option<Moment>,
}

impl Breaker {
    /// No update has failed.
    pub(crate) const CLOSED: Self = Self {
        in_a_row: 0,
        open: false,
        until: None,
        put_off: None,
    };

    pub(crate) fn reset(&mut self) {
        *self = Self::CLOSED;
    }

    pub(crate) fn is_open(&self) -> bool {
        self.open
    }

    /// Whether an update may be made that is due, be it as the probe.
    pub(crate) fn lets_pass(&self, now: Moment) -> bool {
        !self.open || self.until.is_none_or(|until| until <= now)
    }

    /// The tick that comes first of those that the cool-down puts off.
    pub(crate) fn puts_off(&mut self, tick: Option<Moment>) {
        self.put_off = tick.filter(|_| self.open);
    }

    /// The first tick that the cool-down has put off and that was not counted; the next to ask is told that there is none.
    pub(crate) fn take_put_off(&mut self) -> Option<Moment> {
        self.put_off.take()
    }

    /// An update has failed. Returns until when updates are skipped from now on, if they are.
    pub(crate) fn failed(&mut self, policy: &BreakerPolicy, now: Moment) -> Option<Moment> {
        self.in_a_row = self.in_a_row.saturating_add(1);
        if !self.open && self.in_a_row < policy.failures {
            return None;
        }
        self.open = true;
        self.until = Some(now.saturating_add(policy.cool_down.min(INTERVAL_MAX)));
        self.until
    }

    /// An update has completed. Says whether that closed the breaker.
    pub(crate) fn succeeded(&mut self) -> bool {
        let closed = self.open;
        self.reset();
        closed
    }

    /// `in_update` says whether an update is in flight and waited for.
    pub(crate) fn state(&self, in_update: bool) -> BreakerState {
        match self.open {
            false => BreakerState::Closed,
            true if in_update => BreakerState::HalfOpen,
            true => BreakerState::Open,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.saturating_add(Duration::from_secs(seconds))
    }

    const POLICY: BreakerPolicy = BreakerPolicy {
        failures: 3,
        cool_down: Duration::from_secs(300),
    };

    #[test]
    fn it_opens_at_the_failure_that_makes_the_number_full() {
        let mut breaker = Breaker::CLOSED;
        assert_eq!(breaker.failed(&POLICY, at(0)), None);
        assert_eq!(breaker.failed(&POLICY, at(1)), None);
        assert_eq!(breaker.failed(&POLICY, at(2)), Some(at(302)));
        assert!(!breaker.lets_pass(at(301)));
        assert!(breaker.lets_pass(at(302)));
    }

    #[test]
    fn a_success_in_between_begins_the_count_anew() {
        let mut breaker = Breaker::CLOSED;
        breaker.failed(&POLICY, at(0));
        breaker.failed(&POLICY, at(0));
        assert!(!breaker.succeeded());
        assert_eq!(breaker.failed(&POLICY, at(0)), None);
        assert!(!breaker.is_open());
    }

    #[test]
    fn a_probe_that_fails_opens_it_for_another_cool_down_and_one_that_completes_closes_it() {
        let mut breaker = Breaker::CLOSED;
        for _ in 0..3 {
            breaker.failed(&POLICY, at(0));
        }
        assert!(breaker.failed(&POLICY, at(300)).is_some());
        assert!(!breaker.lets_pass(at(599)));
        assert!(breaker.succeeded());
        assert_eq!(
            breaker.failed(&POLICY, at(601)),
            None,
            "it counts from the start"
        );
    }

    #[test]
    fn one_that_nobody_knows_when_it_opened_lets_the_next_pass() {
        let mut breaker = Breaker::CLOSED;
        breaker.open = true;
        assert!(breaker.lets_pass(Moment::ZERO));
        assert!(breaker.succeeded());
    }
}
