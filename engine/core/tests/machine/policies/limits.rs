//! Limits of use, and settings that are not good: what makes a plugin degraded while it runs.

use plugin_engine_core::{
    CallOutcome, CreateReason, Event, FaultKind, Health, HealthPolicy, OnUnhealthy, PluginState,
};

use super::cells::{DELAY_MS, policy};
use crate::rig::{INTERVAL_MS, Rig, report};

fn passed(unhealthy: bool) -> Event {
    Event::LimitPassed {
        unhealthy,
        report: report(
            FaultKind::Limit,
            if unhealthy { "too much" } else { "much" },
        ),
    }
}

fn running(on_unhealthy: OnUnhealthy) -> Rig {
    let mut rig = Rig::under(policy(on_unhealthy));
    rig.update(CallOutcome::Completed);
    rig.take_entries();
    rig
}

/// Completes updates for so many seconds.
fn update_for(rig: &mut Rig, seconds: u64) {
    for _ in 0..seconds {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(CallOutcome::Completed);
    }
}

#[test]
fn a_limit_that_stays_passed_is_an_entry_once() {
    let mut rig = running(OnUnhealthy::None);
    assert!(rig.take(passed(false)).effects.health_changed);
    let step = rig.take(passed(false));
    assert!(step.record.is_none() && !step.effects.health_changed);
    assert_eq!(rig.take_entries(), "limit_passed");
    assert_eq!(rig.machine.health_reason(), Some("much"));
    assert_eq!(rig.state(), PluginState::Enabled);
}

#[test]
fn a_plugin_that_keeps_its_limits_again_is_healthy_at_once_if_it_was_degraded() {
    let mut rig = running(OnUnhealthy::Restart);
    rig.take(passed(false));
    rig.take(Event::LimitsKept);
    assert_eq!(rig.machine.health(), Health::Healthy);
    rig.take(Event::LimitsKept);
    assert_eq!(rig.take_entries(), "limit_passed limits_kept");
    assert_eq!(rig.told, 0);
}

#[test]
fn a_plugin_that_keeps_its_limits_again_is_healthy_after_a_healthy_period_if_it_was_unhealthy() {
    let mut rig = running(OnUnhealthy::None);
    rig.take(passed(true));
    update_for(&mut rig, 100);
    assert_eq!(
        rig.machine.health(),
        Health::Unhealthy,
        "good updates do not help"
    );
    rig.take(Event::LimitsKept);
    update_for(&mut rig, 60);
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    update_for(&mut rig, 1);
    assert_eq!(rig.machine.health(), Health::Healthy);
    rig.take(passed(true));
    assert_eq!(rig.told, 2, "it is another episode");
}

#[test]
fn a_limit_that_is_passed_further_is_said_and_acted_upon() {
    let mut rig = running(OnUnhealthy::Restart);
    rig.take(passed(false));
    rig.take(passed(true));
    assert_eq!(rig.take_entries(), "limit_passed limit_passed unhealthy");
    assert_eq!(rig.told, 1);
    assert_eq!(rig.error().kind, FaultKind::Limit);
    assert_eq!(rig.message(), Some("restarted in 4s 100ms: too much"));
}

#[test]
fn a_limit_passed_during_an_update_is_acted_upon_at_its_end() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    let id = rig.start(crate::rig::DUE);
    rig.take(passed(true));
    assert_eq!(rig.told, 1);
    rig.end(id, CallOutcome::Completed);
    assert_eq!(
        rig.take_entries(),
        "update_started limit_passed update_completed unhealthy"
    );
}

#[test]
fn an_instance_that_passes_a_limit_as_the_one_before_did_is_restarted_again_until_it_is_given_up() {
    let mut limited = policy(OnUnhealthy::Restart);
    limited.restart.max_restarts = Some(2);
    let mut rig = Rig::under(limited);
    let mut delays = Vec::new();
    loop {
        rig.take(passed(true));
        let Some(next_ms) = rig.next_ms() else { break };
        delays.push(next_ms - rig.now_ms);
        rig.at(next_ms).create(CreateReason::Restart);
    }
    assert_eq!(delays, [DELAY_MS, 2 * DELAY_MS]);
    assert!(
        rig.take_entries()
            .ends_with("restarted limit_passed gave_up")
    );
    assert_eq!(rig.told, 1);
}

#[test]
fn what_an_instance_used_that_is_gone_does_not_make_the_next_one_unhealthy_for_ever() {
    let mut rig = running(OnUnhealthy::Restart);
    rig.take(passed(true));
    let next_ms = rig.next_ms().unwrap();
    rig.at(next_ms).create(CreateReason::Restart);
    rig.update(CallOutcome::Completed);
    update_for(&mut rig, 60);
    assert_eq!(rig.machine.health(), Health::Healthy);
    assert!(rig.take_entries().ends_with("recovered"));
}

#[test]
fn settings_that_became_bad_are_the_reason_until_they_are_good_again() {
    let mut rig = running(OnUnhealthy::Restart);
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Config, "start: not a number"),
        created_anew: false,
    });
    rig.at(INTERVAL_MS).update(CallOutcome::Completed);
    assert_eq!(rig.machine.health(), Health::Degraded);
    assert_eq!(rig.machine.health_reason(), Some("start: not a number"));
    assert!(rig.take(Event::ConfigurationHolds).effects.health_changed);
    assert_eq!(rig.machine.health(), Health::Healthy);
}

#[test]
fn a_file_that_is_refused_at_a_reload_says_nothing_of_the_health() {
    let mut rig = running(OnUnhealthy::Restart);
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: false,
    });
    assert_eq!(rig.machine.health(), Health::Healthy);
}

#[test]
fn a_plugin_that_is_switched_off_passes_no_limit() {
    let mut rig = running(OnUnhealthy::None);
    rig.take(passed(false));
    rig.take(Event::SwitchedOff);
    assert_eq!(rig.machine.health(), Health::Healthy);
    rig.refused(passed(true));
    rig.refused(Event::LimitsKept);
}

#[test]
fn the_policies_are_those_that_were_set() {
    let mut rig = Rig::enabled();
    let policy = HealthPolicy {
        seed: 7,
        ..policy(OnUnhealthy::Unload)
    };
    rig.machine.set_health_policy(policy);
    assert_eq!(*rig.machine.health_policy(), policy);
}

#[test]
fn a_panic_of_those_that_are_allowed_is_not_said_to_be_why() {
    let mut allowed = policy(OnUnhealthy::Restart);
    allowed.panic_limit = Some(3);
    let mut rig = Rig::under(allowed);
    let id = rig.start(crate::rig::DUE);
    rig.take(passed(true));
    rig.end(id, crate::rig::panicked("oh"));
    assert_eq!(rig.message(), Some("restarted in 4s 100ms: too much"));
}

#[test]
fn a_policy_that_is_set_again_leaves_what_is_still_to_be_said() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    let id = rig.start(crate::rig::DUE);
    rig.take(passed(true));
    let set_again = policy(OnUnhealthy::None);
    rig.machine.set_health_policy(set_again);
    rig.end(id, CallOutcome::Completed);
    assert!(rig.take_entries().ends_with("turned_unhealthy"));
}
