//! C3: a call that was abandoned is never overlapped on its instance, and its late return is only counted.

use plugin_engine_core::{
    CallEnd, CallId, CallOutcome, Cause, CreateReason, Event, PluginState, RejectReason,
};

use crate::rig::{DUE, INTERVAL_MS, ON_DEMAND, Rig, failed, panicked};

#[test]
fn an_abandoned_call_is_never_overlapped_on_its_instance() {
    let mut rig = Rig::enabled();
    rig.hang();
    rig.now_ms += INTERVAL_MS;
    for event in [
        DUE,
        ON_DEMAND,
        Event::DisplayStarted,
        Event::DestroyStarted { current: true },
    ] {
        assert_eq!(rig.refused(event), RejectReason::Stuck);
    }
}

#[test]
fn a_tick_beside_an_abandoned_call_is_skipped_and_counted() {
    let mut rig = Rig::enabled();
    rig.hang();
    rig.now_ms += INTERVAL_MS;
    let step = rig.take(Event::TickSkipped);
    assert!(step.record.is_none());
    assert_eq!(rig.machine.counts().skipped, 1);
    assert_eq!(rig.next_ms(), Some(rig.now_ms + INTERVAL_MS));
}

#[test]
fn a_late_return_is_counted_and_is_neither_a_success_nor_a_second_failure() {
    for outcome in [
        CallOutcome::Completed,
        failed("at last"),
        panicked("at last"),
    ] {
        let mut rig = Rig::enabled();
        let id = rig.hang();
        let before = *rig.machine.counts();
        rig.end(id, outcome.clone());
        let mut expected = before;
        expected.late += 1;
        assert_eq!(*rig.machine.counts(), expected, "{outcome:?}");
    }
}

#[test]
fn a_late_return_is_an_entry_that_changes_no_state() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    let step = rig.end(id, CallOutcome::Completed);
    let entry = step.record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Enabled, PluginState::Enabled)
    );
    assert_eq!(entry.cause, Cause::ReturnedLate);
    assert_eq!(step.ended, CallEnd::Late { current: true });
}

#[test]
fn a_late_success_does_not_clear_the_error_of_its_timeout() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    let error = rig.machine.error().cloned();
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.error().cloned(), error);
    assert_eq!(rig.machine.times().last_success, None);
}

#[test]
fn a_late_failure_does_not_move_the_next_update() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    let next_ms = rig.next_ms();
    rig.now_ms += 500;
    rig.end(id, failed("at last"));
    assert_eq!(rig.next_ms(), next_ms);
}

#[test]
fn after_its_late_return_the_plugin_is_called_again_when_due() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.refused(DUE), RejectReason::NotDue);
    rig.now_ms += INTERVAL_MS;
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.message(), None);
}

#[test]
fn a_call_returns_late_only_once() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.end(id, CallOutcome::Completed);
    let outcome = CallOutcome::Completed;
    assert_eq!(
        rig.refused(Event::CallEnded { id, outcome }),
        RejectReason::NoSuchCall
    );
}

#[test]
fn a_stuck_plugin_can_be_switched_off_and_its_late_return_leaves_it_off() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.take(Event::SwitchedOff);
    let step = rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.state(), PluginState::Disabled);
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert!(!rig.machine.has_instance());
}

#[test]
fn unloading_during_an_abandoned_call_is_not_undone_by_its_return() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    rig.take(Event::Unloaded);
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.state(), PluginState::Unloaded);
    assert!(!rig.machine.has_instance());
    assert_eq!(rig.next_ms(), None);
}

#[test]
fn what_a_create_made_too_late_is_not_the_plugins_instance() {
    let mut rig = Rig::loaded();
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.at(500).time_out(id);
    let step = rig.at(900).end(id, CallOutcome::Completed);
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert_eq!(rig.state(), PluginState::Error);
    assert!(!rig.machine.has_instance());
}

#[test]
fn a_reset_beside_a_stuck_call_gives_a_new_instance_that_is_called() {
    let mut rig = Rig::enabled();
    rig.hang();
    rig.create(CreateReason::Reset);
    assert_eq!(rig.machine.orphans(), 1);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().successes, 3);
}

#[test]
fn the_late_return_of_an_orphan_does_not_touch_the_call_of_the_new_instance() {
    let mut rig = Rig::enabled();
    let orphan = rig.hang();
    rig.create(CreateReason::Reset);
    let id = rig.start(DUE);
    let step = rig.end(orphan, panicked("at last"));
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert_eq!(rig.state(), PluginState::Running);
    assert_eq!(rig.machine.in_flight().map(|call| call.id), Some(id));
    assert!(!rig.machine.is_poisoned());
    assert_eq!(rig.machine.orphans(), 0);
}

/// A plugin with three orphans and a fourth call that is stuck.
fn stuck_four_times() -> (Rig, Vec<CallId>) {
    let mut rig = Rig::enabled();
    let mut ids = vec![rig.hang()];
    for _ in 0..3 {
        rig.create(CreateReason::Reset);
        ids.push(rig.hang());
    }
    assert_eq!(rig.machine.orphans(), 3);
    (rig, ids)
}

#[test]
fn a_reset_beside_a_stuck_call_is_refused_after_three_orphans() {
    let (mut rig, _) = stuck_four_times();
    let reason = rig.refused(Event::CreateStarted(CreateReason::Reset));
    assert_eq!(reason, RejectReason::TooManyStuck);
}

#[test]
fn an_orphan_that_returns_makes_room_for_another_instance() {
    let (mut rig, ids) = stuck_four_times();
    rig.end(ids[1], CallOutcome::Completed);
    rig.create(CreateReason::Reset);
    assert_eq!(rig.machine.orphans(), 3);
}

#[test]
fn three_orphans_do_not_stop_a_reset_of_an_instance_that_is_not_stuck() {
    let (mut rig, ids) = stuck_four_times();
    rig.end(ids[3], CallOutcome::Completed);
    rig.create(CreateReason::Reset);
    assert_eq!(rig.machine.orphans(), 3);
}

#[test]
fn orphans_are_still_counted_after_an_unload() {
    let (mut rig, _) = stuck_four_times();
    rig.take(Event::Unloaded);
    rig.take(Event::Mapped);
    let reason = rig.refused(Event::CreateStarted(CreateReason::Load));
    assert_eq!(reason, RejectReason::TooManyStuck);
}
