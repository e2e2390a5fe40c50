//! L5, L7, L11: which instance is called. None of a plugin that is switched off or unloaded, none that was replaced, and after a refused
//! reload the same one as before.

use std::collections::BTreeMap;

use plugin_engine::{CallKind, Cause, PluginState};

use super::{Checked, Seen, Violation, number};
use crate::policy::policy_of;
use crate::world::What;

struct Known {
    state: PluginState,
    /// The instance of the last update.
    instance: Option<u64>,
    /// How many others there may have been since.
    may_be_another: u32,
}

impl Default for Known {
    fn default() -> Self {
        Self {
            state: PluginState::Unloaded,
            instance: None,
            may_be_another: 1,
        }
    }
}

#[derive(Default)]
pub(super) struct Instances {
    plugins: BTreeMap<usize, Known>,
}

impl Instances {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        // All states that a plugin was in since the last look: what came first in one moment is not known.
        let mut states: BTreeMap<usize, Vec<PluginState>> = BTreeMap::new();
        for (plugin, known) in &self.plugins {
            states.insert(*plugin, vec![known.state]);
        }
        for transition in seen.transitions {
            let plugin = number(&transition.id);
            let known = self.plugins.entry(plugin).or_default();
            states
                .entry(plugin)
                .or_insert_with(|| vec![PluginState::Unloaded])
                .push(transition.to);
            known.state = transition.to;
            let stop_first = policy_of(plugin).stop_first;
            known.may_be_another += u32::from(match transition.cause {
                Cause::Created
                | Cause::CreatedAnew
                | Cause::Replaced
                | Cause::Restarted
                | Cause::RequirementMet
                | Cause::SwitchedOn
                | Cause::Reset
                | Cause::Reloaded
                | Cause::RolledBack
                | Cause::Mapped => true,
                Cause::ReloadRefused => stop_first,
                _ => false,
            });
            let wakes = matches!(
                (transition.from, transition.cause),
                (PluginState::Unloaded, Cause::Mapped)
                    | (PluginState::Disabled, Cause::SwitchedOn | Cause::Reset)
            );
            if wakes && !seen.is_asked(plugin) {
                return Err(Violation::new(
                    "L7",
                    format!("{transition}, and nobody has asked for it"),
                ));
            }
        }
        for fact in seen.facts.iter().filter(|fact| fact.by_worker) {
            let What::Began(_) = fact.what else { continue };
            let known = self.plugins.entry(fact.plugin).or_default();
            let states = states.get(&fact.plugin).map_or(&[][..], Vec::as_slice);
            let is_called = states
                .iter()
                .any(|state| matches!(state, PluginState::Enabled | PluginState::Running));
            let is_wrong = match fact.call {
                CallKind::Update | CallKind::Display | CallKind::SaveState => !is_called,
                CallKind::Create => {
                    let is_off = states.iter().all(|state| {
                        matches!(state, PluginState::Unloaded | PluginState::Disabled)
                    });
                    is_off && !seen.is_asked(fact.plugin)
                }
                _ => false,
            };
            if is_wrong {
                return Err(Violation::new(
                    "L7",
                    format!(
                        "{} of plugin {}, which was {states:?}",
                        fact.call, fact.plugin
                    ),
                ));
            }
            if fact.call != CallKind::Update {
                continue;
            }
            let is_same = known.instance == Some(fact.instance);
            if !is_same && known.may_be_another == 0 {
                return Err(Violation::new(
                    "L5",
                    format!(
                        "plugin {} is called in instance {}, and in {:?} before, and nothing says why",
                        fact.plugin, fact.instance, known.instance
                    ),
                ));
            }
            if !is_same {
                known.instance = Some(fact.instance);
                known.may_be_another -= 1;
            }
            let is_quiet = seen.transitions.iter().all(|transition| {
                number(&transition.id) != fact.plugin || is_of_updates(transition.cause)
            });
            if is_quiet {
                known.may_be_another = 0;
            }
        }
        Ok(())
    }
}

/// Whether an entry says nothing of another instance.
fn is_of_updates(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::UpdateStarted | Cause::UpdateCompleted | Cause::UpdateFailed | Cause::UpdateTimedOut
    )
}
