//! C3, `on_hung`: another instance beside one whose call does not return, a bounded number of times.

use plugin_engine_core::{
    CallEnd, CallOutcome, CreateReason, Event, FaultKind, HealthPolicy, OnHung, OnUnhealthy,
    PluginState, RejectReason,
};

use crate::rig::{DUE, INTERVAL_MS, Rig, TIMEOUT_MS, at, failed, panicked, report};

const HUNG: Event = Event::CreateStarted(CreateReason::Hung);
/// When the first update is overdue for three intervals.
const PATIENCE_MS: u64 = TIMEOUT_MS + 3 * INTERVAL_MS;

fn replace() -> HealthPolicy {
    HealthPolicy {
        on_hung: OnHung::Replace { after_intervals: 3 },
        ..HealthPolicy::default()
    }
}

fn is_due(rig: &Rig) -> bool {
    rig.machine.replacement_is_due(at(rig.now_ms))
}

/// Hangs in its first update, at zero.
fn hung() -> Rig {
    let mut rig = Rig::under(replace());
    rig.hang();
    rig.take_entries();
    rig
}

/// Waits until the instance is replaced, and has that one hang, too.
fn replace_and_hang(rig: &mut Rig) {
    rig.now_ms += 3 * INTERVAL_MS;
    rig.create(CreateReason::Hung);
    rig.hang();
}

#[test]
fn a_call_that_is_overdue_for_three_intervals_has_its_instance_replaced() {
    let mut rig = hung();
    for now_ms in [TIMEOUT_MS, PATIENCE_MS - 1] {
        assert!(!is_due(rig.at(now_ms)), "{now_ms}");
        assert_eq!(rig.refused(HUNG), RejectReason::NotDue);
    }
    assert!(is_due(rig.at(PATIENCE_MS)));
    rig.create(CreateReason::Hung);
    assert_eq!(rig.take_entries(), "replaced");
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.machine.orphans(), 1);
    assert!(!is_due(&rig));
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.message(), None);
}

#[test]
fn the_number_of_intervals_is_the_policys() {
    for after_intervals in [0, 1, 10] {
        let mut policy = replace();
        policy.on_hung = OnHung::Replace { after_intervals };
        let mut rig = Rig::under(policy);
        rig.hang();
        let due_ms = TIMEOUT_MS + u64::from(after_intervals) * INTERVAL_MS;
        if due_ms > rig.now_ms {
            assert!(!is_due(rig.at(due_ms - 1)));
        }
        assert!(is_due(rig.at(due_ms)));
    }
}

#[test]
fn an_absurd_number_of_intervals_is_never_over() {
    let mut policy = replace();
    policy.on_hung = OnHung::Replace {
        after_intervals: u32::MAX,
    };
    let mut rig = Rig::under(policy);
    rig.hang();
    assert!(!is_due(rig.at(365 * 86_400_000)));
}

#[test]
fn by_default_it_is_waited_for_without_end() {
    let mut rig = Rig::under(HealthPolicy::default());
    rig.hang();
    assert!(!is_due(rig.at(365 * 86_400_000)));
    assert_eq!(rig.refused(HUNG), RejectReason::NotDue);
}

#[test]
fn a_call_that_is_not_overdue_is_in_nobodys_way() {
    let mut rig = Rig::under(replace());
    assert!(!is_due(rig.at(PATIENCE_MS)));
    let id = rig.start(DUE);
    rig.now_ms += PATIENCE_MS;
    assert!(!is_due(&rig), "nobody has abandoned it");
    rig.end(id, CallOutcome::Completed);
    assert!(!is_due(&rig));
}

#[test]
fn ticks_that_are_skipped_meanwhile_do_not_put_it_off() {
    let mut rig = hung();
    for tick in 1..=3 {
        rig.at(TIMEOUT_MS + tick * INTERVAL_MS)
            .take(Event::TickSkipped);
    }
    assert!(is_due(&rig));
    assert_eq!(rig.machine.counts().skipped, 3);
    rig.create(CreateReason::Hung);
    assert_eq!(
        rig.next_ms(),
        Some(PATIENCE_MS + INTERVAL_MS),
        "the ticks go on"
    );
}

#[test]
fn there_are_three_instances_at_most() {
    let mut rig = hung();
    replace_and_hang(&mut rig);
    replace_and_hang(&mut rig);
    assert_eq!(rig.machine.orphans(), 2);
    rig.now_ms += 365 * 86_400_000;
    assert!(!is_due(&rig));
    assert_eq!(rig.refused(HUNG), RejectReason::NotDue);
}

#[test]
fn one_that_returns_after_all_makes_room_for_another() {
    let mut rig = Rig::under(replace());
    let first = rig.hang();
    replace_and_hang(&mut rig);
    replace_and_hang(&mut rig);
    rig.now_ms += 3 * INTERVAL_MS;
    assert!(!is_due(&rig));
    rig.end(first, CallOutcome::Completed);
    assert!(is_due(&rig));
    rig.create(CreateReason::Hung);
    assert_eq!(rig.machine.orphans(), 2);
}

#[test]
fn what_a_replaced_instance_still_does_concerns_nobody() {
    for outcome in [
        CallOutcome::Completed,
        failed("at last"),
        panicked("at last"),
    ] {
        let mut rig = Rig::under(replace());
        let old = rig.hang();
        rig.at(PATIENCE_MS).create(CreateReason::Hung);
        rig.update(CallOutcome::Completed);
        let before = *rig.machine.counts();
        let step = rig.end(old, outcome);
        assert_eq!(step.ended, CallEnd::Late { current: false });
        assert!(!rig.machine.is_poisoned());
        assert_eq!(rig.machine.counts().late, before.late + 1);
        assert_eq!(rig.machine.counts().panics, before.panics);
        assert_eq!(rig.machine.orphans(), 0);
    }
}

#[test]
fn a_call_that_returns_while_its_instance_is_being_replaced_has_none_to_give_back() {
    let mut rig = Rig::under(replace());
    let old = rig.hang();
    let create = rig.at(PATIENCE_MS).start(HUNG);
    let step = rig.end(old, panicked("at last"));
    assert_eq!(step.ended, CallEnd::Late { current: false });
    rig.end(create, CallOutcome::Completed);
    assert!(rig.machine.has_instance() && !rig.machine.is_poisoned());
    rig.update(CallOutcome::Completed);
}

#[test]
fn a_stuck_display_or_save_is_replaced_after_its_own_limit() {
    for (event, limit_ms) in [(Event::DisplayStarted, 200), (Event::SaveStarted, 400)] {
        let mut rig = Rig::under(replace());
        let id = rig.start(event);
        rig.at(limit_ms).time_out(id);
        assert!(!is_due(rig.at(limit_ms + 3 * INTERVAL_MS - 1)));
        assert!(is_due(rig.at(limit_ms + 3 * INTERVAL_MS)));
    }
}

#[test]
fn a_stuck_create_or_destroy_keeps_no_instance_from_being_called() {
    let mut rig = Rig::under(replace());
    let id = rig.start(Event::DestroyStarted { current: true });
    rig.at(100).time_out(id);
    assert!(!is_due(rig.at(365 * 86_400_000)));
    let mut rig = Rig::loaded_under(replace());
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.at(500).time_out(id);
    assert!(!is_due(rig.at(365 * 86_400_000)));
    assert_eq!(rig.refused(HUNG), RejectReason::Illegal(PluginState::Error));
}

#[test]
fn a_plugin_that_is_not_enabled_is_not_replaced() {
    for event in [Event::SwitchedOff, Event::Unloaded] {
        let mut rig = hung();
        rig.take(event);
        assert!(!is_due(rig.at(PATIENCE_MS)));
        rig.refused(HUNG);
    }
}

#[test]
fn a_replacement_that_cannot_be_created_is_tried_again_by_the_restart_policy() {
    let mut rig = hung();
    let id = rig.at(PATIENCE_MS).start(HUNG);
    rig.end(id, failed("the port is taken"));
    assert_eq!(rig.take_entries(), "create_failed");
    assert_eq!(rig.state(), PluginState::Error);
    assert!(rig.machine.waits_for_restart() && !rig.machine.has_instance());
    rig.now_ms = rig.next_ms().unwrap();
    rig.create(CreateReason::Restart);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.orphans(), 1);
}

#[test]
fn a_replacement_that_panics_is_created_anew_as_any_other() {
    let mut rig = hung();
    rig.at(PATIENCE_MS).create(CreateReason::Hung);
    rig.update(panicked("oh"));
    assert!(rig.machine.is_poisoned());
    rig.now_ms += INTERVAL_MS;
    assert_eq!(rig.refused(DUE), RejectReason::NoInstance);
    rig.create(CreateReason::Anew);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.orphans(), 1);
}

#[test]
fn an_instance_that_hangs_and_whose_threads_panic_is_restarted_rather_than_replaced() {
    let mut policy = replace();
    policy.panic_limit = Some(1);
    policy.on_unhealthy = OnUnhealthy::Restart;
    let mut rig = Rig::under(policy);
    rig.hang();
    rig.take(Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")));
    assert_eq!(rig.state(), PluginState::Error);
    assert!(!is_due(rig.at(PATIENCE_MS)));
    rig.create(CreateReason::Restart);
    assert_eq!(rig.machine.orphans(), 1);
}

#[test]
fn a_panic_of_a_thread_while_a_replacement_is_created_is_acted_upon_when_it_is() {
    let mut policy = replace();
    policy.panic_limit = Some(1);
    policy.on_unhealthy = OnUnhealthy::Disable;
    let mut rig = Rig::under(policy);
    rig.hang();
    let id = rig.at(PATIENCE_MS).start(HUNG);
    rig.take_entries();
    rig.take(Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")));
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.take_entries(), "thread_panicked replaced switched_off");
}

#[test]
fn a_late_panic_of_a_destroy_says_nothing_of_the_instance_that_there_is() {
    let mut rig = Rig::under(replace());
    let id = rig.start(Event::DestroyStarted { current: false });
    rig.at(100).time_out(id);
    let step = rig.end(id, panicked("at last"));
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert!(!rig.machine.is_poisoned());
    rig.update(CallOutcome::Completed);
}
