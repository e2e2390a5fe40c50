//! Every policy after every way to panic. The limit is one panic.

use plugin_engine_core::{
    CallOutcome, CreateReason, Event, FaultKind, FaultReport, HealthPolicy, PluginState,
};

use super::cells::{DELAY_MS, cells};
use crate::rig::{DUE, Rig, TIMEOUT_MS, failed_for_good, panicked, report};

fn thread_panicked() -> Event {
    Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh"))
}

fn update_panicked(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.update(panicked("oh"));
    rig
}

cells! { update_panicked:
    nothing_is_done_when_an_update_panicked: None    => "update_started update_panicked turned_unhealthy", Enabled, Some(1_000), Unhealthy, 1;
    restart_when_an_update_panicked:         Restart => "update_started update_panicked unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_an_update_panicked:      Disable => "update_started update_panicked switched_off", Disabled, None, Unhealthy, 1;
    unload_when_an_update_panicked:          Unload  => "update_started update_panicked unloaded", Unloaded, None, Unhealthy, 1;
}

fn display_panicked(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.display(panicked("oh"));
    rig
}

cells! { display_panicked:
    nothing_is_done_when_a_display_panicked: None    => "display_failed turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_when_a_display_panicked:         Restart => "display_failed unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_a_display_panicked:      Disable => "display_failed switched_off", Disabled, None, Unhealthy, 1;
    unload_when_a_display_panicked:          Unload  => "display_failed unloaded", Unloaded, None, Unhealthy, 1;
}

fn save_panicked(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.start(Event::SaveStarted);
    rig.end(id, panicked("oh"));
    rig
}

cells! { save_panicked:
    nothing_is_done_when_saving_the_state_panicked: None    => "save_failed turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_when_saving_the_state_panicked:         Restart => "save_failed unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_saving_the_state_panicked:      Disable => "save_failed switched_off", Disabled, None, Unhealthy, 1;
    unload_when_saving_the_state_panicked:          Unload  => "save_failed unloaded", Unloaded, None, Unhealthy, 1;
}

fn thread_panicked_at_rest(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    rig.take(thread_panicked());
    rig
}

cells! { thread_panicked_at_rest:
    nothing_is_done_when_a_thread_panicked_at_rest: None    => "thread_panicked turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_when_a_thread_panicked_at_rest:         Restart => "thread_panicked unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_a_thread_panicked_at_rest:      Disable => "thread_panicked switched_off", Disabled, None, Unhealthy, 1;
    unload_when_a_thread_panicked_at_rest:          Unload  => "thread_panicked unloaded", Unloaded, None, Unhealthy, 1;
}

fn thread_panicked_during_an_update(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.start(DUE);
    rig.take(thread_panicked());
    assert_eq!(rig.state(), PluginState::Running, "the call is in the way");
    assert_eq!(rig.told, 1, "it is said when it is known");
    rig.end(id, CallOutcome::Completed);
    rig
}

cells! { thread_panicked_during_an_update:
    nothing_is_done_when_a_thread_panicked_during_an_update: None    => "update_started thread_panicked update_completed turned_unhealthy", Enabled, Some(1_000), Unhealthy, 1;
    restart_at_its_end_when_a_thread_panicked_during_an_update:    Restart => "update_started thread_panicked update_completed unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_at_its_end_when_a_thread_panicked_during_an_update: Disable => "update_started thread_panicked update_completed switched_off", Disabled, None, Unhealthy, 1;
    unload_at_its_end_when_a_thread_panicked_during_an_update:     Unload  => "update_started thread_panicked update_completed unloaded", Unloaded, None, Unhealthy, 1;
}

fn thread_panicked_during_an_update_that_fails_for_good(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.start(DUE);
    rig.take(thread_panicked());
    rig.end(id, failed_for_good("no"));
    rig
}

cells! { thread_panicked_during_an_update_that_fails_for_good:
    error_after_a_panic_when_the_update_failed_for_good:                      None    => "update_started thread_panicked failed_permanently", Error, None, Unhealthy, 1;
    error_without_a_restart_after_a_panic_when_the_update_failed_for_good:    Restart => "update_started thread_panicked failed_permanently", Error, None, Unhealthy, 1;
    error_and_not_switched_off_after_a_panic_when_the_update_failed_for_good: Disable => "update_started thread_panicked failed_permanently", Error, None, Unhealthy, 1;
    error_and_not_unloaded_after_a_panic_when_the_update_failed_for_good:     Unload  => "update_started thread_panicked failed_permanently", Error, None, Unhealthy, 1;
}

fn thread_panicked_during_a_display_that_hangs(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.start(Event::DisplayStarted);
    rig.take(thread_panicked());
    assert_eq!(rig.take_entries(), "thread_panicked");
    rig.now_ms += 200;
    rig.time_out(id);
    rig
}

cells! { thread_panicked_during_a_display_that_hangs:
    nothing_is_done_when_a_thread_panicked_during_a_display_that_hangs: None    => "display_failed turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_at_its_deadline_when_a_thread_panicked_during_a_display:    Restart => "display_failed unhealthy", Error, Some(200 + DELAY_MS), Unhealthy, 1;
    switch_off_at_its_deadline_when_a_thread_panicked_during_a_display: Disable => "display_failed switched_off", Disabled, None, Unhealthy, 1;
    unload_at_its_deadline_when_a_thread_panicked_during_a_display:     Unload  => "display_failed unloaded", Unloaded, None, Unhealthy, 1;
}

fn thread_panicked_during_the_create(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::loaded_under(policy);
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.take(thread_panicked());
    assert_eq!(rig.state(), PluginState::Loaded);
    rig.end(id, CallOutcome::Completed);
    rig
}

cells! { thread_panicked_during_the_create:
    nothing_is_done_when_a_thread_panicked_during_the_create: None    => "thread_panicked created turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_at_its_end_when_a_thread_panicked_during_the_create:    Restart => "thread_panicked created unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_at_its_end_when_a_thread_panicked_during_the_create: Disable => "thread_panicked created switched_off", Disabled, None, Unhealthy, 1;
    unload_at_its_end_when_a_thread_panicked_during_the_create:     Unload  => "thread_panicked created unloaded", Unloaded, None, Unhealthy, 1;
}

/// A result that is discarded counts for nothing (C3); the instance is not called again all the same (H1).
fn update_panicked_late(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.hang();
    rig.end(id, panicked("oh"));
    assert!(rig.machine.is_poisoned());
    rig
}

cells! { update_panicked_late:
    nothing_is_done_when_an_update_panicked_late: None    => "update_started update_timed_out returned_late", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    no_restart_when_an_update_panicked_late:      Restart => "update_started update_timed_out returned_late", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    not_switched_off_when_an_update_panicked_late: Disable => "update_started update_timed_out returned_late", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
    not_unloaded_when_an_update_panicked_late:     Unload  => "update_started update_timed_out returned_late", Enabled, Some(TIMEOUT_MS + 1_000), Degraded, 0;
}

/// The instance that panicked is destroyed for another, and panics in that, too: the second of two.
fn destroy_panicked(mut policy: HealthPolicy) -> Rig {
    policy.panic_limit = Some(2);
    let mut rig = Rig::under(policy);
    rig.display(panicked("oh"));
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, panicked("once more"));
    rig
}

cells! { destroy_panicked:
    nothing_is_done_when_a_destroy_panicked: None    => "display_failed destroy_failed turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_when_a_destroy_panicked:         Restart => "display_failed destroy_failed unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_a_destroy_panicked:      Disable => "display_failed destroy_failed switched_off", Disabled, None, Unhealthy, 1;
    unload_when_a_destroy_panicked:          Unload  => "display_failed destroy_failed unloaded", Unloaded, None, Unhealthy, 1;
}

/// An instance that is destroyed for another is not yet gone for good: a policy waits for the other one.
fn destroy_panicked_at_a_hand_over_in_vain(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::under(policy);
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, panicked("oh"));
    assert_eq!(rig.take_entries(), "destroy_failed");
    assert_eq!(rig.state(), PluginState::Enabled);
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: true,
    });
    rig
}

cells! { destroy_panicked_at_a_hand_over_in_vain:
    nothing_is_done_when_a_destroy_panicked_at_a_hand_over:         None    => "reload_refused turned_unhealthy", Enabled, Some(0), Unhealthy, 1;
    restart_at_its_end_when_a_destroy_panicked_at_a_hand_over:      Restart => "reload_refused unhealthy", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_at_its_end_when_a_destroy_panicked_at_a_hand_over:   Disable => "reload_refused switched_off", Disabled, None, Unhealthy, 1;
    unload_at_its_end_when_a_destroy_panicked_at_a_hand_over:       Unload  => "reload_refused unloaded", Unloaded, None, Unhealthy, 1;
}

fn create_panicked(policy: HealthPolicy) -> Rig {
    let mut rig = Rig::loaded_under(policy);
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.end(id, panicked("oh"));
    rig
}

// L12 tries again whatever the policy is; H3 has the policy dispose of a plugin at the limit, also of one that is about to be tried again.
cells! { create_panicked:
    the_create_is_tried_again_when_it_panicked: None    => "create_failed", Error, Some(DELAY_MS), Unhealthy, 1;
    restart_when_the_create_panicked:           Restart => "create_failed", Error, Some(DELAY_MS), Unhealthy, 1;
    switch_off_when_the_create_panicked:        Disable => "create_failed switched_off", Disabled, None, Unhealthy, 1;
    unload_when_the_create_panicked:            Unload  => "create_failed unloaded", Unloaded, None, Unhealthy, 1;
}

fn create_panicked_below_the_limit(mut policy: HealthPolicy) -> Rig {
    policy.panic_limit = Some(2);
    create_panicked(policy)
}

cells! { create_panicked_below_the_limit:
    the_create_is_tried_again_when_it_panicked_once: None    => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    restart_when_the_create_panicked_once:           Restart => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    not_switched_off_when_the_create_panicked_once:  Disable => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
    not_unloaded_when_the_create_panicked_once:      Unload  => "create_failed", Error, Some(DELAY_MS), Degraded, 0;
}

fn thread_panicked_during_a_restart(mut policy: HealthPolicy) -> Rig {
    policy.panic_limit = Some(1);
    let mut rig = Rig::loaded_under(policy);
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.end(id, crate::rig::failed("no memory"));
    let id = rig
        .at(DELAY_MS)
        .start(Event::CreateStarted(CreateReason::Restart));
    rig.take(thread_panicked());
    assert_eq!(rig.take_entries(), "create_failed thread_panicked");
    rig.end(id, CallOutcome::Completed);
    rig
}

cells! { thread_panicked_during_a_restart:
    nothing_is_done_when_a_thread_panicked_during_a_restart:       None    => "restarted turned_unhealthy", Enabled, Some(DELAY_MS), Unhealthy, 1;
    restart_again_when_a_thread_panicked_during_a_restart:         Restart => "restarted unhealthy", Error, Some(3 * DELAY_MS), Unhealthy, 1;
    switch_off_at_its_end_when_a_thread_panicked_during_a_restart: Disable => "restarted switched_off", Disabled, None, Unhealthy, 1;
    unload_at_its_end_when_a_thread_panicked_during_a_restart:     Unload  => "restarted unloaded", Unloaded, None, Unhealthy, 1;
}

#[test]
fn what_a_policy_has_done_is_said_with_the_place_of_the_panic() {
    let mut rig = Rig::under(super::cells::policy(
        plugin_engine_core::OnUnhealthy::Disable,
    ));
    rig.update(CallOutcome::Panicked(FaultReport {
        type_name: "alloc::string::String".to_owned(),
        location: "lib.rs:3:5".to_owned(),
        ..report(FaultKind::Panic, "oh")
    }));
    let error = rig.error();
    assert!(error.message.starts_with("switched off: "), "{error}");
    assert_eq!(&*error.type_name, "alloc::string::String");
    assert_eq!(&*error.location, "lib.rs:3:5");
}

#[test]
fn the_panic_of_an_update_stands_after_a_restart_until_an_update_completes() {
    let mut rig = update_panicked(super::cells::policy(
        plugin_engine_core::OnUnhealthy::Restart,
    ));
    rig.at(DELAY_MS).create(CreateReason::Restart);
    assert_eq!(rig.message(), Some("oh"));
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.message(), None);
}
