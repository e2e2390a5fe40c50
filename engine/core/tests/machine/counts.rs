//! What a machine counts, and who takes the short way of those that nothing is wrong with.

use plugin_engine_core::{CallOutcome, Event, HealthPolicy, RejectReason};

use crate::rig::{Rig, TIMEOUT_MS, at, failed, panicked, wall};

#[test]
fn generations_go_on_from_those_of_the_process_before_and_are_said_once() {
    let mut rig = Rig::unloaded();
    assert_eq!(rig.machine.count_generations_from(7), Ok(()));
    let again = rig.machine.count_generations_from(3);
    assert!(matches!(again, Err(RejectReason::Illegal(_))), "{again:?}");
    rig.take(Event::Mapped);
    assert_eq!(rig.machine.generation(), 8);
}

#[test]
fn a_plugin_that_was_loaded_counts_its_own_generations() {
    let mut rig = Rig::loaded();
    assert!(rig.machine.count_generations_from(7).is_err());
    rig.take(Event::Unloaded);
    assert!(rig.machine.count_generations_from(7).is_err());
    rig.take(Event::Mapped);
    assert_eq!(rig.machine.generation(), 2);
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
