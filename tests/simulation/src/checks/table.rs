//! The state machine of the contract: only what its table has, and each entry goes on where the one before of the plugin ended.

use std::collections::BTreeMap;

use plugin_engine::{Cause, PluginState, Transition};

use super::{Checked, Seen, Violation, number};

#[derive(Default)]
pub(super) struct Table {
    states: BTreeMap<usize, PluginState>,
}

impl Table {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for transition in seen.transitions {
            let state = self
                .states
                .entry(number(&transition.id))
                .or_insert(PluginState::Unloaded);
            if transition.from != *state {
                return Err(Violation::new(
                    "table",
                    format!(
                        "{transition} begins at another state than {state}, where the last ended"
                    ),
                ));
            }
            if !is_legal(transition) {
                return Err(Violation::new(
                    "table",
                    format!("{transition} is not in the table"),
                ));
            }
            *state = transition.to;
        }
        Ok(())
    }
}

/// The table of the contract, row by row; not the function of the engine.
fn is_legal(transition: &Transition) -> bool {
    use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};
    let (from, to) = (transition.from, transition.to);
    let stays = from == to;
    let leads = |froms: &[PluginState], there: PluginState| froms.contains(&from) && to == there;
    match transition.cause {
        Cause::Mapped => leads(&[Unloaded], Loaded),
        Cause::LoadFailed | Cause::Quarantined => leads(&[Unloaded], Error),
        Cause::Created => leads(&[Loaded], Enabled),
        Cause::CreateFailed | Cause::GaveUp => leads(&[Loaded, Enabled, Disabled, Error], Error),
        Cause::RequirementUnmet => leads(&[Loaded, Disabled, Error], Error),
        Cause::RequirementMet | Cause::Restarted => leads(&[Error], Enabled),
        Cause::UpdateStarted => leads(&[Enabled], Running),
        Cause::UpdateCompleted
        | Cause::UpdateFailed
        | Cause::UpdateTimedOut
        | Cause::UpdatePanicked => leads(&[Running], Enabled),
        Cause::FailedPermanently => leads(&[Running], Error),
        Cause::Unhealthy => leads(&[Enabled], Error),
        Cause::SwitchedOff => leads(&[Loaded, Enabled, Error], Disabled),
        Cause::SwitchedOn => leads(&[Disabled, Error], Enabled),
        Cause::Reset => leads(&[Enabled, Disabled, Error], Enabled),
        Cause::Reloaded | Cause::RolledBack => {
            leads(&[Enabled, Error], Enabled) || leads(&[Disabled], Disabled)
        }
        Cause::Unloaded | Cause::FileRemoved | Cause::ShutDown => {
            leads(&[Loaded, Enabled, Disabled, Error], Unloaded)
        }
        Cause::CreatedAnew
        | Cause::Replaced
        | Cause::TurnedUnhealthy
        | Cause::Recovered
        | Cause::BreakerOpened
        | Cause::BreakerClosed
        | Cause::DisplayFailed
        | Cause::SaveFailed => leads(&[Enabled], Enabled),
        Cause::CallRefused => leads(&[Loaded], Error) || (stays && matches!(from, Enabled | Error)),
        Cause::Reconfigured => stays && !matches!(from, Unloaded | Running),
        Cause::LimitPassed | Cause::LimitsKept => stays && matches!(from, Enabled | Running),
        Cause::ReturnedLate
        | Cause::ThreadPanicked
        | Cause::DestroyFailed
        | Cause::ReloadRefused => stays,
        Cause::Crashed | Cause::Interrupted => leads(&[Unloaded], Unloaded),
    }
}
