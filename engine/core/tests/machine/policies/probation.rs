//! Every policy while the generation before may take over again: that comes first, and the policy after it, if it comes to nothing.

use plugin_engine_core::{
    CallOutcome, Cause, CreateReason, Event, FaultKind, Health, HealthPolicy, OnUnhealthy,
    PluginState,
};

use super::cells::{DELAY_MS, cells, policy};
use crate::rig::{DUE, Rig, panicked, report, takeover};

fn on_probation(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.take(Event::Reloaded(Box::new(takeover(false))));
    rig.machine.begin_probation();
    rig.take_entries();
    rig
}

fn panicked_on_probation(policy: HealthPolicy) -> Rig {
    let mut rig = on_probation(policy);
    rig.update(panicked("oh"));
    rig
}

cells! { panicked_on_probation:
    nothing_is_done_on_probation: None    => "update_started update_panicked turned_unhealthy", Enabled, Some(1_000), Unhealthy, 1;
    restart_on_probation:         Restart => "update_started update_panicked unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    wait_for_the_roll_back_instead_of_switching_off: Disable => "update_started update_panicked unhealthy", Error, None, Unhealthy, 1;
    wait_for_the_roll_back_instead_of_unloading:     Unload  => "update_started update_panicked unhealthy", Error, None, Unhealthy, 1;
}

fn rolled_back(policy: HealthPolicy) -> Rig {
    let mut rig = panicked_on_probation(policy);
    rig.take_entries();
    rig.take(Event::Reloaded(Box::new(takeover(true))));
    rig
}

cells! { rolled_back:
    what_takes_over_again_is_not_switched_off_for_what_did_not: Disable => "rolled_back", Enabled, Some(0), Unknown, 1;
    what_takes_over_again_is_not_unloaded_for_what_did_not:     Unload  => "rolled_back", Enabled, Some(0), Unknown, 1;
}

/// The end of a probation that came to nothing; what is left to be done then is done.
fn not_rolled_back(policy: HealthPolicy) -> Rig {
    let mut rig = panicked_on_probation(policy);
    rig.take_entries();
    rig.machine.end_probation();
    while rig.machine.has_more_to_say() {
        rig.take(Event::Judged);
    }
    rig
}

cells! { not_rolled_back:
    a_roll_back_in_vain_leaves_the_restart:         Restart => "", Error, Some(DELAY_MS), Unhealthy, 1;
    a_roll_back_in_vain_is_followed_by_the_switch:  Disable => "switched_off", Disabled, None, Unhealthy, 1;
    a_roll_back_in_vain_is_followed_by_the_unload:  Unload  => "unloaded", Unloaded, None, Unhealthy, 1;
}

#[test]
fn what_waits_for_its_roll_back_says_so() {
    let rig = panicked_on_probation(policy(OnUnhealthy::Disable));
    let message = rig.message().unwrap();
    assert!(
        message.starts_with("to be rolled back: panicked once"),
        "{message}"
    );
    assert!(!rig.machine.has_instance());
}

#[test]
fn a_reset_on_probation_begins_anew_and_a_panic_after_it_waits_for_the_roll_back_again() {
    let mut rig = panicked_on_probation(policy(OnUnhealthy::Unload));
    rig.create(CreateReason::Reset);
    assert_eq!(rig.machine.health(), Health::Unknown);
    let id = rig.start(DUE);
    let step = rig.end(id, panicked("oh"));
    assert_eq!(step.record.unwrap().cause, Cause::UpdatePanicked);
    assert_eq!(rig.state(), PluginState::Error);
}

#[test]
fn what_a_person_switches_off_on_probation_is_on_none_any_more() {
    let mut rig = on_probation(policy(OnUnhealthy::Unload));
    rig.take(Event::SwitchedOff);
    rig.create(CreateReason::SwitchedOn);
    rig.update(panicked("oh"));
    assert_eq!(rig.state(), PluginState::Unloaded);
}

#[test]
fn a_policy_that_waits_for_the_roll_back_goes_on_waiting_whatever_comes_between() {
    let mut rig = panicked_on_probation(policy(OnUnhealthy::Disable));
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: false,
    });
    rig.take(Event::TickSkipped);
    assert_eq!(rig.state(), PluginState::Error);
    rig.machine.end_probation();
    rig.take(Event::Judged);
    assert_eq!(rig.state(), PluginState::Disabled);
}

#[test]
fn a_probation_that_ends_while_the_instance_is_destroyed_has_the_policy_come_after_that() {
    for (on_unhealthy, state) in [
        (OnUnhealthy::Disable, PluginState::Disabled),
        (OnUnhealthy::Unload, PluginState::Unloaded),
    ] {
        let mut rig = panicked_on_probation(policy(on_unhealthy));
        let id = rig.start(Event::DestroyStarted { current: false });
        rig.machine.end_probation();
        assert!(!rig.machine.has_more_to_say(), "a call is waited for");
        rig.end(id, CallOutcome::Completed);
        assert_eq!(rig.state(), state);
    }
}
