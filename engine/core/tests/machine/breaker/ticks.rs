//! Which ticks a cool-down puts off, that each is counted once, and when the next one is.

use std::time::Duration;

use plugin_engine_core::{
    BreakerState, CallOutcome, CreateReason, Event, INTERVAL_MAX, Moment, Schedule,
};

use super::{COOL_DOWN_MS, OPENED_MS, breaker, fail, is_tried_at, open, retry_after, with_breaker};
use crate::rig::{INTERVAL_MS, ON_DEMAND, Rig, failed, takeover};

#[test]
fn an_update_on_demand_is_the_probe_and_its_success_has_the_ticks_go_on() {
    let mut rig = open();
    // The ticks would have been at 3 s, 4 s and so on; that of 10 s is this update's.
    let step = rig.at(10_400).take(ON_DEMAND);
    assert!(
        step.effects.rearm,
        "the ticker is set to the end of the cool-down"
    );
    assert_eq!(rig.machine.breaker(), BreakerState::HalfOpen);
    rig.end(step.call.unwrap(), CallOutcome::Completed);
    assert_eq!(rig.machine.breaker(), BreakerState::Closed);
    assert_eq!(rig.next_ms(), Some(11_000));
    assert_eq!(rig.machine.counts().skipped, 7);
}

#[test]
fn an_update_on_demand_that_fails_opens_it_for_another_cool_down() {
    let mut rig = open();
    let id = rig.at(10_400).start(ON_DEMAND);
    rig.end(id, failed("no network"));
    assert_eq!(rig.machine.counts().skipped, 7);
    is_tried_at(&mut rig, 10_400 + COOL_DOWN_MS);
    assert_eq!(rig.machine.counts().skipped, 7 + 299);
}

#[test]
fn the_ticks_of_the_cool_down_are_counted_as_skipped_when_it_is_over() {
    let mut rig = open();
    assert_eq!(rig.machine.counts().skipped, 0);
    rig.at(OPENED_MS + COOL_DOWN_MS)
        .update(CallOutcome::Completed);
    // Of 300 ticks, the last was the probe's.
    assert_eq!(rig.machine.counts().skipped, 299);
}

#[test]
fn a_probe_that_comes_late_counts_each_tick_once() {
    let mut rig = open();
    rig.at(OPENED_MS + COOL_DOWN_MS + 5_500)
        .update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 304);
}

#[test]
fn ticks_that_were_skipped_at_the_end_of_the_cool_down_are_counted_once() {
    let mut rig = open();
    rig.at(OPENED_MS + COOL_DOWN_MS).take(Event::TickSkipped);
    assert_eq!(rig.machine.counts().skipped, 300);
    rig.at(OPENED_MS + COOL_DOWN_MS + INTERVAL_MS)
        .update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 300);
}

#[test]
fn a_cool_down_that_is_no_number_of_intervals_counts_the_ticks_that_lay_in_it() {
    let mut rig = Rig::under(breaker(1, Duration::from_millis(2_500)));
    fail(&mut rig, 1);
    rig.at(2_500).update(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().skipped, 2, "those at 1 s and at 2 s");
    assert_eq!(rig.next_ms(), Some(3_500));
}

#[test]
fn a_longer_delay_that_the_plugin_asks_for_is_kept_and_skips_nothing() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(retry_after(400_000));
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    is_tried_at(&mut rig, OPENED_MS + 400_000);
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn a_shorter_delay_that_the_plugin_asks_for_does_not_shorten_the_cool_down() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(retry_after(10));
    is_tried_at(&mut rig, OPENED_MS + COOL_DOWN_MS);
}

#[test]
fn opening_does_not_bring_forward_a_plugin_whose_interval_is_longer() {
    let mut rig = Rig::loaded();
    let week = Duration::from_secs(7 * 86_400);
    rig.machine
        .set_health_policy(breaker(1, Duration::from_millis(COOL_DOWN_MS)));
    rig.follows = true;
    rig.take(Event::Reconfigured {
        schedule: Schedule::new(week, Duration::ZERO),
        limits: takeover(false).limits,
    });
    rig.create(CreateReason::Load);
    fail(&mut rig, 1);
    assert_eq!(rig.machine.breaker(), BreakerState::Open);
    assert_eq!(rig.next_ms(), Some(7 * 86_400_000));
}

#[test]
fn a_cool_down_of_more_than_a_day_is_kept_and_one_for_ever_is_none() {
    let two_days_ms = 2 * 86_400_000;
    let mut rig = Rig::under(breaker(1, Duration::from_millis(two_days_ms)));
    fail(&mut rig, 1);
    is_tried_at(&mut rig, two_days_ms);
    let mut rig = Rig::under(breaker(1, Duration::MAX));
    fail(&mut rig, 1);
    let latest = Moment::ZERO.saturating_add(INTERVAL_MAX);
    assert_eq!(rig.machine.schedule().next(), Some(latest));
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_cool_down_of_no_time_skips_nothing() {
    let mut rig = Rig::under(breaker(1, Duration::ZERO));
    fail(&mut rig, 3);
    is_tried_at(&mut rig, 3 * INTERVAL_MS);
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn other_times_do_not_end_the_cool_down_and_each_tick_is_counted_once() {
    let mut rig = open();
    // Ten of a second have been skipped by then; afterwards every ten seconds there is one, but for the probe itself.
    rig.at(12_400).take(Event::Reconfigured {
        schedule: Schedule::new(Duration::from_secs(10), Duration::ZERO),
        limits: takeover(false).limits,
    });
    assert_eq!(rig.next_ms(), Some(OPENED_MS + COOL_DOWN_MS));
    assert_eq!(rig.machine.counts().skipped, 10);
    rig.at(OPENED_MS + COOL_DOWN_MS)
        .update(CallOutcome::Completed);
    // At 13 s, 23 s and so on up to 293 s.
    assert_eq!(rig.machine.counts().skipped, 10 + 29);
}

#[test]
fn other_times_do_not_shorten_a_longer_delay_that_the_plugin_asked_for() {
    let mut rig = with_breaker();
    fail(&mut rig, 2);
    rig.now_ms = rig.next_ms().unwrap();
    rig.update(retry_after(400_000));
    rig.take(Event::Reconfigured {
        schedule: Schedule::new(Duration::from_secs(10), Duration::ZERO),
        limits: takeover(false).limits,
    });
    assert_eq!(rig.next_ms(), Some(OPENED_MS + 400_000));
}

#[test]
fn another_cool_down_holds_from_the_next_failure_on_and_ticks_are_counted_right() {
    for seconds in [30, 3_000] {
        let mut rig = open();
        rig.machine
            .set_health_policy(breaker(3, Duration::from_secs(seconds)));
        assert_eq!(rig.next_ms(), Some(OPENED_MS + COOL_DOWN_MS));
        rig.at(OPENED_MS + COOL_DOWN_MS)
            .update(failed("no network"));
        assert_eq!(rig.machine.counts().skipped, 299, "{seconds} s");
        assert_eq!(rig.next_ms(), Some(rig.now_ms + seconds * 1_000));
    }
}
