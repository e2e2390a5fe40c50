//! What is known of a plugin's health, and the policies that follow from it. What is done about it is the machine's.

use std::sync::Arc;

use crate::breaker::{Breaker, BreakerPolicy, BreakerState};
use crate::restart::{RestartDecision, RestartPolicy, Restarts};
use crate::{Fault, Moment};

/// How well a plugin is.
///
/// ```
/// use plugin_engine_core::Health;
///
/// assert_eq!(Health::default().name(), "unknown");
/// assert_eq!(Health::from_code(Health::Healthy as u8), Some(Health::Healthy));
/// ```
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord, Default)]
pub enum Health {
    /// None of its calls has shown it yet.
    #[default]
    Unknown,
    /// The last calls went well.
    Healthy,
    /// It runs, or will run again by itself, and something is not as it should be.
    Degraded,
    /// It panicked too often, passed a limit by far, or ended in Error where only somebody else can help.
    Unhealthy,
}

impl Health {
    /// The health in snake case, as JSON has it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Healthy => "healthy",
            Self::Degraded => "degraded",
            Self::Unhealthy => "unhealthy",
        }
    }

    /// The health with this number.
    #[must_use]
    pub const fn from_code(code: u8) -> Option<Self> {
        Some(match code {
            0 => Self::Unknown,
            1 => Self::Healthy,
            2 => Self::Degraded,
            3 => Self::Unhealthy,
            _ => return None,
        })
    }
}

impl std::fmt::Display for Health {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.pad(self.name())
    }
}

/// What is done with a plugin that becomes unhealthy while it is called, or while a create of it that failed is about to be tried again.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnUnhealthy {
    /// It is said, and nothing else.
    None,
    /// A new instance is created, with back-off, and given up at last.
    #[default]
    Restart,
    /// It is switched off, until somebody switches it on.
    Disable,
    /// It is unloaded, until somebody loads it or its file changes.
    Unload,
}

/// What is done with a plugin whose call does not return.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
#[non_exhaustive]
pub enum OnHung {
    /// It is waited for.
    #[default]
    Wait,
    /// Another instance is created beside it, once the call has been overdue for so many intervals.
    Replace {
        /// So many intervals.
        after_intervals: u32,
    },
}

/// How many instances a plugin has at most by [`OnHung::Replace`], those that are stuck included.
pub(crate) const HUNG_INSTANCES_MAX: usize = 3;

/// What follows from how a plugin's calls end.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct HealthPolicy {
    /// How many panics make it unhealthy, counted since the last healthy period; at least 1. `None` for never.
    pub panic_limit: Option<u32>,
    /// What is done then.
    pub on_unhealthy: OnUnhealthy,
    /// How it is restarted. The healthy period is also what ends an unhealthy episode.
    pub restart: RestartPolicy,
    /// The circuit breaker, if there is one.
    pub breaker: Option<BreakerPolicy>,
    /// What is done when a call does not return.
    pub on_hung: OnHung,
    /// Where the jitter of its restarts comes from.
    pub seed: u64,
}

impl Default for HealthPolicy {
    /// 3 panics, restarts, no breaker, and what hangs is waited for.
    fn default() -> Self {
        Self {
            panic_limit: Some(3),
            on_unhealthy: OnUnhealthy::Restart,
            restart: RestartPolicy::default(),
            breaker: None,
            on_hung: OnHung::Wait,
            seed: 0,
        }
    }
}

/// What is known of a plugin's health.
#[derive(Debug, Clone)]
pub(crate) struct HealthRecord {
    pub(crate) policy: HealthPolicy,
    /// `None` as long as nothing was wrong: most plugins never have any, and there may be very many of them.
    troubles: Option<Box<Troubles>>,
    /// Whether a call has shown how it is.
    pub(crate) is_known: bool,
    /// Whether it has failed since the last healthy period, so that there is something for another one to end.
    pub(crate) has_failed: bool,
    /// Whether the policy is to be applied as soon as no call is in flight.
    pub(crate) is_due: bool,
    /// Whether the state is Error for no longer than until the next restart.
    pub(crate) waits_for_restart: bool,
    /// Whether there is a generation before that takes over again before a policy disposes of this one.
    pub(crate) on_probation: bool,
    /// Whether the policy was held back for that, and is still to be applied: also once the probation is over.
    pub(crate) held_back: bool,
}

/// What is known of a plugin with which something was wrong.
#[derive(Debug, Clone)]
pub(crate) struct Troubles {
    pub(crate) restarts: Restarts,
    pub(crate) breaker: Breaker,
    /// Panics since the last healthy period or reset.
    pub(crate) panics: u32,
    /// Why it is unhealthy, from the beginning of an episode to its end.
    pub(crate) episode: Option<Arc<Fault>>,
    /// Which limit it passes; the flag says that it does so by far.
    pub(crate) limit: Option<(Box<str>, bool)>,
    /// What is wrong with what its configuration says now, while what that said before holds.
    pub(crate) settings: Option<Box<str>>,
    /// The first success of an update since the last failure.
    pub(crate) well_since: Option<Moment>,
}

impl Troubles {
    const fn new(policy: RestartPolicy, seed: u64) -> Self {
        Self {
            restarts: Restarts::new(policy, seed),
            breaker: Breaker::CLOSED,
            panics: 0,
            episode: None,
            limit: None,
            settings: None,
            well_since: None,
        }
    }
}

/// What is read of a plugin that has none. No restart was counted, so what its policy says of them is never asked.
static NO_TROUBLES: Troubles = Troubles::new(RestartPolicy::DEFAULT, 0);

impl HealthRecord {
    pub(crate) fn new(policy: HealthPolicy) -> Self {
        Self {
            policy,
            troubles: None,
            is_known: false,
            has_failed: false,
            is_due: false,
            waits_for_restart: false,
            on_probation: false,
            held_back: false,
        }
    }

    /// As of a plugin that has just become known; a restart that it waits for is off.
    pub(crate) fn forget(&mut self) {
        *self = Self::new(self.policy);
    }

    /// [`HealthRecord::forget`], for the same generation: if it is on probation, it stays so.
    pub(crate) fn begin_anew(&mut self) {
        let on_probation = self.on_probation;
        self.forget();
        self.on_probation = on_probation;
    }

    pub(crate) fn set_policy(&mut self, policy: HealthPolicy) {
        self.policy = policy;
        if let Some(troubles) = &mut self.troubles {
            troubles.restarts.set_policy(policy.restart);
            if policy.breaker.is_none() {
                troubles.breaker.reset();
            }
        }
    }

    /// What was wrong, for reading.
    pub(crate) fn troubles(&self) -> &Troubles {
        self.troubles.as_deref().unwrap_or(&NO_TROUBLES)
    }

    /// What was wrong, for changing it; `None` if nothing was, so that there is nothing to be put right.
    pub(crate) fn troubled(&mut self) -> Option<&mut Troubles> {
        self.troubles.as_deref_mut()
    }

    /// Something is wrong.
    pub(crate) fn trouble(&mut self) -> &mut Troubles {
        let HealthPolicy { restart, seed, .. } = self.policy;
        self.troubles
            .get_or_insert_with(|| Box::new(Troubles::new(restart, seed)))
    }

    /// Why it is unhealthy, if it is.
    pub(crate) fn episode(&self) -> Option<&Arc<Fault>> {
        self.troubles().episode.as_ref()
    }

    /// An unhealthy episode begins, or goes on for another reason; `None` ends it.
    pub(crate) fn set_episode(&mut self, why: Option<Arc<Fault>>) {
        match why {
            Some(why) => self.trouble().episode = Some(why),
            None => {
                if let Some(troubles) = self.troubled() {
                    troubles.episode = None;
                }
            }
        }
    }

    /// What its configuration says now holds.
    pub(crate) fn settings_hold(&mut self) {
        if let Some(troubles) = self.troubled() {
            troubles.settings = None;
        }
    }

    /// What the circuit breaker does; `in_update` says whether an update is in flight and waited for.
    pub(crate) fn breaker_state(&self, in_update: bool) -> BreakerState {
        match self.policy.breaker {
            None => BreakerState::Off,
            Some(_) => self.troubles().breaker.state(in_update),
        }
    }

    /// An update has failed: until when the breaker has updates skipped from now on, if it does.
    pub(crate) fn breaker_failed(&mut self, now: Moment) -> Option<Moment> {
        let policy = self.policy.breaker?;
        self.trouble().breaker.failed(&policy, now)
    }

    /// An update has completed. Says whether that closed the breaker.
    pub(crate) fn breaker_succeeded(&mut self) -> bool {
        self.troubled()
            .is_some_and(|troubles| troubles.breaker.succeeded())
    }

    /// It has failed at `now`: when it is started again, or that it is not.
    pub(crate) fn restart_after_failure(&mut self, now: Moment) -> RestartDecision {
        self.trouble().restarts.after_failure(now)
    }

    /// A call has failed, or a thread of the plugin has panicked.
    pub(crate) fn failed(&mut self) {
        self.is_known = true;
        self.has_failed = true;
        if let Some(troubles) = self.troubled() {
            troubles.well_since = None;
        }
    }

    pub(crate) fn panicked(&mut self) {
        let troubles = self.trouble();
        troubles.panics = troubles.panics.saturating_add(1);
        self.is_due |= self.is_over_the_limit();
    }

    pub(crate) fn is_over_the_limit(&self) -> bool {
        self.policy
            .panic_limit
            .is_some_and(|limit| self.troubles().panics >= limit)
    }

    /// Whether it passes a limit by far.
    pub(crate) fn is_far_over_a_limit(&self) -> bool {
        self.troubles()
            .limit
            .as_ref()
            .is_some_and(|(_, by_far)| *by_far)
    }

    /// An update has completed. Says whether a healthy period is over: one that began with a success and saw no failure since.
    pub(crate) fn succeeded(&mut self, now: Moment) -> bool {
        self.is_known = true;
        if !self.has_failed || self.is_far_over_a_limit() {
            return false;
        }
        let since = *self.trouble().well_since.get_or_insert(now);
        now.saturating_since(since) >= self.policy.restart.healthy_period
    }

    /// A healthy period is over.
    pub(crate) fn recover(&mut self) {
        self.has_failed = false;
        self.is_due = false;
        if let Some(troubles) = self.troubled() {
            troubles.panics = 0;
            troubles.episode = None;
            troubles.well_since = None;
            troubles.restarts.recovered();
        }
    }

    /// Whether updates need no look at any of this.
    pub(crate) fn is_calm(&self) -> bool {
        let open = self.troubles().breaker.is_open();
        self.is_known && !self.has_failed && !self.is_due && !open
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::ZERO.saturating_add(Duration::from_secs(seconds))
    }

    fn with_breaker(breaker: Option<BreakerPolicy>) -> HealthPolicy {
        HealthPolicy {
            breaker,
            ..HealthPolicy::default()
        }
    }

    #[test]
    fn without_a_breaker_everything_passes_and_nothing_ever_opens() {
        let mut health = HealthRecord::new(with_breaker(None));
        for _ in 0..100 {
            assert_eq!(health.breaker_failed(at(0)), None);
        }
        assert_eq!(health.breaker_state(false), BreakerState::Off);
    }

    #[test]
    fn taking_the_breaker_away_closes_it() {
        let mut health = HealthRecord::new(with_breaker(Some(BreakerPolicy::default())));
        for _ in 0..3 {
            health.breaker_failed(at(0));
        }
        assert_eq!(health.breaker_state(false), BreakerState::Open);
        health.set_policy(with_breaker(None));
        assert_eq!(health.breaker_state(false), BreakerState::Off);
        assert!(health.troubles().breaker.lets_pass(at(0)));
    }

    #[test]
    fn restarts_go_by_the_policy_that_holds_when_the_first_is_wanted() {
        let mut health = HealthRecord::new(HealthPolicy::default());
        let restart = RestartPolicy {
            first_delay: Duration::from_secs(7),
            jitter_percent: 0,
            ..RestartPolicy::default()
        };
        health.set_policy(HealthPolicy {
            restart,
            ..HealthPolicy::default()
        });
        let decision = health.restart_after_failure(at(0));
        assert_eq!(decision, RestartDecision::In(Duration::from_secs(7)));
    }

    #[test]
    fn what_goes_well_makes_no_room_for_what_does_not() {
        let mut health = HealthRecord::new(with_breaker(Some(BreakerPolicy::default())));
        health.succeeded(at(0));
        health.breaker_succeeded();
        health.set_episode(None);
        health.settings_hold();
        health.recover();
        assert!(health.is_calm());
        assert!(health.troubled().is_none());
    }
}
