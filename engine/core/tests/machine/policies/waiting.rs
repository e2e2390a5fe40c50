//! What happens to a plugin that waits for its restart: a restart that was called off never comes back to life.

use plugin_engine_core::{
    AbandonReason, Admission, CallEnd, CallOutcome, Command, CreateReason, Event, FaultKind,
    OnUnhealthy, PluginState, RejectReason, Schedule,
};

use super::cells::{DELAY_MS, policy};
use crate::rig::{
    DUE, INTERVAL_MS, ON_DEMAND, Rig, failed, failed_for_good, held_back, panicked, report,
    takeover,
};

const RESTART: Event = Event::CreateStarted(CreateReason::Restart);

fn refusal() -> Event {
    Event::RestartRefused(report(FaultKind::Refused, "no thread"))
}

/// Waits for a restart at 4.1 s, after a panic at zero.
fn waiting() -> Rig {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    rig.update(panicked("oh"));
    assert!(rig.machine.waits_for_restart());
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    rig.take_entries();
    rig
}

/// No restart is waited for, and none is taken at any time.
#[track_caller]
fn is_called_off(rig: &mut Rig) {
    assert!(!rig.machine.waits_for_restart());
    for later_ms in [0, DELAY_MS, 86_400_000] {
        rig.now_ms += later_ms;
        rig.refused(RESTART);
        rig.refused(refusal());
    }
}

#[test]
fn a_restart_comes_at_its_time_and_not_before() {
    let mut rig = waiting();
    assert_eq!(rig.at(DELAY_MS - 1).refused(RESTART), RejectReason::NotDue);
    assert_eq!(rig.refused(refusal()), RejectReason::NotDue);
    rig.at(DELAY_MS).create(CreateReason::Restart);
    assert_eq!(rig.take_entries(), "restarted");
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.next_ms(), Some(DELAY_MS), "it is due at once");
    is_called_off(&mut rig);
}

#[test]
fn nothing_is_called_while_a_restart_is_waited_for() {
    let mut rig = waiting();
    for now_ms in [INTERVAL_MS, DELAY_MS] {
        rig.at(now_ms);
        for event in [DUE, ON_DEMAND, Event::DisplayStarted, Event::SaveStarted] {
            rig.refused(event);
        }
    }
}

#[test]
fn a_tick_that_is_skipped_does_not_put_off_a_restart() {
    let mut rig = waiting();
    rig.at(DELAY_MS).take(Event::TickSkipped);
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    assert_eq!(rig.machine.counts().skipped, 0);
    rig.create(CreateReason::Restart);
}

#[test]
fn switching_off_calls_the_restart_off() {
    let mut rig = waiting();
    assert!(rig.take(Event::SwitchedOff).effects.rearm);
    assert_eq!(rig.next_ms(), None);
    is_called_off(&mut rig);
    rig.create(CreateReason::SwitchedOn);
    rig.update(CallOutcome::Completed);
    is_called_off(&mut rig);
}

#[test]
fn whatever_unloads_the_plugin_calls_the_restart_off() {
    for event in [Event::Unloaded, Event::FileRemoved, Event::ShutDown] {
        let mut rig = waiting();
        assert!(rig.take(event).effects.rearm);
        assert_eq!(rig.next_ms(), None);
        is_called_off(&mut rig);
        rig.take(Event::Mapped);
        is_called_off(&mut rig);
        rig.create(CreateReason::Load);
        is_called_off(&mut rig);
    }
}

#[test]
fn switching_on_and_a_reset_take_the_place_of_the_restart() {
    for reason in [CreateReason::SwitchedOn, CreateReason::Reset] {
        let mut rig = waiting();
        let step = rig.at(DELAY_MS).take(Event::CreateStarted(reason));
        assert!(step.effects.rearm, "the ticker is set to the restart");
        assert_eq!(rig.next_ms(), None);
        rig.refused(RESTART);
        rig.end(step.call.unwrap(), CallOutcome::Completed);
        is_called_off(&mut rig);
        assert_eq!(rig.state(), PluginState::Enabled);
    }
}

#[test]
fn a_reset_that_fails_for_good_leaves_no_restart() {
    let mut rig = waiting();
    let id = rig.start(Event::CreateStarted(CreateReason::Reset));
    rig.end(id, failed_for_good("wrong machine"));
    assert_eq!((rig.state(), rig.next_ms()), (PluginState::Error, None));
    is_called_off(&mut rig);
}

#[test]
fn a_reset_that_fails_is_tried_again_after_the_first_delay_not_at_the_time_of_the_restart() {
    let mut rig = waiting();
    let id = rig
        .at(3_000)
        .start(Event::CreateStarted(CreateReason::Reset));
    rig.end(id, failed("no memory"));
    assert_eq!(rig.next_ms(), Some(3_000 + DELAY_MS));
    rig.at(DELAY_MS);
    assert_eq!(rig.refused(RESTART), RejectReason::NotDue);
}

#[test]
fn another_generation_takes_the_place_of_the_restart() {
    for rolls_back in [false, true] {
        let mut rig = waiting();
        let takeover = Box::new(takeover(rolls_back));
        assert!(rig.take(Event::Reloaded(takeover)).effects.rearm);
        assert_eq!(rig.next_ms(), Some(0), "it is due at once");
        is_called_off(&mut rig);
    }
}

#[test]
fn a_refused_reload_leaves_the_restart_where_it_is() {
    let mut rig = waiting();
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Config, "start: not a number"),
        created_anew: false,
    });
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    rig.at(DELAY_MS).create(CreateReason::Restart);
}

#[test]
fn what_was_put_back_for_a_plugin_that_a_policy_has_disposed_of_meanwhile_is_not_its_instance() {
    let mut rig = waiting();
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: true,
    });
    assert!(!rig.machine.has_instance());
    rig.at(DELAY_MS).create(CreateReason::Restart);
    assert!(rig.machine.has_instance());
}

#[test]
fn a_requirement_that_is_not_met_takes_the_place_of_the_restart() {
    let mut rig = waiting();
    let step = rig
        .at(DELAY_MS)
        .take(held_back("requires clock, which is Disabled"));
    assert!(step.effects.rearm);
    assert_eq!((rig.state(), rig.next_ms()), (PluginState::Error, None));
    is_called_off(&mut rig);
    rig.create(CreateReason::RequirementMet);
    assert_eq!(rig.take_entries(), "requirement_unmet requirement_met");
    is_called_off(&mut rig);
}

#[test]
fn other_times_do_not_move_the_restart() {
    let mut rig = waiting();
    let schedule = Schedule::new(
        std::time::Duration::from_millis(10),
        std::time::Duration::ZERO,
    );
    rig.at(2_000).take(Event::Reconfigured {
        schedule,
        limits: takeover(false).limits,
    });
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    rig.at(DELAY_MS).create(CreateReason::Restart);
}

#[test]
fn other_policies_do_not_leave_it_waiting_for_nothing() {
    let mut rig = waiting();
    rig.machine.set_health_policy(policy(OnUnhealthy::None));
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    rig.at(DELAY_MS).create(CreateReason::Restart);
    assert_eq!(rig.state(), PluginState::Enabled);
}

#[test]
fn commands_are_admitted_while_a_restart_is_waited_for_and_wait_while_it_is_made() {
    let mut rig = waiting();
    let legal = [
        Command::Enable,
        Command::Reset,
        Command::Disable,
        Command::Unload,
        Command::Reload,
    ];
    for command in legal {
        assert_eq!(
            rig.machine.admit(command),
            Ok(Admission::Accepted),
            "{command}"
        );
    }
    rig.at(DELAY_MS).start(RESTART);
    for command in legal {
        assert_eq!(
            rig.machine.admit(command),
            Ok(Admission::WhenCallEnds),
            "{command}"
        );
    }
    for event in [RESTART, Event::SwitchedOff, Event::Unloaded, refusal()] {
        assert_eq!(rig.refused(event), RejectReason::Busy);
    }
}

#[test]
fn a_restart_in_the_middle_of_which_the_engine_shuts_down_is_not_made_again() {
    let mut rig = waiting();
    let id = rig.at(DELAY_MS).start(RESTART);
    let why = AbandonReason::ShutDown;
    rig.take(Event::Abandoned { id, why });
    rig.take(Event::ShutDown);
    assert_eq!(rig.next_ms(), None);
    is_called_off(&mut rig);
    let step = rig.end(id, CallOutcome::Completed);
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert!(!rig.machine.has_instance());
}

#[test]
fn a_restart_is_made_beside_a_call_that_is_stuck() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    let stuck = rig.hang();
    rig.take(Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")));
    assert_eq!(rig.state(), PluginState::Error);
    let next_ms = rig.next_ms().unwrap();
    rig.at(next_ms).create(CreateReason::Restart);
    assert_eq!(rig.machine.orphans(), 1);
    rig.update(CallOutcome::Completed);
    let step = rig.end(stuck, panicked("at last"));
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert!(rig.machine.has_instance() && !rig.machine.is_poisoned());
    assert_eq!(rig.machine.orphans(), 0);
}

#[test]
fn a_call_that_returns_while_a_restart_is_waited_for_has_no_instance_to_give_back() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    let stuck = rig.hang();
    rig.take(Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh")));
    let step = rig.end(stuck, panicked("at last"));
    assert_eq!(step.ended, CallEnd::Late { current: false });
    assert!(!rig.machine.is_poisoned());
    let next_ms = rig.next_ms().unwrap();
    rig.at(next_ms).create(CreateReason::Restart);
}

#[test]
fn where_too_many_instances_are_stuck_the_restart_is_refused_and_tried_later() {
    let mut rig = waiting();
    for _ in 0..4 {
        let next_ms = rig.next_ms().unwrap();
        let id = rig.at(next_ms).start(RESTART);
        rig.now_ms += 500;
        rig.time_out(id);
    }
    let next_ms = rig.next_ms().unwrap();
    assert_eq!(rig.at(next_ms).refused(RESTART), RejectReason::TooManyStuck);
    assert!(rig.machine.waits_for_restart(), "nothing is lost by that");
    rig.take(refusal());
    assert_eq!(rig.next_ms(), None, "it was the sixth");
    assert!(rig.take_entries().ends_with("gave_up"));
}

#[test]
fn a_restart_that_fails_leaves_the_moment_since_which_it_is_in_error() {
    let mut rig = waiting();
    let since = rig.machine.since();
    let id = rig.at(DELAY_MS).start(RESTART);
    rig.end(id, failed("no memory"));
    assert_eq!(rig.machine.since(), since);
    assert_eq!(rig.message(), Some("no memory"));
}

#[test]
fn a_destroy_of_what_was_disposed_of_neither_moves_nor_ends_the_wait() {
    let mut rig = waiting();
    let id = rig.start(Event::DestroyStarted { current: false });
    rig.end(id, panicked("oh"));
    assert_eq!(rig.next_ms(), Some(DELAY_MS));
    assert_eq!(rig.told, 1);
    rig.at(DELAY_MS).create(CreateReason::Restart);
}

#[test]
fn no_load_overtakes_the_restart_of_a_plugin_whose_create_failed() {
    let mut rig = Rig::loaded_under(policy(OnUnhealthy::Restart));
    let id = rig.start(Event::CreateStarted(CreateReason::Load));
    rig.end(id, failed("no memory"));
    for event in [Event::Mapped, Event::CreateStarted(CreateReason::Load)] {
        rig.refused(event);
    }
    rig.at(DELAY_MS).create(CreateReason::Restart);
    assert_eq!(rig.take_entries(), "create_failed restarted");
}
