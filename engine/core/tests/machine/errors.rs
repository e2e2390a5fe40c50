//! S3: which error stands, until when, and whose success clears it.

use plugin_engine_core::{
    CallKind, CallOutcome, Cause, CreateReason, Event, FaultKind, PastCall, PluginState, WallTime,
};

use crate::rig::{INTERVAL_MS, ON_DEMAND, Rig, failed, failed_for_good, panicked, report, wall};

#[test]
fn a_recoverable_failure_stays_enabled_with_its_error() {
    let mut rig = Rig::enabled();
    let step = rig.update(failed("no answer"));
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.message(), Some("no answer"));
    assert!(rig.error().recoverable);
    assert_eq!(step.record.unwrap().error.as_ref(), rig.machine.error());
}

#[test]
fn an_error_stands_while_the_next_update_runs() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.start(ON_DEMAND);
    assert_eq!(rig.state(), PluginState::Running);
    assert_eq!(rig.message(), Some("no answer"));
}

#[test]
fn the_next_success_clears_the_error() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.at(INTERVAL_MS).update(CallOutcome::Completed);
    assert_eq!(rig.message(), None);
}

#[test]
fn failures_in_a_row_are_counted_from_the_last_success() {
    let mut rig = Rig::enabled();
    for row in 1..=3 {
        rig.update(failed("no answer"));
        assert_eq!(rig.error().consecutive, row);
        rig.now_ms += INTERVAL_MS;
    }
    rig.update(CallOutcome::Completed);
    rig.at(rig.now_ms + INTERVAL_MS).update(failed("again"));
    assert_eq!(rig.error().consecutive, 1);
}

#[test]
fn a_display_success_does_not_clear_an_update_error() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.display(CallOutcome::Completed);
    assert_eq!(rig.message(), Some("no answer"));
}

#[test]
fn an_update_success_does_not_clear_a_display_error() {
    let mut rig = Rig::enabled();
    rig.display(failed("nothing to show"));
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.message(), Some("nothing to show"));
}

#[test]
fn a_display_success_clears_a_display_error_and_the_update_error_shows_again() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.at(1).display(failed("nothing to show"));
    assert_eq!(rig.message(), Some("nothing to show"));
    rig.at(2).display(CallOutcome::Completed);
    assert_eq!(rig.message(), Some("no answer"));
}

#[test]
fn a_display_success_does_not_reset_the_row_of_update_failures() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.display(CallOutcome::Completed);
    rig.at(INTERVAL_MS).update(failed("no answer"));
    assert_eq!(rig.error().consecutive, 2);
}

#[test]
fn a_display_that_fails_for_good_leaves_the_plugin_enabled() {
    let mut rig = Rig::enabled();
    let step = rig.display(failed_for_good("nothing to show"));
    assert_eq!(step.record.unwrap().cause, Cause::DisplayFailed);
    assert_eq!(rig.state(), PluginState::Enabled);
}

#[test]
fn the_newest_error_shows_also_when_the_wall_clock_has_gone_back() {
    let mut rig = Rig::enabled();
    rig.wall = Some(wall(86_400_000));
    rig.update(failed("no answer"));
    rig.wall = Some(wall(0));
    rig.display(failed("nothing to show"));
    assert_eq!(rig.message(), Some("nothing to show"));
}

#[test]
fn the_newest_error_shows_also_when_both_came_at_one_reading_of_the_wall_clock() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.display(failed("nothing to show"));
    assert_eq!(rig.message(), Some("nothing to show"));
}

#[test]
fn a_permanent_failure_is_the_reason_of_the_state_error() {
    let mut rig = Rig::enabled();
    let step = rig.update(failed_for_good("no licence"));
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(rig.message(), Some("no licence"));
    assert!(!rig.error().recoverable);
    assert_eq!(step.record.unwrap().cause, Cause::FailedPermanently);
}

#[test]
fn the_reason_of_the_state_error_shows_before_any_newer_error_of_a_display() {
    let mut rig = Rig::enabled();
    rig.display(failed("nothing to show"));
    rig.update(failed_for_good("no licence"));
    assert_eq!(rig.message(), Some("no licence"));
}

#[test]
fn leaving_error_clears_its_reason() {
    let mut rig = Rig::in_state(PluginState::Error);
    rig.create(CreateReason::SwitchedOn);
    assert_eq!(rig.message(), None);
}

#[test]
fn entering_error_again_does_not_show_the_old_cause() {
    let mut rig = Rig::enabled();
    rig.update(failed_for_good("no licence"));
    rig.create(CreateReason::SwitchedOn);
    rig.update(panicked("index out of bounds"));
    rig.take(Event::DestroyStarted { current: true });
    let destroy = rig.machine.in_flight().unwrap().id;
    rig.end(destroy, CallOutcome::Completed);
    let create = rig.start(Event::CreateStarted(CreateReason::Anew));
    rig.end(create, failed("no memory"));
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(rig.message(), Some("no memory"));
}

#[test]
fn a_failed_create_replaces_the_reason_of_the_error_before() {
    let mut rig = Rig::in_state(PluginState::Error);
    let create = rig.start(Event::CreateStarted(CreateReason::Reset));
    rig.end(create, failed("no memory"));
    assert_eq!(rig.message(), Some("no memory"));
    assert_eq!(rig.error().call, Some(CallKind::Create));
}

#[test]
fn switching_off_clears_the_reason_of_the_state_error() {
    let mut rig = Rig::in_state(PluginState::Error);
    rig.take(Event::SwitchedOff);
    assert_eq!(rig.message(), None);
}

#[test]
fn switching_off_and_on_keeps_the_error_of_updates_until_one_succeeds() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.take(Event::SwitchedOff);
    rig.create(CreateReason::SwitchedOn);
    assert_eq!(rig.message(), Some("no answer"));
}

#[test]
fn a_reset_clears_every_error_and_every_row_of_failures() {
    let mut rig = Rig::enabled();
    rig.update(failed("no answer"));
    rig.display(failed("nothing to show"));
    rig.create(CreateReason::Reset);
    assert_eq!(rig.message(), None);
    rig.update(failed("no answer"));
    assert_eq!(rig.error().consecutive, 1);
}

#[test]
fn unloading_leaves_no_error_behind() {
    let mut rig = Rig::in_state(PluginState::Error);
    rig.take(Event::Unloaded);
    assert_eq!(rig.message(), None);
}

#[test]
fn a_refused_file_is_in_error_with_the_reason_and_keeps_the_generation() {
    let mut rig = Rig::enabled();
    rig.take(Event::Unloaded);
    rig.take(Event::LoadFailed(report(FaultKind::Load, "truncated")));
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(rig.message(), Some("truncated"));
    assert_eq!(rig.machine.generation(), 1);
}

#[test]
fn a_panic_of_a_thread_is_an_entry_with_its_error_and_changes_no_state() {
    let mut rig = Rig::enabled();
    let event = Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh"));
    let entry = rig.take(event).record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Enabled, PluginState::Enabled)
    );
    assert_eq!(entry.error.unwrap().kind, FaultKind::ThreadPanic);
    assert_eq!(rig.machine.counts().panics, 1);
}

#[test]
fn the_state_is_as_old_as_the_last_entry_that_changed_it() {
    let mut rig = Rig::enabled();
    rig.at(50).display(failed("nothing to show"));
    assert_eq!(rig.machine.since(), wall(0));
    rig.at(60).take(Event::SwitchedOff);
    assert_eq!(rig.machine.since(), wall(60));
}

#[test]
fn what_a_process_before_has_left_behind_is_entered_and_is_no_error_of_this_one() {
    let mut rig = Rig::unloaded();
    let step = rig.take(Event::PastCall(Box::new(PastCall {
        crashed: true,
        call: Some(CallKind::Update),
        at: WallTime::from_unix_nanos(7),
        report: report(FaultKind::Crash, "SIGSEGV"),
    })));
    let entry = step.record.expect("an entry");
    let error = entry.error.expect("with its error");
    assert_eq!(
        (entry.cause, error.kind),
        (Cause::Crashed, FaultKind::Crash)
    );
    assert_eq!(error.at, WallTime::from_unix_nanos(7));
    assert_eq!(error.call, Some(CallKind::Update));
    assert_eq!(rig.machine.error(), None);
    rig.take(Event::Mapped);
    rig.create(CreateReason::Load);
    assert_eq!(
        (rig.state(), rig.machine.error()),
        (PluginState::Enabled, None)
    );
}

#[test]
fn a_plugin_in_quarantine_shows_why_until_it_is_tried_again() {
    let mut rig = Rig::unloaded();
    rig.take(Event::Quarantined(report(
        FaultKind::Crash,
        "crashed twice",
    )));
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(
        (rig.error().kind, rig.error().recoverable),
        (FaultKind::Crash, false)
    );
    rig.take(Event::Unloaded);
    assert_eq!(rig.machine.error(), None);
}
