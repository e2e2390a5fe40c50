//! A plugin whose requirement is not met: said once, not called, and back by itself.

use plugin_engine_core::{
    CallOutcome, Cause, CreateReason, Event, FaultKind, Health, PluginState, RejectReason,
};

use crate::rig::{DUE, INTERVAL_MS, Rig, failed_for_good, held_back, report};

const OFF: &str = "requires clock, which is Disabled";
const BROKEN: &str = "requires clock, which is Error";

#[test]
fn a_plugin_whose_requirement_is_not_met_is_in_error_with_the_reason_and_comes_back_without_it() {
    let mut rig = Rig::loaded();
    let entry = rig.take(held_back(OFF)).record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Loaded, PluginState::Error)
    );
    assert_eq!(rig.message(), Some(OFF));
    assert!(rig.error().recoverable && rig.error().call.is_none());
    assert_eq!(rig.machine.counts().calls, 0);
    let entry = rig.create(CreateReason::RequirementMet).record.unwrap();
    assert_eq!(
        (entry.to, entry.cause),
        (PluginState::Enabled, Cause::RequirementMet)
    );
    assert_eq!(rig.message(), None);
    assert_eq!(rig.next_ms(), Some(0));
}

#[test]
fn another_reason_is_said_and_the_same_one_is_not_said_again() {
    let mut rig = Rig::loaded();
    rig.take(held_back(OFF));
    assert_eq!(rig.take(held_back(OFF)).record, None);
    let entry = rig.take(held_back(BROKEN)).record.unwrap();
    assert_eq!(
        (entry.from, entry.to),
        (PluginState::Error, PluginState::Error)
    );
    assert_eq!(rig.message(), Some(BROKEN));
}

#[test]
fn a_plugin_that_has_failed_otherwise_does_not_come_back_with_a_requirement() {
    let mut rig = Rig::in_state(PluginState::Error);
    let met = Event::CreateStarted(CreateReason::RequirementMet);
    let refused = rig.refused(met.clone());
    assert_eq!(refused, RejectReason::Illegal(PluginState::Error));
    // But somebody who resets it while a requirement is not met has asked for it.
    rig.take(held_back(OFF));
    rig.start(met);
}

#[test]
fn a_failed_create_ends_the_coming_back_by_itself() {
    let mut rig = Rig::loaded();
    rig.take(held_back(OFF));
    let met = Event::CreateStarted(CreateReason::RequirementMet);
    let id = rig.start(met.clone());
    rig.end(id, failed_for_good("no licence"));
    assert_eq!(rig.message(), Some("no licence"));
    rig.refused(met);
}

#[test]
fn a_create_for_which_there_is_no_thread_is_made_a_moment_later_and_says_nothing_of_the_plugin() {
    let refusal = || Event::CreateRefused(report(FaultKind::Refused, "not created: no thread"));
    let mut loaded = Rig::loaded();
    let mut held_back_before = Rig::loaded();
    held_back_before.take(held_back(OFF));
    for rig in [&mut loaded, &mut held_back_before] {
        let from = rig.state();
        let step = rig.take(refusal());
        let entry = step.record.unwrap();
        assert_eq!(
            (entry.from, entry.to, entry.cause),
            (from, PluginState::Error, Cause::CallRefused)
        );
        assert!(step.effects.rearm);
        let text = rig.message().unwrap();
        assert_eq!(text, "not created: no thread; tried again in 1s");
        assert_eq!(
            (rig.next_ms(), rig.machine.waits_for_restart()),
            (Some(1_000), true)
        );
        assert_eq!(rig.machine.health(), Health::Unknown);
        // It is a restart that was put off, from now on.
        assert_eq!(
            rig.refused(refusal()),
            RejectReason::Illegal(PluginState::Error)
        );
        let entry = rig.at(1_000).create(CreateReason::Restart).record.unwrap();
        assert_eq!(
            (entry.to, entry.cause),
            (PluginState::Enabled, Cause::Restarted)
        );
    }
}

#[test]
fn what_is_required_is_looked_for_again_before_a_create_that_was_put_off() {
    let mut rig = Rig::loaded();
    rig.take(Event::CreateRefused(report(
        FaultKind::Refused,
        "no thread",
    )));
    rig.at(1_000).take(held_back(OFF));
    assert_eq!((rig.message(), rig.next_ms()), (Some(OFF), None));
    rig.create(CreateReason::RequirementMet);
}

#[test]
fn ticks_without_a_requirement_are_skipped_each_reason_is_said_once_and_a_success_clears_it() {
    let mut rig = Rig::enabled();
    let refused = |message: &str| Event::CallRefused(report(FaultKind::Requirement, message));
    assert!(rig.take(refused(OFF)).record.is_some());
    assert!(rig.at(INTERVAL_MS).take(refused(OFF)).record.is_none());
    let entry = rig.at(2 * INTERVAL_MS).take(refused(BROKEN)).record;
    assert_eq!(entry.unwrap().cause, Cause::CallRefused);
    assert_eq!(rig.message(), Some(BROKEN));
    assert_eq!(rig.machine.counts().skipped, 3);
    let id = rig.at(3 * INTERVAL_MS).start(DUE);
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.message(), None);
    assert_eq!(rig.machine.counts().skipped, 3);
}
