//! When something that failed is started again, and when that is given up: one policy for plugins and for tasks, so that the back-off
//! and the giving up are judged by the same attempts and cannot cancel each other.

use std::collections::VecDeque;
use std::time::Duration;

use crate::Moment;
use crate::time::nanos;

/// The most restarts within a window that a policy may allow; so many moments are kept.
pub const RESTARTS_MAX: u32 = 1_000;
/// The most jitter, in percent of the delay.
pub const JITTER_PERCENT_MAX: u8 = 100;

/// How restarts back off, and how many there may be.
///
/// ```
/// use plugin_engine_core::RestartPolicy;
/// use std::time::Duration;
///
/// let policy = RestartPolicy::default();
/// assert_eq!(policy.delay(0), Duration::from_secs(1));
/// assert_eq!(policy.delay(2), Duration::from_secs(4));
/// assert_eq!(policy.delay(20), Duration::from_secs(30));
/// assert!(policy.shortest_round() < policy.window);
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct RestartPolicy {
    /// The delay before the first restart; each next one waits twice as long.
    pub first_delay: Duration,
    /// No delay is longer, jitter aside.
    pub longest_delay: Duration,
    /// By how much a delay may be longer or shorter than that, in percent; at most [`JITTER_PERCENT_MAX`].
    pub jitter_percent: u8,
    /// How long all must be well before the delay begins at the first again.
    pub healthy_period: Duration,
    /// How many restarts there may be within the window, at most [`RESTARTS_MAX`]; `None` for any number.
    pub max_restarts: Option<u32>,
    /// The window.
    pub window: Duration,
}

impl Default for RestartPolicy {
    /// 1 s doubling to 30 s, give or take a fifth; 60 s of health; 5 restarts in 10 minutes.
    fn default() -> Self {
        Self::DEFAULT
    }
}

impl RestartPolicy {
    pub(crate) const DEFAULT: Self = Self {
        first_delay: Duration::from_secs(1),
        longest_delay: Duration::from_secs(30),
        jitter_percent: 20,
        healthy_period: Duration::from_secs(60),
        max_restarts: Some(5),
        window: Duration::from_secs(600),
    };

    /// The delay before the restart after `restarts` others, without jitter.
    #[must_use]
    pub fn delay(&self, restarts: u32) -> Duration {
        let factor = 1_u32.checked_shl(restarts).unwrap_or(u32::MAX);
        self.first_delay
            .saturating_mul(factor)
            .min(self.longest_delay)
    }

    /// How long the restarts that are allowed take at the least when each fails at once. A window that is not longer would never see
    /// them together, and nothing would ever be given up.
    #[must_use]
    pub fn shortest_round(&self) -> Duration {
        let restarts = self.max_restarts.unwrap_or(0).min(RESTARTS_MAX);
        let waited = (0..restarts).fold(Duration::ZERO, |sum, one| {
            sum.saturating_add(self.delay(one))
        });
        let percent = 100 + u32::from(self.jitter_percent.min(JITTER_PERCENT_MAX));
        waited.saturating_mul(percent) / 100
    }
}

/// What follows from a failure.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum RestartDecision {
    /// It is started again after this time.
    In(Duration),
    /// It is not started again.
    GiveUp {
        /// How often it was, within the window.
        restarts: u32,
    },
}

/// The restarts of one plugin or task so far.
#[derive(Debug, Clone)]
pub struct Restarts {
    policy: RestartPolicy,
    /// How many there were since all was well the last time.
    in_a_row: u32,
    /// When those were that may lie within the window, the oldest first; as many as the policy allows.
    recent: VecDeque<Moment>,
    /// Where the jitter comes from.
    seed: u64,
}

impl Restarts {
    /// No restart so far. Plugins of different `seed` wait for different times, where the policy has jitter.
    #[must_use]
    pub const fn new(policy: RestartPolicy, seed: u64) -> Self {
        Self {
            policy,
            in_a_row: 0,
            recent: VecDeque::new(),
            seed,
        }
    }

    /// The policy.
    #[must_use]
    pub fn policy(&self) -> &RestartPolicy {
        &self.policy
    }

    /// Another policy holds from the next failure on; what has happened so far still counts.
    pub fn set_policy(&mut self, policy: RestartPolicy) {
        self.policy = policy;
    }

    /// How many restarts there were since all was well the last time.
    #[must_use]
    pub fn in_a_row(&self) -> u32 {
        self.in_a_row
    }

    /// How many restarts lie within the window at `now`, with one whose moment has not come.
    #[must_use]
    pub fn in_window(&self, now: Moment) -> u32 {
        let window = nanos(self.policy.window);
        let is_in = |at: &&Moment| now.as_nanos().saturating_sub(at.as_nanos()) < window;
        u32::try_from(self.recent.iter().filter(is_in).count()).unwrap_or(u32::MAX)
    }

    /// It has failed at `now`: when it is started again, or that it is not. A restart is counted by the moment at which it is made.
    pub fn after_failure(&mut self, now: Moment) -> RestartDecision {
        let window = nanos(self.policy.window);
        let is_old = |at: &Moment| now.as_nanos().saturating_sub(at.as_nanos()) >= window;
        while self.recent.front().is_some_and(is_old) {
            self.recent.pop_front();
        }
        let restarts = u32::try_from(self.recent.len()).unwrap_or(u32::MAX);
        if let Some(most) = self.policy.max_restarts
            && restarts >= most.min(RESTARTS_MAX)
        {
            return RestartDecision::GiveUp { restarts };
        }
        let delay = self.jittered(self.policy.delay(self.in_a_row));
        self.in_a_row = self.in_a_row.saturating_add(1);
        if self.policy.max_restarts.is_some() {
            self.recent.push_back(now.saturating_add(delay));
        }
        RestartDecision::In(delay)
    }

    /// All was well for a healthy period: the next delay is the first again. The window still knows what was in it.
    pub fn recovered(&mut self) {
        self.in_a_row = 0;
    }

    /// As if there had been none.
    pub fn reset(&mut self) {
        self.in_a_row = 0;
        self.recent.clear();
    }

    fn jittered(&mut self, delay: Duration) -> Duration {
        let percent = u64::from(self.policy.jitter_percent.min(JITTER_PERCENT_MAX));
        if percent == 0 {
            return delay;
        }
        // SplitMix64 (Steele, Lea, Flood 2014): plenty for times that only have to differ.
        self.seed = self.seed.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut bits = self.seed;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        bits ^= bits >> 31;
        // Thousandths of the delay, between less and more by the percentage.
        let spread = 2 * 10 * percent + 1;
        let thousandths = 1_000 - 10 * percent + bits % spread;
        Duration::from_nanos(
            u64::try_from(u128::from(nanos(delay)) * u128::from(thousandths) / 1_000)
                .unwrap_or(u64::MAX),
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.saturating_add(Duration::from_secs(seconds))
    }

    fn policy(max_restarts: Option<u32>) -> RestartPolicy {
        RestartPolicy {
            jitter_percent: 0,
            max_restarts,
            ..RestartPolicy::default()
        }
    }

    /// Fails again as soon as it was started, until it is given up or was started `times` times. The delays in seconds.
    fn fail_at_once(restarts: &mut Restarts, mut now: Moment, times: u32) -> Vec<u64> {
        let mut delays = Vec::new();
        for _ in 0..times {
            match restarts.after_failure(now) {
                RestartDecision::In(delay) => {
                    delays.push(delay.as_secs());
                    now = now.saturating_add(delay);
                }
                RestartDecision::GiveUp { .. } => break,
            }
        }
        delays
    }

    #[test]
    fn delays_double_from_the_first_to_the_longest_and_stay_there() {
        let mut restarts = Restarts::new(policy(None), 0);
        let delays = fail_at_once(&mut restarts, at(0), 8);
        assert_eq!(delays, [1, 2, 4, 8, 16, 30, 30, 30]);
    }

    #[test]
    fn it_is_given_up_when_there_were_as_many_within_the_window_as_are_allowed() {
        let mut restarts = Restarts::new(policy(Some(5)), 0);
        assert_eq!(fail_at_once(&mut restarts, at(0), 99), [1, 2, 4, 8, 16]);
        let decision = restarts.after_failure(at(31));
        assert_eq!(decision, RestartDecision::GiveUp { restarts: 5 });
    }

    #[test]
    fn giving_up_does_not_depend_on_the_back_off_having_been_reset() {
        // One failure every 61 s: the back-off is at its first delay each time, and the window counts all the same.
        let mut restarts = Restarts::new(policy(Some(5)), 0);
        for time in 0..5 {
            let decision = restarts.after_failure(at(time * 61));
            assert_eq!(decision, RestartDecision::In(Duration::from_secs(1)));
            restarts.recovered();
        }
        let decision = restarts.after_failure(at(5 * 61));
        assert_eq!(decision, RestartDecision::GiveUp { restarts: 5 });
    }

    #[test]
    fn the_back_off_does_not_depend_on_the_window_having_forgotten() {
        // One failure every 10 minutes: the window is empty each time, and without health the delay goes on doubling.
        let mut restarts = Restarts::new(policy(Some(5)), 0);
        for (time, delay) in [1, 2, 4, 8, 16, 30, 30].into_iter().enumerate() {
            let decision = restarts.after_failure(at(time as u64 * 700));
            assert_eq!(decision, RestartDecision::In(Duration::from_secs(delay)));
        }
    }

    #[test]
    fn after_a_healthy_period_the_delay_begins_at_the_first_again() {
        let mut restarts = Restarts::new(policy(None), 0);
        fail_at_once(&mut restarts, at(0), 6);
        restarts.recovered();
        assert_eq!(fail_at_once(&mut restarts, at(200), 3), [1, 2, 4]);
    }

    #[test]
    fn a_reset_forgets_what_is_in_the_window_too() {
        let mut restarts = Restarts::new(policy(Some(2)), 0);
        fail_at_once(&mut restarts, at(0), 99);
        restarts.reset();
        assert_eq!(fail_at_once(&mut restarts, at(10), 99), [1, 2]);
    }

    #[test]
    fn a_restart_counts_from_when_it_is_made_not_from_the_failure() {
        let slow = RestartPolicy {
            first_delay: Duration::from_secs(30),
            window: Duration::from_secs(60),
            ..policy(Some(1))
        };
        let mut restarts = Restarts::new(slow, 0);
        restarts.after_failure(at(0));
        assert_eq!(
            restarts.after_failure(at(89)),
            RestartDecision::GiveUp { restarts: 1 }
        );
        assert!(matches!(
            restarts.after_failure(at(90)),
            RestartDecision::In(_)
        ));
    }

    #[test]
    fn none_allowed_is_given_up_at_once() {
        let mut restarts = Restarts::new(policy(Some(0)), 0);
        assert_eq!(
            restarts.after_failure(at(0)),
            RestartDecision::GiveUp { restarts: 0 }
        );
    }

    #[test]
    fn jitter_stays_in_its_range_and_differs_between_seeds() {
        let jittery = RestartPolicy {
            max_restarts: None,
            ..RestartPolicy::default()
        };
        let delays: Vec<_> = (0..200)
            .map(|seed| Restarts::new(jittery, seed).after_failure(at(0)))
            .collect();
        for decision in &delays {
            let RestartDecision::In(delay) = decision else {
                panic!("given up");
            };
            assert!((800..=1_200).contains(&delay.as_millis()), "{delay:?}");
        }
        assert!(delays.iter().any(|delay| *delay != delays[0]));
    }

    #[test]
    fn the_jitter_of_a_seed_is_drawn_from_all_of_its_bits() {
        let jittery = RestartPolicy {
            max_restarts: None,
            first_delay: Duration::from_secs(1),
            longest_delay: Duration::from_secs(1),
            ..RestartPolicy::default()
        };
        let mut restarts = Restarts::new(jittery, 0);
        // What SplitMix64 begins with for the seed 0, from the authors' reference.
        for bits in [
            0xe220_a839_7b1d_cdaf_u64,
            0x6e78_9e6a_a1b9_65f4,
            0x06c4_5d18_8009_454f,
        ] {
            let delay = Duration::from_millis(800 + bits % 401);
            assert_eq!(restarts.after_failure(at(0)), RestartDecision::In(delay));
        }
    }

    #[test]
    fn restarts_are_counted_in_a_row_and_within_the_window_which_they_leave_at_its_end() {
        let mut restarts = Restarts::new(policy(Some(5)), 0);
        assert_eq!(*restarts.policy(), policy(Some(5)));
        assert_eq!((restarts.in_a_row(), restarts.in_window(at(0))), (0, 0));
        // Made a second after the failure.
        restarts.after_failure(at(0));
        assert_eq!((restarts.in_a_row(), restarts.in_window(at(600))), (1, 1));
        assert_eq!(restarts.in_window(at(601)), 0);
        restarts.after_failure(at(1));
        assert_eq!((restarts.in_a_row(), restarts.in_window(at(3))), (2, 2));
    }

    #[test]
    fn absurd_policies_saturate() {
        let absurd = RestartPolicy {
            first_delay: Duration::MAX,
            longest_delay: Duration::MAX,
            jitter_percent: 255,
            healthy_period: Duration::MAX,
            max_restarts: Some(u32::MAX),
            window: Duration::MAX,
        };
        let mut restarts = Restarts::new(absurd, 7);
        for _ in 0..=RESTARTS_MAX {
            restarts.after_failure(at(1));
        }
        assert!(matches!(
            restarts.after_failure(at(2)),
            RestartDecision::GiveUp { .. }
        ));
        assert!(absurd.shortest_round() > Duration::from_secs(1));
    }

    #[test]
    fn the_shortest_round_is_the_sum_of_the_delays_at_their_longest() {
        assert_eq!(policy(Some(5)).shortest_round(), Duration::from_secs(31));
        let jittery = RestartPolicy::default();
        assert_eq!(jittery.shortest_round(), Duration::from_millis(37_200));
    }
}
