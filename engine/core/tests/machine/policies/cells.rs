//! One cell of policy and outcome: the outcome happens to a plugin under the policy, and what is there then is what a person expects.

use std::time::Duration;

use plugin_engine_core::{Health, HealthPolicy, OnUnhealthy, PluginState, RestartPolicy};

use crate::rig::Rig;

/// The first delay is no multiple of anything else on the bench.
pub(super) const DELAY_MS: u64 = 4_100;

/// One panic is enough, and restarts come when they are expected to.
pub(super) fn policy(on_unhealthy: OnUnhealthy) -> HealthPolicy {
    HealthPolicy {
        panic_limit: Some(1),
        on_unhealthy,
        restart: RestartPolicy {
            first_delay: Duration::from_millis(DELAY_MS),
            jitter_percent: 0,
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    }
}

/// What is there after the outcome.
#[derive(Debug, PartialEq)]
pub(super) struct After {
    pub(super) entries: String,
    pub(super) state: PluginState,
    pub(super) next_ms: Option<u64>,
    pub(super) health: Health,
    pub(super) told: u32,
    pub(super) restarts: bool,
}

impl After {
    pub(super) fn of(rig: &mut Rig) -> Self {
        Self {
            entries: rig.take_entries(),
            state: rig.state(),
            next_ms: rig.next_ms(),
            health: rig.machine.health(),
            told: rig.told,
            restarts: rig.machine.waits_for_restart(),
        }
    }
}

/// A test for each cell of a row: `name: policy => entries, state, next tick in ms, health, how often it was said`. A restart is waited for
/// where the state is Error and there is a next tick.
macro_rules! cells {
    ($outcome:ident: $($name:ident: $policy:ident => $entries:literal, $state:ident, $next_ms:expr, $health:ident, $told:literal;)+) => {
        $(
            #[test]
            fn $name() {
                use crate::policies::cells::{After, policy};
                use plugin_engine_core::{Health, OnUnhealthy, PluginState};

                let mut rig = $outcome(policy(OnUnhealthy::$policy));
                let next_ms: Option<u64> = $next_ms;
                let expected = After {
                    entries: $entries.to_owned(),
                    state: PluginState::$state,
                    next_ms,
                    health: Health::$health,
                    told: $told,
                    restarts: PluginState::$state == PluginState::Error && next_ms.is_some(),
                };
                assert_eq!(After::of(&mut rig), expected);
            }
        )+
    };
}
pub(super) use cells;
