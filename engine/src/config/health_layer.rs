//! What is said of what follows from how a plugin's calls end, and the policies that hold.

use std::time::Duration;

use plugin_engine_core::{
    BreakerPolicy, HealthPolicy, OnHung, OnUnhealthy, PluginId, RestartPolicy,
};

use super::choices::{HungPolicy, UnhealthyPolicy};
use super::error::{Problem, code};
use super::health_keys as keys;
use super::plugin::{Holds, PluginConfig, SaidBy, id_hash};
use super::reading::Reading;
use super::source::{Place, Said};
use super::walk::Found;
use super::wanted::duration_text;

/// What one table says of it.
#[derive(Debug, Default, PartialEq)]
pub(super) struct HealthLayer {
    panic_limit: Option<Said<u64>>,
    on_unhealthy: Option<Said<UnhealthyPolicy>>,
    on_hung: Option<Said<HungPolicy>>,
    hung_intervals: Option<Said<u64>>,
    restart: RestartLayer,
    breaker: BreakerLayer,
}

#[derive(Debug, Default, PartialEq)]
struct RestartLayer {
    at: Option<Place>,
    delay: Option<Said<Duration>>,
    delay_max: Option<Said<Duration>>,
    jitter_percent: Option<Said<u64>>,
    healthy_period: Option<Said<Duration>>,
    max_restarts: Option<Said<u64>>,
    window: Option<Said<Duration>>,
}

#[derive(Debug, Default, PartialEq)]
struct BreakerLayer {
    enabled: Option<Said<bool>>,
    failures: Option<Said<u64>>,
    cool_down: Option<Said<Duration>>,
}

impl HealthLayer {
    pub(super) fn new(found: &mut Found, walk: &mut Reading<'_>) -> Self {
        let layer = Self {
            panic_limit: found.count("panic_limit"),
            on_unhealthy: found.choice("on_unhealthy").map(|said| Said {
                value: UnhealthyPolicy::of(said.value),
                at: said.at,
            }),
            on_hung: found.choice("on_hung").map(|said| Said {
                value: HungPolicy::of(said.value),
                at: said.at,
            }),
            hung_intervals: found.count("hung_intervals"),
            restart: found
                .table("restart")
                .map_or_else(RestartLayer::default, |said| RestartLayer::new(said.value)),
            breaker: found
                .table("breaker")
                .map_or_else(BreakerLayer::default, |said| BreakerLayer::new(said.value)),
        };
        layer.check(walk);
        layer
    }

    /// What one key of a table cannot know of another. What other tables say of the same plugin is minded when they come together.
    fn check(&self, walk: &mut Reading<'_>) {
        let restart = &self.restart;
        let Some(at) = &restart.at else { return };
        let value = |said: &Option<Said<Duration>>, default| {
            said.as_ref().map_or(default, |said| said.value)
        };
        let (delay, delay_max) = (
            value(&restart.delay, keys::DELAY),
            value(&restart.delay_max, keys::DELAY_MAX),
        );
        if delay > delay_max {
            let said = restart.delay.as_ref().or(restart.delay_max.as_ref());
            let reason = format!(
                "`delay` is {}, and `delay_max` is {}",
                duration_text(delay),
                duration_text(delay_max)
            );
            let problem =
                Problem::new(code::OUT_OF_RANGE, said.map_or(at, |said| &said.at), reason);
            walk.problems.add(
                problem.help("write a `delay_max` that is no shorter than `delay`".to_owned()),
            );
            return;
        }
        let policy = restart.policy();
        let shortest = policy.shortest_round();
        if policy.window <= shortest {
            let said = restart.window.as_ref().map_or(at, |said| &said.at);
            let reason = format!(
                "the delays of {} restarts add up to {}, and `window` is {}: nothing would ever be given up",
                policy.max_restarts.unwrap_or_default(),
                duration_text(shortest),
                duration_text(policy.window)
            );
            let help = "write a longer `window`, or allow fewer restarts".to_owned();
            walk.problems
                .add(Problem::new(code::OUT_OF_RANGE, said, reason).help(help));
        }
    }
}

impl RestartLayer {
    fn new(mut found: Found) -> Self {
        Self {
            at: Some(found.at.clone()),
            delay: found.duration("delay"),
            delay_max: found.duration("delay_max"),
            jitter_percent: found.count("jitter_percent"),
            healthy_period: found.duration("healthy_period"),
            max_restarts: found.count("max_restarts"),
            window: found.duration("window"),
        }
    }

    /// The policy, if nobody else said anything.
    fn policy(&self) -> RestartPolicy {
        let time = |said: &Option<Said<Duration>>, default| {
            said.as_ref().map_or(default, |said| said.value)
        };
        let count =
            |said: &Option<Said<u64>>, default| said.as_ref().map_or(default, |said| said.value);
        restart_policy(
            time(&self.delay, keys::DELAY),
            time(&self.delay_max, keys::DELAY_MAX),
            count(&self.jitter_percent, keys::JITTER_PERCENT),
            time(&self.healthy_period, keys::HEALTHY_PERIOD),
            count(&self.max_restarts, keys::RESTARTS),
            time(&self.window, keys::WINDOW),
        )
    }
}

fn restart_policy(
    first_delay: Duration,
    longest_delay: Duration,
    jitter_percent: u64,
    healthy_period: Duration,
    max_restarts: u64,
    window: Duration,
) -> RestartPolicy {
    RestartPolicy {
        first_delay,
        longest_delay,
        jitter_percent: u8::try_from(jitter_percent).unwrap_or(u8::MAX),
        healthy_period,
        max_restarts: Some(u32::try_from(max_restarts).unwrap_or(u32::MAX)),
        window,
    }
}

impl BreakerLayer {
    fn new(mut found: Found) -> Self {
        let at = found.at.clone();
        Self {
            // Whoever says anything of a breaker wants one.
            enabled: Some(found.flag("enabled").unwrap_or(Said { value: true, at })),
            failures: found.count("failures"),
            cool_down: found.duration("cool_down"),
        }
    }
}

/// What holds for a plugin, and who said it.
pub(crate) struct HealthHolds {
    pub(crate) panic_limit: Holds<u64>,
    pub(crate) on_unhealthy: Holds<UnhealthyPolicy>,
    pub(crate) on_hung: Holds<HungPolicy>,
    pub(crate) hung_intervals: Holds<u64>,
    pub(crate) delay: Holds<Duration>,
    pub(crate) delay_max: Holds<Duration>,
    pub(crate) jitter_percent: Holds<u64>,
    pub(crate) healthy_period: Holds<Duration>,
    pub(crate) max_restarts: Holds<u64>,
    pub(crate) window: Holds<Duration>,
    pub(crate) breaker: Holds<bool>,
    pub(crate) failures: Holds<u64>,
    pub(crate) cool_down: Holds<Duration>,
}

impl PluginConfig {
    /// What holds of what follows from how the plugin's calls end, key by key.
    pub(crate) fn health(&self) -> HealthHolds {
        let restart = |of: fn(&RestartLayer) -> &Option<Said<Duration>>, default| {
            self.value(|layer| of(&layer.rare().health.restart), None, default)
        };
        let mut holds = HealthHolds {
            panic_limit: self.value(|layer| &layer.rare().health.panic_limit, None, keys::PANICS),
            on_unhealthy: self.value(
                |layer| &layer.rare().health.on_unhealthy,
                None,
                UnhealthyPolicy::Restart,
            ),
            on_hung: self.value(|layer| &layer.rare().health.on_hung, None, HungPolicy::Wait),
            hung_intervals: self.value(
                |layer| &layer.rare().health.hung_intervals,
                None,
                keys::HUNG_AFTER,
            ),
            delay: restart(|says| &says.delay, keys::DELAY),
            delay_max: restart(|says| &says.delay_max, keys::DELAY_MAX),
            jitter_percent: self.value(
                |layer| &layer.rare().health.restart.jitter_percent,
                None,
                keys::JITTER_PERCENT,
            ),
            healthy_period: restart(|says| &says.healthy_period, keys::HEALTHY_PERIOD),
            max_restarts: self.value(
                |layer| &layer.rare().health.restart.max_restarts,
                None,
                keys::RESTARTS,
            ),
            window: restart(|says| &says.window, keys::WINDOW),
            breaker: self.value(|layer| &layer.rare().health.breaker.enabled, None, false),
            failures: self.value(
                |layer| &layer.rare().health.breaker.failures,
                None,
                keys::BREAKER_FAILURES,
            ),
            cool_down: self.value(
                |layer| &layer.rare().health.breaker.cool_down,
                None,
                keys::COOL_DOWN,
            ),
        };
        // What two tables say of one plugin may not fit together, though each alone does: then there is no bound that is never reached.
        holds.delay_max.value = holds.delay_max.value.max(holds.delay.value);
        let shortest = holds.restart_policy().shortest_round();
        if holds.window.value <= shortest {
            holds.window = Holds {
                value: shortest.saturating_add(Duration::from_secs(1)),
                said_by: SaidBy::BuiltIn,
            };
        }
        holds
    }
}

impl HealthHolds {
    fn restart_policy(&self) -> RestartPolicy {
        restart_policy(
            self.delay.value,
            self.delay_max.value,
            self.jitter_percent.value,
            self.healthy_period.value,
            self.max_restarts.value,
            self.window.value,
        )
    }

    /// The policies, for a plugin of this id.
    pub(crate) fn policy(&self, id: &PluginId) -> HealthPolicy {
        let count = |value: u64| u32::try_from(value).unwrap_or(u32::MAX);
        HealthPolicy {
            panic_limit: Some(count(self.panic_limit.value)),
            on_unhealthy: match self.on_unhealthy.value {
                UnhealthyPolicy::None => OnUnhealthy::None,
                UnhealthyPolicy::Restart => OnUnhealthy::Restart,
                UnhealthyPolicy::Disable => OnUnhealthy::Disable,
                UnhealthyPolicy::Unload => OnUnhealthy::Unload,
            },
            restart: self.restart_policy(),
            breaker: self.breaker.value.then(|| BreakerPolicy {
                failures: count(self.failures.value),
                cool_down: self.cool_down.value,
            }),
            on_hung: match self.on_hung.value {
                HungPolicy::Wait => OnHung::Wait,
                HungPolicy::Replace => OnHung::Replace {
                    after_intervals: count(self.hung_intervals.value),
                },
            },
            seed: id_hash(id),
        }
    }
}
