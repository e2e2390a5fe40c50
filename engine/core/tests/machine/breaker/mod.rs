//! H5: the circuit breaker. It skips, tries once, and nothing that becomes of the try can leave it open for ever.

mod ends;
mod ticks;

use std::time::Duration;

use plugin_engine_core::{
    AbandonReason, BreakerPolicy, BreakerState, CallOutcome, CreateReason, Event, FaultKind,
    Health, HealthPolicy, OnUnhealthy, PluginState, RejectReason, RestartPolicy,
};

use crate::rig::{DUE, INTERVAL_MS, Rig, TIMEOUT_MS, failed, failed_for_good, panicked, report};

/// It opens at the third failure.
const COOL_DOWN_MS: u64 = 300_000;
/// When the third of three failures in a row comes that are as fast as can be.
const OPENED_MS: u64 = 2 * INTERVAL_MS;

fn breaker(failures: u32, cool_down: Duration) -> HealthPolicy {
    HealthPolicy {
        panic_limit: None,
        on_unhealthy: OnUnhealthy::None,
        restart: RestartPolicy {
            jitter_percent: 0,
            ..RestartPolicy::default()
        },
        breaker: Some(BreakerPolicy {
            failures,
            cool_down,
        }),
        ..HealthPolicy::default()
    }
}

fn with_breaker() -> Rig {
    Rig::under(breaker(3, Duration::from_millis(COOL_DOWN_MS)))
}

fn retry_after(ms: u64) -> CallOutcome {
    CallOutcome::Failed {
        report: report(FaultKind::Failed, "busy"),
        recoverable: true,
        retry_after: Some(Duration::from_millis(ms)),
    }
}

/// Fails at each of the next ticks.
fn fail(rig: &mut Rig, times: u32) {
    for _ in 0..times {
        rig.now_ms = rig.now_ms.max(rig.next_ms().unwrap());
        rig.update(failed("no network"));
    }
}

/// Opened at 2 s, to be tried at 302 s.
fn open() -> Rig {
    let mut rig = with_breaker();
    fail(&mut rig, 3);
    assert_eq!(rig.now_ms, OPENED_MS);
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    assert_eq!(rig.next_ms(), Some(OPENED_MS + COOL_DOWN_MS));
    rig.take_entries();
    rig
}

/// The breaker is open, and the next update is tried at this time and no sooner.
#[track_caller]
fn is_tried_at(rig: &mut Rig, ms: u64) {
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    assert_eq!(rig.next_ms(), Some(ms));
    rig.now_ms = ms - 1;
    assert_eq!(rig.refused(DUE), RejectReason::NotDue);
    rig.now_ms = ms;
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    assert_eq!(rig.next_ms(), Some(ms + INTERVAL_MS));
}

#[test]
fn there_is_none_unless_somebody_wants_one() {
    let mut rig = Rig::under(HealthPolicy::default());
    fail(&mut rig, 50);
    assert_eq!(rig.machine.breaker(), BreakerState::Off);
    assert_eq!(rig.next_ms(), Some(rig.now_ms + INTERVAL_MS));
}

#[test]
fn it_opens_at_the_third_failure_in_a_row_and_says_so() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    rig.take_entries();
    rig.now_ms = rig.next_ms().unwrap();
    let step = rig.update(failed("no network"));
    assert_eq!(
        rig.take_entries(),
        "update_started update_failed breaker_opened"
    );
    assert!(step.effects.rearm);
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.machine.health(), Health::Degraded);
    is_tried_at(&mut rig, OPENED_MS + COOL_DOWN_MS);
}

#[test]
fn timeouts_and_panics_of_updates_count_as_failures_do() {
    let mut rig = with_breaker();
    fail(&mut rig, 1);
    rig.now_ms = rig.next_ms().unwrap();
    let id = rig.hang();
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(panicked("oh"));
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    assert_eq!(rig.next_ms(), Some(rig.now_ms + COOL_DOWN_MS));
}

#[test]
fn what_is_no_update_neither_opens_nor_closes_it() {
    let mut rig = with_breaker();
    for _ in 0..10 {
        rig.display(failed("no font"));
        rig.take(Event::CallRefused(report(FaultKind::Refused, "no thread")));
    }
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    let mut rig = open();
    rig.display(CallOutcome::Completed);
    is_tried_at(&mut rig, OPENED_MS + COOL_DOWN_MS);
}

#[test]
fn a_success_in_between_begins_the_count_anew() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(CallOutcome::Completed);
    fail(&mut rig, 2);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    fail(&mut rig, 1);
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
}

#[test]
fn the_probe_is_one_update_and_its_success_closes_the_breaker() {
    let mut rig = open();
    let id = rig.at(OPENED_MS + COOL_DOWN_MS).start(DUE);
    assert_eq!(rig.machine.breaker(), BreakerState::HalfOpen);
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    assert_eq!(
        rig.take_entries(),
        "update_started update_completed breaker_closed"
    );
    assert_eq!(rig.machine.health(), Health::Healthy);
}

#[test]
fn a_probe_that_fails_times_out_or_panics_opens_it_for_another_cool_down_without_a_word() {
    for (outcome, entry) in [
        (Some(failed("no network")), "update_failed"),
        (None, "update_timed_out"),
        (Some(panicked("oh")), "update_panicked"),
    ] {
        let mut rig = open();
        let id = rig.at(OPENED_MS + COOL_DOWN_MS).start(DUE);
        rig.now_ms += TIMEOUT_MS;
        match outcome {
            Some(outcome) => drop(rig.end(id, outcome)),
            None => {
                rig.time_out(id);
                rig.end(id, CallOutcome::Completed);
                assert_eq!(
                    rig.machine.breaker(),
                    BreakerState::Open,
                    "late is no success"
                );
            }
        }
        let entries = rig.take_entries();
        assert!(entries.starts_with(&format!("update_started {entry}")));
        assert!(!entries.contains("breaker_opened"), "{entries}");
        if rig.machine.is_poisoned() {
            rig.create(CreateReason::Anew);
        }
        let again_ms = rig.now_ms + COOL_DOWN_MS;
        is_tried_at(&mut rig, again_ms);
    }
}

#[test]
fn a_probe_that_fails_for_good_leaves_nothing_open_behind() {
    let mut rig = open();
    rig.at(OPENED_MS + COOL_DOWN_MS)
        .update(failed_for_good("wrong machine"));
    assert_eq!((rig.state(), rig.next_ms()), (PluginState::Error, None));
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    rig.create(CreateReason::Reset);
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_probe_that_is_abandoned_at_a_shutdown_does_not_stay_in_flight() {
    let mut rig = open();
    let id = rig.at(OPENED_MS + COOL_DOWN_MS).start(DUE);
    let why = AbandonReason::ShutDown;
    rig.take(Event::Abandoned { id, why });
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    rig.take(Event::ShutDown);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
}

#[test]
fn a_probe_that_is_refused_or_skipped_is_made_at_the_next_tick() {
    for event in [
        Event::CallRefused(report(FaultKind::Refused, "no thread")),
        Event::TickSkipped,
    ] {
        let mut rig = open();
        rig.at(OPENED_MS + COOL_DOWN_MS).take(event);
        assert_eq!(rig.machine.breaker(), BreakerState::Open);
        let next_ms = OPENED_MS + COOL_DOWN_MS + INTERVAL_MS;
        is_tried_at(&mut rig, next_ms);
    }
}

#[test]
fn a_probe_beside_a_stuck_call_waits_for_it_and_is_made_then() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    let id = rig.hang();
    let tried_ms = rig.now_ms + COOL_DOWN_MS;
    rig.at(tried_ms).refused(DUE);
    rig.take(Event::TickSkipped);
    rig.end(id, CallOutcome::Completed);
    is_tried_at(&mut rig, tried_ms + INTERVAL_MS);
}
