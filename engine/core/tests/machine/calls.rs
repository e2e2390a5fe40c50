//! C1, C2 and C6: one call at a time, and every end of one leaves the machine ready for the next.

use std::time::Duration;

use plugin_engine_core::{
    AbandonReason, CallEnd, CallId, CallOutcome, Cause, CreateReason, Event, FaultKind,
    PluginState, RejectReason,
};

use crate::rig::{
    DUE, INTERVAL_MS, ON_DEMAND, Rig, TIMEOUT_MS, failed, failed_for_good, panicked, wall,
};

#[test]
fn timed_out_update_stays_enabled_with_its_error() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    let step = rig.at(TIMEOUT_MS).time_out(id);
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.error().kind, FaultKind::Timeout);
    let entry = step.record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Running, PluginState::Enabled)
    );
    assert_eq!(entry.cause, Cause::UpdateTimedOut);
    assert_eq!(entry.error.as_ref(), rig.machine.error());
}

#[test]
fn a_plugin_that_times_out_again_and_again_never_becomes_error() {
    let mut rig = Rig::enabled();
    for row in 1..=100 {
        let id = rig.hang();
        assert_eq!(rig.state(), PluginState::Enabled);
        assert_eq!(
            (rig.error().recoverable, rig.error().consecutive),
            (true, row)
        );
        rig.end(id, CallOutcome::Completed);
        rig.now_ms += INTERVAL_MS;
    }
}

#[test]
fn an_update_that_times_out_is_due_again_one_interval_after_the_failure_not_after_the_start() {
    let mut rig = Rig::enabled();
    let id = rig.at(40).start(DUE);
    let step = rig.at(40 + TIMEOUT_MS).time_out(id);
    assert_eq!(rig.next_ms(), Some(40 + TIMEOUT_MS + INTERVAL_MS));
    assert!(step.effects.rearm);
}

#[test]
fn a_timeout_says_how_long_was_allowed_and_since_when_the_call_is_running() {
    let mut rig = Rig::enabled();
    let id = rig.at(40).start(DUE);
    rig.at(40 + TIMEOUT_MS).time_out(id);
    let message = rig.message().unwrap();
    assert!(message.contains("300ms"), "{message}");
    assert!(message.contains(&wall(40).to_string()), "{message}");
}

#[test]
fn a_call_cannot_be_abandoned_twice() {
    let mut rig = Rig::enabled();
    let id = rig.hang();
    let why = AbandonReason::Deadline;
    assert_eq!(
        rig.refused(Event::Abandoned { id, why }),
        RejectReason::NoSuchCall
    );
}

#[test]
fn a_call_that_has_ended_cannot_be_abandoned() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.end(id, CallOutcome::Completed);
    let why = AbandonReason::Deadline;
    assert_eq!(
        rig.refused(Event::Abandoned { id, why }),
        RejectReason::NoSuchCall
    );
}

#[test]
fn the_end_of_a_call_that_never_was_is_refused() {
    let mut rig = Rig::in_state(PluginState::Running);
    let outcome = CallOutcome::Completed;
    let id = CallId(1_000);
    assert_eq!(
        rig.refused(Event::CallEnded { id, outcome }),
        RejectReason::NoSuchCall
    );
}

#[test]
fn a_call_does_not_end_twice() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    rig.end(id, CallOutcome::Completed);
    let outcome = CallOutcome::Completed;
    assert_eq!(
        rig.refused(Event::CallEnded { id, outcome }),
        RejectReason::NoSuchCall
    );
}

#[test]
fn no_second_call_starts_while_one_is_waited_for() {
    let mut rig = Rig::enabled();
    rig.start(Event::DisplayStarted);
    for event in [
        DUE,
        ON_DEMAND,
        Event::DisplayStarted,
        Event::DestroyStarted { current: true },
    ] {
        assert_eq!(rig.refused(event), RejectReason::Busy);
    }
}

#[test]
fn every_call_has_a_number_of_its_own() {
    let mut rig = Rig::enabled();
    let first = rig.start(Event::DisplayStarted);
    rig.end(first, CallOutcome::Completed);
    let second = rig.start(DUE);
    assert_ne!(first, second);
}

#[test]
fn whatever_way_an_update_ends_the_claim_is_released_and_the_entry_says_how_long_it_took() {
    let ends = [
        CallOutcome::Completed,
        failed("a"),
        failed_for_good("b"),
        panicked("c"),
    ];
    for outcome in ends {
        let mut rig = Rig::enabled();
        let id = rig.start(DUE);
        let step = rig.at(25).end(id, outcome.clone());
        assert!(rig.machine.in_flight().is_none(), "{outcome:?}");
        assert_eq!(step.ended, CallEnd::InTime, "{outcome:?}");
        assert!(step.effects.settled, "{outcome:?}");
        let duration = step.record.unwrap().duration;
        assert_eq!(duration, Some(Duration::from_millis(25)), "{outcome:?}");
    }
}

#[test]
fn whatever_way_an_update_ends_it_is_counted_once() {
    for (outcome, expected) in [
        (CallOutcome::Completed, [1, 0, 0, 0]),
        (failed("a"), [0, 1, 0, 0]),
        (failed_for_good("b"), [0, 1, 0, 0]),
        (panicked("c"), [0, 0, 0, 1]),
    ] {
        let mut rig = Rig::enabled();
        let before = *rig.machine.counts();
        rig.update(outcome.clone());
        let after = rig.machine.counts();
        let counted = [
            after.successes - before.successes,
            after.failures - before.failures,
            after.timeouts - before.timeouts,
            after.panics - before.panics,
        ];
        assert_eq!(counted, expected, "{outcome:?}");
        assert_eq!(
            (after.calls - before.calls, after.updates),
            (1, 1),
            "{outcome:?}"
        );
    }
}

#[test]
fn an_update_that_ended_badly_is_the_last_update_but_not_the_last_success() {
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    rig.at(INTERVAL_MS).update(failed("no answer"));
    let times = rig.machine.times();
    assert_eq!(times.last_update, Some(wall(INTERVAL_MS)));
    assert_eq!(times.last_success, Some(wall(0)));
}

#[test]
fn a_display_is_not_an_update() {
    let mut rig = Rig::enabled();
    let next_ms = rig.next_ms();
    rig.at(5).display(CallOutcome::Completed);
    assert_eq!(rig.machine.counts().updates, 0);
    assert_eq!(rig.machine.times().last_update, None);
    assert_eq!(rig.machine.times().last_display, Some(wall(5)));
    assert_eq!(rig.next_ms(), next_ms);
}

#[test]
fn a_create_that_times_out_is_error_with_a_reason_that_can_be_retried() {
    let mut rig = Rig::loaded();
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.at(500).time_out(id);
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(rig.error().kind, FaultKind::Timeout);
    assert!(rig.error().recoverable);
}

#[test]
fn a_shutdown_abandons_a_call_like_a_deadline_and_says_so() {
    let mut rig = Rig::enabled();
    let id = rig.start(DUE);
    let why = AbandonReason::ShutDown;
    let step = rig.at(10).take(Event::Abandoned { id, why });
    assert_eq!(step.ended, CallEnd::Abandoned);
    assert!(rig.message().unwrap().contains("shut down"));
    rig.take(Event::ShutDown);
    assert_eq!(rig.state(), PluginState::Unloaded);
}

#[test]
fn switching_off_and_unloading_wait_for_a_call_that_is_waited_for() {
    let mut rig = Rig::enabled();
    rig.start(Event::DisplayStarted);
    for event in [Event::SwitchedOff, Event::Unloaded, Event::ShutDown] {
        assert_eq!(rig.refused(event), RejectReason::Busy);
    }
}

#[test]
fn without_an_instance_nothing_is_called() {
    let mut rig = Rig::enabled();
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.end(id, CallOutcome::Completed);
    for event in [DUE, ON_DEMAND, Event::DisplayStarted] {
        assert_eq!(rig.refused(event), RejectReason::NoInstance);
    }
}

#[test]
fn a_loaded_plugin_is_not_given_another_schedule() {
    let mut rig = Rig::loaded();
    let (schedule, limits) = (rig.machine.schedule().clone(), *rig.machine.limits());
    let refusal = rig.machine.configure(schedule, limits);
    assert_eq!(refusal, Err(RejectReason::Illegal(PluginState::Loaded)));
}

#[test]
fn every_load_is_one_generation_more_also_across_an_unload() {
    let mut rig = Rig::enabled();
    assert_eq!(rig.machine.generation(), 1);
    rig.take(Event::Unloaded);
    assert_eq!(rig.machine.generation(), 1);
    rig.take(Event::Mapped);
    assert_eq!(rig.machine.generation(), 2);
}
