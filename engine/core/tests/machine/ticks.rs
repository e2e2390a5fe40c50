//! C5, C7 and S4: when a plugin is due, and which ticks are skipped.

use std::time::Duration;

use plugin_engine_core::{
    CallOutcome, CreateReason, Event, FaultKind, PluginState, RejectReason, WallTime,
};

use crate::rig::{DUE, INTERVAL_MS, ON_DEMAND, Rig, failed, failed_for_good, report};

fn failed_with_retry_after(ms: u64) -> CallOutcome {
    CallOutcome::Failed {
        report: report(FaultKind::Failed, "not yet"),
        recoverable: true,
        retry_after: Some(Duration::from_millis(ms)),
    }
}

#[test]
fn a_new_instance_is_due_at_once() {
    let mut rig = Rig::loaded();
    rig.at(70).create(CreateReason::Load);
    assert_eq!(rig.next_ms(), Some(70));
}

#[test]
fn an_update_before_its_tick_is_refused() {
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    let reason = rig.at(INTERVAL_MS - 1).refused(DUE);
    assert_eq!(reason, RejectReason::NotDue);
}

#[test]
fn an_update_on_demand_needs_no_tick_and_moves_none() {
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    let id = rig.at(400).start(ON_DEMAND);
    rig.at(500).end(id, CallOutcome::Completed);
    assert_eq!(rig.next_ms(), Some(INTERVAL_MS));
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn slow_successes_do_not_drift() {
    let mut rig = Rig::enabled();
    for tick in 0..50 {
        let id = rig.at(tick * INTERVAL_MS + 20).start(DUE);
        rig.at(tick * INTERVAL_MS + 900)
            .end(id, CallOutcome::Completed);
        assert_eq!(rig.next_ms(), Some((tick + 1) * INTERVAL_MS));
    }
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn ticks_missed_before_an_update_are_skipped_and_counted_and_not_made_up_for() {
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    rig.at(3 * INTERVAL_MS + 1).update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 2);
    assert_eq!(rig.refused(DUE), RejectReason::NotDue);
    assert_eq!(rig.next_ms(), Some(4 * INTERVAL_MS));
}

#[test]
fn ticks_missed_during_an_update_are_skipped_and_counted() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.at(2 * INTERVAL_MS + 1).end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 2);
    assert_eq!(rig.next_ms(), Some(3 * INTERVAL_MS));
}

#[test]
fn skipped_ticks_are_counted_once() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.at(INTERVAL_MS).take(Event::TickSkipped);
    rig.at(INTERVAL_MS + 1).take(Event::TickSkipped);
    assert_eq!(rig.machine.counts().skipped, 1);
    rig.at(2 * INTERVAL_MS).end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 2);
}

#[test]
fn a_failure_is_due_again_one_interval_after_it() {
    let mut rig = Rig::enabled();
    let id = rig.at(30).start(DUE);
    let step = rig.at(240).end(id, failed("no answer"));
    assert_eq!(rig.next_ms(), Some(240 + INTERVAL_MS));
    assert!(step.effects.rearm);
}

#[test]
fn a_failing_plugin_is_called_at_most_once_per_interval() {
    let mut rig = Rig::enabled();
    let mut called_ms = Vec::new();
    for ms in (0..5 * INTERVAL_MS).step_by(10) {
        if let Ok(step) = rig.at(ms).offer(DUE) {
            called_ms.push(ms);
            rig.end(step.call.unwrap(), failed("no answer"));
        }
    }
    let expected_ms: Vec<_> = (0..5).map(|tick| tick * INTERVAL_MS).collect();
    assert_eq!(called_ms, expected_ms);
}

#[test]
fn a_success_after_a_failure_goes_on_from_the_tick_of_the_retry() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.at(200).end(id, failed("no answer"));
    rig.at(1_250).update(CallOutcome::Completed);
    assert_eq!(rig.next_ms(), Some(200 + 2 * INTERVAL_MS));
}

#[test]
fn retry_after_replaces_the_interval_for_the_next_try() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.at(200).end(id, failed_with_retry_after(50));
    assert_eq!(rig.next_ms(), Some(250));
    let id = rig.at(250).start(DUE);
    rig.at(260).end(id, failed("no answer"));
    assert_eq!(rig.next_ms(), Some(260 + INTERVAL_MS));
}

#[test]
fn retry_after_may_be_longer_than_the_interval() {
    let mut rig = Rig::enabled();
    rig.update(failed_with_retry_after(7 * INTERVAL_MS));
    let reason = rig.at(6 * INTERVAL_MS).refused(DUE);
    assert_eq!(reason, RejectReason::NotDue);
}

#[test]
fn a_retry_after_of_zero_does_not_make_a_plugin_spin() {
    let mut rig = Rig::enabled();
    rig.update(failed_with_retry_after(0));
    assert_eq!(rig.refused(DUE), RejectReason::NotDue);
    assert_eq!(rig.next_ms(), Some(1));
}

#[test]
fn a_refused_call_is_a_skipped_tick_with_an_error_and_the_clock_advances() {
    let mut rig = Rig::enabled();
    let refusal = Event::CallRefused(report(FaultKind::Refused, "no thread"));
    let entry = rig.take(refusal).record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Enabled, PluginState::Enabled)
    );
    assert_eq!(rig.message(), Some("no thread"));
    assert_eq!(rig.machine.counts().skipped, 1);
    assert_eq!(rig.next_ms(), Some(INTERVAL_MS));
}

#[test]
fn a_refusal_that_goes_on_is_said_once_and_counted_every_time() {
    let mut rig = Rig::enabled();
    let refusal = Event::CallRefused(report(FaultKind::Refused, "no thread"));
    assert!(rig.take(refusal.clone()).record.is_some());
    assert!(rig.at(INTERVAL_MS).take(refusal.clone()).record.is_none());
    assert_eq!(rig.machine.counts().skipped, 2);
    rig.at(2 * INTERVAL_MS).update(CallOutcome::Completed);
    assert!(rig.at(3 * INTERVAL_MS).take(refusal).record.is_some());
}

#[test]
fn creating_anew_keeps_the_ticks_as_they_were() {
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    let step = rig.at(800).create(CreateReason::Anew);
    assert_eq!(rig.next_ms(), Some(INTERVAL_MS));
    assert!(!step.effects.rearm);
}

#[test]
fn nothing_is_due_in_error_or_disabled_or_unloaded() {
    let mut broken = Rig::enabled();
    broken.update(failed_for_good("no licence"));
    let mut off = Rig::enabled();
    off.take(Event::SwitchedOff);
    let mut gone = Rig::enabled();
    gone.take(Event::Unloaded);
    for rig in [broken, off, gone] {
        assert_eq!(rig.next_ms(), None, "{}", rig.state());
    }
}

#[test]
fn a_wall_clock_that_jumps_by_a_day_changes_no_schedule() {
    let mut steady = Rig::enabled();
    let mut jumping = Rig::enabled();
    for (ms, day) in [(0, 9_000), (1_000, 8_999), (2_000, 20_000), (3_500, 1)] {
        let day = WallTime::from_unix_nanos(day * 86_400_000_000_000);
        jumping.wall = Some(day);
        for rig in [&mut steady, &mut jumping] {
            rig.at(ms).update(if ms == 1_000 {
                failed("no answer")
            } else {
                CallOutcome::Completed
            });
        }
        assert_eq!(steady.next_ms(), jumping.next_ms());
    }
    assert_eq!(steady.machine.counts(), jumping.machine.counts());
}
