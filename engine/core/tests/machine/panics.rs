//! H1: an instance that panicked is not called again; it is created anew before the next update.

use plugin_engine_core::{
    CallOutcome, Cause, CreateReason, Event, FaultKind, PluginState, RejectReason,
};

use crate::rig::{DUE, INTERVAL_MS, ON_DEMAND, Rig, failed, panicked};

#[test]
fn a_panic_stays_enabled_with_its_error() {
    let mut rig = Rig::enabled();
    let step = rig.update(panicked("index out of bounds"));
    assert_eq!(step.record.unwrap().cause, Cause::UpdatePanicked);
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.error().kind, FaultKind::Panic);
    assert_eq!(rig.next_ms(), Some(INTERVAL_MS));
}

#[test]
fn an_instance_that_panicked_is_not_called_again() {
    let mut rig = Rig::enabled();
    rig.update(panicked("oh"));
    rig.now_ms += INTERVAL_MS;
    for event in [DUE, ON_DEMAND, Event::DisplayStarted] {
        assert_eq!(rig.refused(event), RejectReason::NoInstance);
    }
}

#[test]
fn a_panic_in_a_display_poisons_the_instance_for_updates_too() {
    let mut rig = Rig::enabled();
    rig.display(panicked("oh"));
    assert!(rig.machine.is_poisoned());
    assert_eq!(rig.refused(DUE), RejectReason::NoInstance);
}

#[test]
fn a_refused_update_of_a_poisoned_instance_does_not_use_up_its_tick() {
    let mut rig = Rig::enabled();
    rig.display(panicked("oh"));
    rig.refused(DUE);
    rig.create(CreateReason::Anew);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn destroying_an_instance_that_panicked_does_not_make_it_callable() {
    let mut rig = Rig::enabled();
    rig.update(panicked("oh"));
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.refused(ON_DEMAND), RejectReason::NoInstance);
}

#[test]
fn an_instance_that_was_destroyed_for_one_that_never_came_is_created_anew() {
    let mut rig = Rig::enabled();
    assert!(!rig.machine.needs_instance());
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, CallOutcome::Completed);
    assert!(rig.machine.needs_instance());
    assert_eq!(rig.refused(DUE), RejectReason::NoInstance);
    rig.create(CreateReason::Anew);
    assert!(!rig.machine.needs_instance());
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_plugin_that_is_not_to_be_called_needs_no_instance() {
    for state in [
        PluginState::Unloaded,
        PluginState::Disabled,
        PluginState::Error,
    ] {
        assert!(!Rig::in_state(state).machine.needs_instance(), "{state}");
    }
}

#[test]
fn created_anew_it_is_called_again_and_keeps_the_error_until_a_success() {
    let mut rig = Rig::enabled();
    rig.update(panicked("oh"));
    let step = rig.at(INTERVAL_MS).create(CreateReason::Anew);
    assert_eq!(step.record.unwrap().cause, Cause::CreatedAnew);
    assert_eq!(rig.message(), Some("oh"));
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.message(), None);
}

#[test]
fn a_plugin_that_cannot_be_created_anew_ends_in_error_with_the_reason() {
    let mut rig = Rig::enabled();
    rig.update(panicked("oh"));
    let id = rig.start(Event::CreateStarted(CreateReason::Anew));
    let step = rig.end(id, failed("no memory"));
    assert_eq!(step.record.unwrap().cause, Cause::CreateFailed);
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(rig.message(), Some("no memory"));
    assert!(!rig.machine.has_instance());
}

#[test]
fn an_instance_that_panics_after_its_deadline_is_not_called_again_either() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.end(id, panicked("at last"));
    rig.now_ms += INTERVAL_MS;
    assert_eq!(rig.refused(DUE), RejectReason::NoInstance);
    rig.create(CreateReason::Anew);
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_late_panic_of_an_instance_that_is_no_longer_the_plugins_poisons_nothing() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.take(Event::SwitchedOff);
    rig.end(id, panicked("at last"));
    assert!(!rig.machine.is_poisoned());
}

#[test]
fn a_late_panic_of_a_create_poisons_nothing() {
    let mut rig = Rig::loaded();
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.at(500).time_out(id);
    rig.end(id, panicked("at last"));
    assert!(!rig.machine.is_poisoned());
}

#[test]
fn a_panic_in_a_destroy_is_an_entry_and_changes_no_state() {
    let mut rig = Rig::in_state(PluginState::Error);
    let id = rig.start(Event::DestroyStarted { current: true });
    let entry = rig.end(id, panicked("oh")).record.unwrap();
    assert_eq!(entry.cause, Cause::DestroyFailed);
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Error, PluginState::Error)
    );
    assert_eq!(rig.message(), Some("broken"));
}

#[test]
fn a_panic_of_a_thread_does_not_poison_the_instance() {
    let mut rig = Rig::enabled();
    let report = crate::rig::report(FaultKind::ThreadPanic, "oh");
    rig.take(Event::ThreadPanicked(report));
    assert!(!rig.machine.is_poisoned());
    rig.update(CallOutcome::Completed);
}
