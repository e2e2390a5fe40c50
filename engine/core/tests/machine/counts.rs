//! What a machine counts, and who takes the short way of those that nothing is wrong with.

use plugin_engine_core::{CallId, CallKind, CallOutcome, CreateReason, Event, HealthPolicy};

use crate::rig::{DUE, Rig, TIMEOUT_MS, at, failed, panicked, wall};

#[test]
fn generations_go_on_from_those_of_the_process_before() {
    let mut rig = Rig::unloaded();
    rig.machine.count_generations_from(7);
    assert_eq!(rig.machine.generation(), 7);
    rig.machine.count_generations_from(3);
    rig.take(Event::Mapped);
    assert_eq!(rig.machine.generation(), 8);
}

#[test]
fn a_generation_that_was_loaded_before_it_was_known_what_came_before_keeps_its_number() {
    let mut rig = Rig::loaded();
    rig.machine.count_generations_from(7);
    assert_eq!(
        (rig.machine.generation(), rig.machine.generations_counted()),
        (1, 7)
    );
    rig.take(Event::Unloaded);
    assert_eq!(rig.machine.generation(), 1);
    rig.take(Event::Mapped);
    assert_eq!(
        (rig.machine.generation(), rig.machine.generations_counted()),
        (8, 8)
    );
}

#[test]
fn every_end_of_a_display_and_of_a_destroy_is_counted_as_what_it_is() {
    let mut rig = Rig::enabled();
    let counts = |rig: &Rig| {
        let counts = rig.machine.counts();
        [counts.successes, counts.failures, counts.panics]
    };
    let before = counts(&rig);
    rig.display(CallOutcome::Completed);
    rig.display(failed("no screen"));
    rig.display(failed("no screen"));
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, panicked("oh"));
    let now = counts(&rig);
    let more: Vec<u64> = now
        .iter()
        .zip(before)
        .map(|(now, before)| now - before)
        .collect();
    assert_eq!(more, [1, 2, 1]);
}

/// Starts an update in the short way and completes it likewise. Says whether both were taken.
fn goes_the_short_way(rig: &mut Rig) -> bool {
    rig.now_ms = rig.next_ms().unwrap();
    let (now, then) = (at(rig.now_ms), wall(rig.now_ms));
    let Some(id) = rig.machine.start_plain_update(now, then) else {
        rig.update(CallOutcome::Completed);
        return false;
    };
    rig.machine.complete_plain_update(now, then, id).is_some()
}

#[test]
fn updates_take_the_short_way_once_one_has_completed() {
    let mut rig = Rig::under(HealthPolicy::default());
    assert!(!goes_the_short_way(&mut rig), "its health is not known");
    assert!(goes_the_short_way(&mut rig));
    assert!(goes_the_short_way(&mut rig));
}

#[test]
fn after_a_failure_updates_take_the_short_way_when_a_healthy_period_is_over() {
    let mut rig = Rig::under(HealthPolicy::default());
    rig.update(failed("no network"));
    let mut looked_at = 0;
    while !goes_the_short_way(&mut rig) {
        looked_at += 1;
        assert!(looked_at < 99, "it stays on the long way");
    }
    // One each second from the first that completed to the one that is 60 s after it.
    assert_eq!(looked_at, 61);
}

#[test]
fn the_number_of_another_call_completes_nothing_in_the_short_way() {
    let mut rig = Rig::under(HealthPolicy::default());
    rig.update(CallOutcome::Completed);
    rig.now_ms = rig.next_ms().unwrap();
    let (now, then) = (at(rig.now_ms), wall(rig.now_ms));
    let id = rig.machine.start_plain_update(now, then).unwrap();
    let before = CallId(id.0 - 1);
    assert_eq!(rig.machine.complete_plain_update(now, then, before), None);
    assert!(rig.machine.complete_plain_update(now, then, id).is_some());
}

#[test]
fn an_update_that_was_abandoned_is_not_completed_in_the_short_way() {
    let mut rig = Rig::under(HealthPolicy::default());
    rig.update(CallOutcome::Completed);
    rig.now_ms = rig.next_ms().unwrap();
    let (now, then) = (at(rig.now_ms), wall(rig.now_ms));
    let id = rig.machine.start_plain_update(now, then).unwrap();
    rig.now_ms += TIMEOUT_MS;
    rig.time_out(id);
    let ended = rig.machine.complete_plain_update(at(rig.now_ms), then, id);
    assert_eq!(ended, None);
    assert_eq!(rig.machine.counts().successes, 2);
}

#[test]
fn every_call_that_is_abandoned_is_counted_as_a_timeout() {
    let mut rig = Rig::enabled();
    for times in 1..=2 {
        let id = rig.hang();
        assert_eq!(rig.machine.counts().timeouts, times);
        rig.end(id, CallOutcome::Completed);
        rig.now_ms = rig.next_ms().unwrap();
    }
}

#[test]
fn failures_in_a_row_are_those_of_one_kind_of_call() {
    let mut rig = Rig::loaded();
    let in_a_row = |rig: &Rig| {
        [CallKind::Create, CallKind::Update, CallKind::Display]
            .map(|kind| rig.machine.failures_in_a_row(kind))
    };
    for times in 1..=2 {
        let reason = match times {
            1 => CreateReason::Load,
            _ => CreateReason::Reset,
        };
        let id = rig.start(Event::CreateStarted(reason));
        rig.end(id, failed("no memory"));
        assert_eq!(in_a_row(&rig), [times, 0, 0]);
        assert_eq!(rig.machine.counts().failures, u64::from(times));
    }
    rig.create(CreateReason::SwitchedOn);
    for times in 1..=3 {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(failed("no network"));
        assert_eq!(in_a_row(&rig), [0, times, 0]);
    }
    rig.display(failed("no screen"));
    assert_eq!(in_a_row(&rig), [0, 3, 1]);
    assert_eq!(rig.machine.failures_in_a_row(CallKind::Destroy), 0);
}

#[test]
fn only_the_records_of_updates_that_go_well_are_routine() {
    let mut rig = Rig::enabled();
    let started = rig.take(DUE);
    let id = started.call.unwrap();
    assert!(started.record.unwrap().is_routine());
    let ended = rig.end(id, CallOutcome::Completed);
    assert!(ended.record.unwrap().is_routine());
    rig.now_ms = rig.next_ms().unwrap();
    let failed = rig.update(failed("no network"));
    assert!(!failed.record.unwrap().is_routine());
    let off = rig.take(Event::SwitchedOff);
    assert!(!off.record.unwrap().is_routine());
}
