//! H2: one event per unhealthy episode, exactly one, and it comes where there were as many panics as there may be.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::{Cause, FaultKind, Health, Transition};

use super::{Checked, Seen, Violation, number};
use crate::policy::{plugin_of, policy_of};

#[derive(Default)]
struct Known {
    in_episode: bool,
    panics: u32,
    /// The first success since the last failure.
    well_since: Option<Duration>,
}

#[derive(Default)]
pub(super) struct Healths {
    plugins: BTreeMap<usize, Known>,
}

impl Healths {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        let mut told: BTreeMap<usize, usize> = BTreeMap::new();
        for event in seen.unhealthy {
            let plugin = event.id.as_ref().and_then(|id| plugin_of(id.as_str()));
            *told.entry(plugin.unwrap_or(usize::MAX)).or_default() += 1;
        }
        let mut armed: BTreeMap<usize, usize> = BTreeMap::new();
        for transition in seen.transitions {
            let plugin = number(&transition.id);
            let known = self.plugins.entry(plugin).or_default();
            if known.add(seen.now, plugin, transition) {
                *armed.entry(plugin).or_default() += 1;
            }
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let known = self.plugins.entry(plugin).or_default();
            let (told, armed) = (
                told.get(&plugin).copied().unwrap_or(0),
                armed.get(&plugin).copied().unwrap_or(0),
            );
            let most = armed + usize::from(!known.in_episode);
            if told > most {
                return Err(Violation::new(
                    "H2",
                    format!("{}: {told} events of one unhealthy episode", snapshot.id()),
                ));
            }
            let is_unhealthy = snapshot.health == Health::Unhealthy;
            if is_unhealthy && told == 0 && (!known.in_episode || armed > 0) {
                return Err(Violation::new(
                    "H2",
                    format!("{} is unhealthy, and nobody was told", snapshot.id()),
                ));
            }
            known.in_episode = is_unhealthy;
            let limit = policy_of(plugin).panic_limit;
            if known.panics >= limit && !is_unhealthy && told == 0 {
                return Err(Violation::new(
                    "H2",
                    format!(
                        "{} has panicked {} times, the limit is {limit}, and it is {}",
                        snapshot.id(),
                        known.panics,
                        snapshot.health
                    ),
                ));
            }
        }
        Ok(())
    }
}

impl Known {
    /// Whether another episode can begin after this.
    fn add(&mut self, now: Duration, plugin: usize, transition: &Transition) -> bool {
        let begins_anew = matches!(
            transition.cause,
            Cause::Recovered
                | Cause::Reset
                | Cause::SwitchedOn
                | Cause::Mapped
                | Cause::LoadFailed
                | Cause::Reloaded
                | Cause::RolledBack
                | Cause::FileRemoved
                | Cause::ShutDown
        ) || (transition.cause == Cause::Unloaded && transition.error.is_none());
        if begins_anew {
            *self = Self {
                in_episode: self.in_episode,
                ..Self::default()
            };
            return true;
        }
        let panicked = transition
            .error
            .as_ref()
            .is_some_and(|error| error.kind == FaultKind::Panic);
        match transition.cause {
            Cause::UpdatePanicked if panicked => {
                self.panics += 1;
                self.well_since = None;
            }
            Cause::UpdateCompleted => {
                let since = *self.well_since.get_or_insert(now);
                if now - since >= policy_of(plugin).restart.healthy_period {
                    self.panics = 0;
                }
            }
            // No call of it has failed.
            Cause::ReloadRefused | Cause::CallRefused | Cause::RequirementUnmet => {}
            _ if transition.error.is_some() => self.well_since = None,
            _ => {}
        }
        // Where nothing is called, nothing more is said of it.
        if !matches!(
            transition.to,
            plugin_engine::PluginState::Enabled | plugin_engine::PluginState::Running
        ) {
            self.panics = 0;
        }
        false
    }
}
