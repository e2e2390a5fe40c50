//! Reloads: what takes over, what was refused, and the state that is handed over.

use plugin_engine_core::{
    CallKind, CallOutcome, Cause, Event, FaultKind, Moment, PluginState, RejectReason, Schedule,
    Takeover,
};

use crate::rig::{DUE, INTERVAL_MS, Rig, at, failed, failed_for_good, panicked, report, takeover};

fn reload() -> Event {
    Event::Reloaded(Box::new(takeover(false)))
}

fn refusal() -> Event {
    Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: false,
    }
}

#[test]
fn a_reload_goes_on_along_the_ticks_and_misses_none() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let due = rig.machine.schedule().next();
    rig.take(reload());
    assert_eq!(rig.machine.schedule().next(), due);
    assert_eq!(rig.machine.generation(), 2);
    assert_eq!(rig.state(), PluginState::Enabled);
}

#[test]
fn a_tick_that_came_while_updates_waited_for_the_reload_is_still_there_after_it() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let due = rig.machine.schedule().next().unwrap();
    rig.now_ms = due.as_nanos() / 1_000_000 + 5;
    let step = rig.take(reload());
    assert!(step.effects.rearm);
    assert_eq!(rig.machine.schedule().next(), Some(due));
    rig.start(DUE);
    assert_eq!(rig.machine.counts().skipped, 0);
}

#[test]
fn a_reload_with_another_interval_is_due_at_once() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    rig.now_ms += 300;
    let schedule = Schedule::new(std::time::Duration::from_millis(7), Default::default());
    let other = Takeover {
        schedule,
        ..takeover(false)
    };
    rig.take(Event::Reloaded(Box::new(other)));
    assert_eq!(rig.machine.schedule().next(), Some(at(rig.now_ms)));
}

#[test]
fn a_reload_leaves_the_state_error_and_clears_what_stood() {
    let mut rig = Rig::in_state(PluginState::Running);
    let id = rig.machine.in_flight().unwrap().id;
    rig.end(id, failed_for_good("never"));
    assert_eq!(rig.state(), PluginState::Error);
    rig.take(reload());
    assert_eq!(rig.state(), PluginState::Enabled);
    assert!(!rig.machine.has_error() && rig.machine.has_instance());
    assert!(rig.machine.schedule().is_due(at(rig.now_ms)));
}

#[test]
fn a_reload_of_what_is_switched_off_leaves_it_so_without_an_instance() {
    let mut rig = Rig::in_state(PluginState::Disabled);
    rig.take(reload());
    assert_eq!(rig.state(), PluginState::Disabled);
    assert!(!rig.machine.has_instance() && rig.machine.schedule().next().is_none());
    assert_eq!(rig.machine.generation(), 2);
}

#[test]
fn no_takeover_comes_in_the_middle_of_a_call() {
    let mut rig = Rig::in_state(PluginState::Running);
    let before = format!("{:?}", rig.machine);
    assert_eq!(
        rig.offer(reload()),
        Err(RejectReason::Illegal(PluginState::Running))
    );
    assert_eq!(before, format!("{:?}", rig.machine));
    let mut rig = Rig::in_state(PluginState::Enabled);
    rig.start(Event::DisplayStarted);
    assert_eq!(rig.offer(reload()), Err(RejectReason::Busy));
}

#[test]
fn a_takeover_beside_a_stuck_call_can_be_called_and_the_late_return_is_not_its_own() {
    let mut rig = Rig::in_state(PluginState::Running);
    let stuck = rig.machine.in_flight().unwrap().id;
    rig.time_out(stuck);
    rig.take(reload());
    assert_eq!(rig.machine.orphans(), 1);
    rig.now_ms += 2 * INTERVAL_MS;
    let id = rig.start(DUE);
    let late = rig.end(stuck, panicked("much later"));
    assert_eq!(late.record.unwrap().cause, Cause::ReturnedLate);
    assert!(!rig.machine.is_poisoned());
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.machine.orphans(), 0);
}

#[test]
fn a_refused_reload_changes_nothing_but_the_history() {
    for state in plugin_engine_core::STATES {
        let mut rig = Rig::in_state(state);
        let before = format!("{:?}", rig.machine);
        let step = rig.take(refusal());
        assert_eq!(before, format!("{:?}", rig.machine), "{state}");
        let entry = step.record.unwrap();
        assert_eq!((entry.from, entry.to), (state, state));
        assert_eq!(&*entry.error.unwrap().message, "half a file");
    }
}

#[test]
fn a_refused_reload_does_not_count_as_a_failure_in_a_row() {
    let mut rig = Rig::in_state(PluginState::Running);
    let id = rig.machine.in_flight().unwrap().id;
    rig.end(id, failed("once"));
    rig.take(refusal());
    rig.now_ms += 2 * INTERVAL_MS;
    let id = rig.start(DUE);
    rig.end(id, failed("twice"));
    assert_eq!(rig.error().consecutive, 2);
}

#[test]
fn an_instance_created_anew_after_a_refusal_can_be_called_beside_a_stuck_destroy() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let destroy = rig.start(Event::DestroyStarted { current: true });
    rig.time_out(destroy);
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Failed, "the port is taken"),
        created_anew: true,
    });
    rig.now_ms += 2 * INTERVAL_MS;
    rig.start(DUE);
}

#[test]
fn an_instance_that_could_not_be_put_back_is_an_error_that_says_so() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    rig.take(Event::NotPutBack(report(
        FaultKind::Failed,
        "the port is taken",
    )));
    assert_eq!(rig.state(), PluginState::Error);
    assert_eq!(&*rig.error().message, "the port is taken");
    assert_eq!(rig.machine.schedule().next(), None::<Moment>);
}

#[test]
fn saving_the_state_is_a_call_of_the_instance_like_any_other() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let id = rig.start(Event::SaveStarted);
    let call = rig.machine.in_flight().unwrap();
    assert_eq!(call.call, CallKind::SaveState);
    rig.now_ms += INTERVAL_MS;
    assert_eq!(rig.offer(DUE), Err(RejectReason::Busy));
    let step = rig.end(id, CallOutcome::Completed);
    assert!(step.record.is_none());
    rig.start(DUE);
}

#[test]
fn a_save_that_fails_leaves_the_plugin_as_it_was_and_one_that_panics_poisons_it() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let id = rig.start(Event::SaveStarted);
    let step = rig.end(id, failed("no room"));
    assert_eq!(step.record.unwrap().cause, Cause::SaveFailed);
    assert!(!rig.machine.has_error() && !rig.machine.is_poisoned());
    let id = rig.start(Event::SaveStarted);
    rig.end(id, panicked("oh"));
    assert!(rig.machine.is_poisoned());
}

#[test]
fn other_times_hold_without_another_instance() {
    let mut rig = Rig::in_state(PluginState::Enabled);
    let mut limits = takeover(false).limits;
    limits.update *= 2;
    rig.take(Event::Reconfigured {
        schedule: Schedule::new(std::time::Duration::from_millis(7), Default::default()),
        limits,
    });
    assert_eq!(rig.machine.generation(), 1);
    assert_eq!(rig.machine.limits().update, limits.update);
    assert_eq!(rig.machine.schedule().interval().as_millis(), 7);
    let stopped = Rig::in_state(PluginState::Disabled);
    assert_eq!(stopped.machine.schedule().next(), None);
}

#[test]
fn another_interval_starts_the_ticks_of_a_plugin_that_runs_and_of_no_other() {
    let reconfigured = |interval_ms: u64| Event::Reconfigured {
        schedule: Schedule::new(
            std::time::Duration::from_millis(interval_ms),
            std::time::Duration::ZERO,
        ),
        limits: *Rig::unloaded().machine.limits(),
    };
    let mut rig = Rig::enabled();
    rig.update(CallOutcome::Completed);
    rig.at(400).take(reconfigured(INTERVAL_MS));
    assert_eq!(rig.next_ms(), Some(INTERVAL_MS), "it ticks as before");
    rig.take(reconfigured(70));
    assert_eq!(rig.next_ms(), Some(400));
    rig.take(Event::SwitchedOff);
    rig.take(reconfigured(80));
    assert_eq!(rig.next_ms(), None);
}
