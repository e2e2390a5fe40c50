//! What ends a cool-down before its time: another instance, another generation, another policy.

use std::time::Duration;

use plugin_engine_core::{
    BreakerState, CallOutcome, CreateReason, Event, FaultKind, HealthPolicy, OnUnhealthy,
};

use super::{COOL_DOWN_MS, OPENED_MS, breaker, fail, is_tried_at, open, with_breaker};
use crate::rig::{DUE, INTERVAL_MS, Rig, at, failed, panicked, report, takeover, wall};

#[test]
fn another_generation_begins_with_a_closed_breaker_and_misses_no_tick() {
    let mut rig = open();
    let step = rig
        .at(10_400)
        .take(Event::Reloaded(Box::new(takeover(false))));
    assert!(step.effects.rearm);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    // It goes on along the ticks, of which that of 10 s is still to be made.
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.next_ms(), Some(11_000));
    assert_eq!(rig.machine.counts().skipped, 7);
}

#[test]
fn a_reset_closes_it_and_the_plugin_is_due_at_once() {
    let mut rig = open();
    rig.at(10_400).create(CreateReason::Reset);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    assert_eq!(rig.next_ms(), Some(10_400));
    fail(&mut rig, 2);
    assert_eq!(
        rig.machine.breaker(),
        BreakerState::Closed,
        "it counts from the start"
    );
}

#[test]
fn switching_off_and_on_closes_it() {
    let mut rig = open();
    rig.take(Event::SwitchedOff);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    rig.create(CreateReason::SwitchedOn);
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_restart_closes_it_and_is_followed_by_an_update() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(panicked("oh"));
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    let id = rig.start(Event::CreateStarted(CreateReason::Anew));
    rig.end(id, failed("no memory"));
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    rig.now_ms = rig.next_ms().unwrap();
    rig.create(CreateReason::Restart);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn a_new_instance_after_a_panic_does_not_end_the_cool_down() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(panicked("oh"));
    rig.create(CreateReason::Anew);
    is_tried_at(&mut rig, OPENED_MS + COOL_DOWN_MS);
}

#[test]
fn a_probe_that_fails_opens_it_again_also_where_more_failures_open_it_by_now() {
    let mut rig = open();
    let cool_down = Duration::from_millis(COOL_DOWN_MS);
    rig.machine.set_health_policy(breaker(10, cool_down));
    rig.at(OPENED_MS + COOL_DOWN_MS)
        .update(failed("no network"));
    is_tried_at(&mut rig, OPENED_MS + 2 * COOL_DOWN_MS);
}

#[test]
fn where_it_is_taken_away_while_open_the_ticks_go_on() {
    let mut rig = open();
    rig.now_ms = 10_400;
    let effects = rig.machine.set_health_policy(HealthPolicy {
        breaker: None,
        ..breaker(3, Duration::ZERO)
    });
    assert!(
        effects.rearm,
        "the ticker is set to the end of the cool-down"
    );
    assert_eq!(rig.machine.breaker(), BreakerState::Off);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.next_ms(), Some(11_000));
    assert_eq!(rig.machine.counts().skipped, 7);
    assert!(!rig.take_entries().contains("breaker"));
}

#[test]
fn where_it_is_taken_away_during_the_probe_nothing_is_left_of_it() {
    let mut rig = open();
    let id = rig.at(OPENED_MS + COOL_DOWN_MS).start(DUE);
    let effects = rig.machine.set_health_policy(HealthPolicy {
        breaker: None,
        ..breaker(3, Duration::ZERO)
    });
    assert!(!effects.rearm);
    rig.end(id, failed("no network"));
    assert_eq!(rig.next_ms(), Some(rig.now_ms + INTERVAL_MS));
    assert_eq!(rig.take_entries(), "update_started update_failed");
}

#[test]
fn a_plugin_that_becomes_unhealthy_while_it_is_open_is_restarted_and_begins_closed() {
    let mut policy = breaker(3, Duration::from_millis(COOL_DOWN_MS));
    policy.panic_limit = Some(1);
    policy.on_unhealthy = OnUnhealthy::Restart;
    let mut rig = Rig::under(policy);
    fail(&mut rig, 3);
    rig.take_entries();
    rig.take(Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")));
    assert_eq!(rig.take_entries(), "thread_panicked unhealthy");
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    assert_eq!(
        rig.next_ms(),
        Some(rig.now_ms + 1_000),
        "the restart does not wait"
    );
    rig.now_ms = rig.next_ms().unwrap();
    rig.create(CreateReason::Restart);
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_panic_that_opens_it_and_is_one_too_many_leads_to_the_restart_alone() {
    let mut policy = breaker(1, Duration::from_millis(COOL_DOWN_MS));
    policy.panic_limit = Some(1);
    policy.on_unhealthy = OnUnhealthy::Restart;
    let mut rig = Rig::under(policy);
    rig.update(panicked("oh"));
    assert_eq!(
        rig.take_entries(),
        "update_started update_panicked unhealthy"
    );
    rig.now_ms = rig.next_ms().unwrap();
    rig.create(CreateReason::Restart);
    rig.update(CallOutcome::Completed);
    assert!(!rig.take_entries().contains("breaker"));
}

#[test]
fn a_probe_that_completes_the_healthy_period_closes_it_and_says_both() {
    let mut policy = breaker(3, Duration::from_millis(COOL_DOWN_MS));
    policy.panic_limit = Some(3);
    policy.restart.healthy_period = Duration::ZERO;
    let mut rig = Rig::under(policy);
    for _ in 0..3 {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(panicked("oh"));
        rig.create(CreateReason::Anew);
    }
    rig.take_entries();
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(CallOutcome::Completed);
    assert_eq!(
        rig.take_entries(),
        "update_started update_completed recovered breaker_closed"
    );
}

#[test]
fn closing_is_said_at_once_also_where_nothing_else_is_left_to_say() {
    let mut policy = breaker(3, Duration::from_millis(COOL_DOWN_MS));
    policy.restart.healthy_period = Duration::ZERO;
    let mut rig = Rig::under(policy);
    fail(&mut rig, 3);
    rig.take_entries();
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(CallOutcome::Completed);
    assert_eq!(
        rig.take_entries(),
        "update_started update_completed breaker_closed"
    );
}

#[test]
fn while_it_is_open_no_update_takes_the_short_way() {
    let mut rig = open();
    for now_ms in [10_000, OPENED_MS + COOL_DOWN_MS] {
        let id = rig.machine.start_plain_update(at(now_ms), wall(now_ms));
        assert_eq!(id, None);
    }
}
