//! H2 and H4: what a plugin's health is, and that it is said to have become unhealthy once an episode.

use std::time::Duration;

use plugin_engine_core::{
    CallOutcome, CreateReason, Event, FaultKind, Health, HealthPolicy, OnUnhealthy, PluginState,
    RejectReason, RestartPolicy,
};

use crate::rig::{DUE, INTERVAL_MS, Rig, failed, failed_for_good, panicked, report, takeover};

/// The defaults, without jitter.
fn policy(on_unhealthy: OnUnhealthy) -> HealthPolicy {
    HealthPolicy {
        on_unhealthy,
        restart: RestartPolicy {
            jitter_percent: 0,
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    }
}

fn thread_panicked() -> Event {
    Event::ThreadPanicked(report(FaultKind::ThreadPanic, "oh"))
}

/// So many updates that panic, and a new instance after each.
fn panics(rig: &mut Rig, times: u32) {
    for _ in 0..times {
        rig.update(panicked("oh"));
        rig.now_ms += INTERVAL_MS;
        if rig.state() == PluginState::Enabled {
            rig.create(CreateReason::Anew);
        }
    }
}

/// Completes updates for a healthy period and a little more.
fn get_well(rig: &mut Rig) {
    for _ in 0..=61 {
        rig.now_ms = rig.next_ms().expect("updates are made").max(rig.now_ms);
        rig.update(CallOutcome::Completed);
    }
}

/// Unhealthy by three panics, and running.
fn unhealthy() -> Rig {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    panics(&mut rig, 3);
    assert_eq!((rig.machine.health(), rig.told), (Health::Unhealthy, 1));
    rig
}

#[test]
fn health_is_unknown_before_the_first_call() {
    let mut rig = Rig::unloaded();
    assert_eq!(rig.machine.health(), Health::Unknown);
    rig.take(Event::Mapped);
    assert_eq!(rig.machine.health(), Health::Unknown);
    rig.create(CreateReason::Load);
    assert_eq!(rig.machine.health(), Health::Unknown);
    assert_eq!(rig.machine.health_reason(), None);
}

#[test]
fn health_is_never_unhealthy_before_the_first_call() {
    for mut rig in [
        Rig::unloaded(),
        Rig::loaded_under(policy(OnUnhealthy::Restart)),
    ] {
        rig.follows = true;
        rig.machine.set_health_policy(policy(OnUnhealthy::Restart));
        // Threads that the file itself has started, or that are left of a file before.
        for _ in 0..13 {
            rig.take(thread_panicked());
        }
        assert_eq!((rig.machine.health(), rig.told), (Health::Unknown, 0));
        assert_eq!(rig.machine.counts().panics, 13);
    }
}

#[test]
fn a_file_that_was_refused_says_nothing_of_the_plugins_health() {
    let mut rig = Rig::unloaded();
    rig.take(Event::LoadFailed(report(FaultKind::Load, "half a file")));
    assert_eq!(rig.machine.health(), Health::Unknown);
}

#[test]
fn one_good_update_or_display_shows_that_it_is_healthy() {
    let mut rig = Rig::enabled();
    assert!(rig.update(CallOutcome::Completed).effects.health_changed);
    assert_eq!(rig.machine.health(), Health::Healthy);
    let mut rig = Rig::enabled();
    assert!(rig.display(CallOutcome::Completed).effects.health_changed);
    assert_eq!(rig.machine.health(), Health::Healthy);
}

#[test]
fn it_is_degraded_for_as_long_as_an_error_stands_and_says_which() {
    let mut rig = Rig::enabled();
    rig.update(failed("no network"));
    assert_eq!(rig.machine.health(), Health::Degraded);
    assert_eq!(rig.machine.health_reason(), Some("no network"));
    rig.at(INTERVAL_MS).update(CallOutcome::Completed);
    assert_eq!(rig.machine.health(), Health::Healthy);
    assert_eq!(rig.machine.health_reason(), None);
}

#[test]
fn a_plugin_that_fails_without_end_does_not_become_unhealthy_by_that() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    for _ in 0..100 {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(failed("no network"));
    }
    assert_eq!((rig.machine.health(), rig.told), (Health::Degraded, 0));
}

#[test]
fn two_panics_are_below_the_limit_of_three_and_the_third_is_said() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    panics(&mut rig, 2);
    assert_eq!((rig.machine.health(), rig.told), (Health::Degraded, 0));
    let step = rig.update(panicked("oh"));
    assert!(step.effects.became_unhealthy && step.effects.health_changed);
    assert_eq!(
        rig.machine.health_reason(),
        Some("panicked 3 times, the limit is 3; the last time: oh")
    );
}

#[test]
fn panics_of_every_kind_of_call_and_of_threads_count_together() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    rig.display(panicked("oh"));
    rig.create(CreateReason::Anew);
    rig.update(panicked("oh"));
    assert_eq!(rig.told, 0);
    rig.take(thread_panicked());
    assert_eq!(rig.told, 1);
}

#[test]
fn thirteen_panics_are_one_episode_where_nothing_is_done() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    panics(&mut rig, 13);
    assert_eq!((rig.machine.health(), rig.told), (Health::Unhealthy, 1));
    assert_eq!(rig.state(), PluginState::Enabled);
    assert!(
        rig.machine
            .health_reason()
            .unwrap()
            .starts_with("panicked 13 times")
    );
}

#[test]
fn without_a_limit_no_number_of_panics_makes_it_unhealthy() {
    let mut rig = Rig::under(HealthPolicy {
        panic_limit: None,
        ..policy(OnUnhealthy::Restart)
    });
    panics(&mut rig, 100);
    assert_eq!((rig.machine.health(), rig.told), (Health::Degraded, 0));
}

#[test]
fn a_whole_episode_of_restarts_up_to_giving_up_is_said_once() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    panics(&mut rig, 3);
    while let Some(next_ms) = rig.next_ms() {
        rig.at(next_ms).create(CreateReason::Restart);
        rig.update(panicked("oh"));
    }
    assert!(rig.take_entries().ends_with("gave_up"));
    assert_eq!(rig.told, 1);
}

#[test]
fn a_restart_alone_does_not_end_the_episode() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    panics(&mut rig, 3);
    let next_ms = rig.next_ms().unwrap();
    rig.at(next_ms).create(CreateReason::Restart);
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    rig.update(CallOutcome::Completed);
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    panics(rig.at(next_ms + INTERVAL_MS), 1);
    assert_eq!(rig.state(), PluginState::Error, "one panic is enough now");
    assert_eq!(rig.told, 1);
}

#[test]
fn a_healthy_period_ends_the_episode_and_the_next_one_is_said_again() {
    let mut rig = unhealthy();
    rig.take_entries();
    get_well(&mut rig);
    let entries = rig.take_entries();
    assert_eq!(entries.matches("recovered").count(), 1, "{entries}");
    assert_eq!(rig.machine.health(), Health::Healthy);
    assert_eq!(rig.machine.health_reason(), None);
    rig.now_ms = rig.next_ms().unwrap();
    panics(&mut rig, 2);
    assert_eq!(rig.told, 1, "panics of before are forgotten");
    panics(&mut rig, 1);
    assert_eq!(rig.told, 2);
}

#[test]
fn an_episode_ends_at_the_update_that_completes_the_healthy_period() {
    let mut rig = unhealthy();
    rig.take_entries();
    let first_ms = rig.now_ms;
    loop {
        rig.update(CallOutcome::Completed);
        let over = rig.now_ms - first_ms >= 60_000;
        assert_eq!(
            rig.machine.health() == Health::Healthy,
            over,
            "{}",
            rig.now_ms
        );
        if over {
            break;
        }
        rig.now_ms = rig.next_ms().unwrap();
    }
    assert!(rig.take_entries().ends_with("update_completed recovered"));
}

#[test]
fn panics_below_the_limit_are_forgotten_after_a_healthy_period_without_a_word() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    for _ in 0..5 {
        panics(&mut rig, 2);
        get_well(&mut rig);
        rig.now_ms = rig.next_ms().unwrap();
    }
    assert_eq!(rig.told, 0);
    assert!(!rig.take_entries().contains("recovered"));
}

#[test]
fn a_healthy_period_of_no_time_is_over_with_the_first_success() {
    let mut policy = policy(OnUnhealthy::None);
    policy.restart.healthy_period = Duration::ZERO;
    let mut rig = Rig::under(policy);
    panics(&mut rig, 3);
    rig.take_entries();
    rig.update(CallOutcome::Completed);
    assert_eq!(
        rig.take_entries(),
        "update_started update_completed recovered"
    );
    assert_eq!(rig.machine.health(), Health::Healthy);
}

/// Whatever leads out of the episode, the next one is said again.
#[track_caller]
fn ends_the_episode(mut rig: Rig) {
    assert_eq!(rig.machine.health(), Health::Unknown);
    assert_eq!(rig.machine.health_reason(), None);
    let before = rig.told;
    rig.now_ms = rig.next_ms().expect("it runs").max(rig.now_ms);
    panics(&mut rig, 2);
    assert_eq!(rig.told, before);
    panics(&mut rig, 1);
    assert_eq!(rig.told, before + 1);
}

#[test]
fn a_reset_ends_the_episode() {
    let mut rig = unhealthy();
    rig.create(CreateReason::Reset);
    ends_the_episode(rig);
}

#[test]
fn a_reset_ends_the_episode_of_a_plugin_that_failed_for_good() {
    let mut rig = Rig::under(policy(OnUnhealthy::None));
    rig.update(failed_for_good("wrong machine"));
    assert_eq!(rig.told, 1);
    rig.create(CreateReason::Reset);
    ends_the_episode(rig);
}

#[test]
fn switching_on_ends_the_episode_of_a_plugin_that_a_policy_has_switched_off() {
    let mut rig = Rig::under(policy(OnUnhealthy::Disable));
    panics(&mut rig, 3);
    assert_eq!(rig.state(), PluginState::Disabled);
    rig.create(CreateReason::SwitchedOn);
    ends_the_episode(rig);
}

#[test]
fn another_load_ends_the_episode_of_a_plugin_that_a_policy_has_unloaded() {
    let mut rig = Rig::under(policy(OnUnhealthy::Unload));
    panics(&mut rig, 3);
    assert_eq!(rig.state(), PluginState::Unloaded);
    rig.take(Event::Mapped);
    rig.create(CreateReason::Load);
    ends_the_episode(rig);
}

#[test]
fn another_generation_ends_the_episode() {
    let mut rig = unhealthy();
    rig.take(Event::Reloaded(Box::new(takeover(false))));
    ends_the_episode(rig);
}

#[test]
fn another_generation_ends_the_wait_for_a_restart_and_the_episode() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    panics(&mut rig, 3);
    rig.take(Event::Reloaded(Box::new(takeover(false))));
    ends_the_episode(rig);
}

#[test]
fn what_takes_the_place_of_an_instance_that_panicked_in_its_destroy_did_not_turn_unhealthy() {
    let once = HealthPolicy {
        panic_limit: Some(1),
        ..policy(OnUnhealthy::None)
    };
    for takes_over in [true, false] {
        let mut rig = Rig::under(once);
        let id = rig.start(Event::DestroyStarted { current: true });
        rig.end(id, panicked("oh"));
        if takes_over {
            rig.take(Event::Reloaded(Box::new(takeover(false))));
        } else {
            rig.create(CreateReason::Reset);
        }
        let entries = rig.take_entries();
        assert!(!entries.contains("turned_unhealthy"), "{entries}");
        assert_eq!(rig.machine.health(), Health::Unknown);
    }
}

#[test]
fn a_refused_reload_ends_nothing() {
    let mut rig = unhealthy();
    rig.take(Event::ReloadRefused {
        report: report(FaultKind::Load, "half a file"),
        created_anew: false,
    });
    assert_eq!(rig.machine.health(), Health::Unhealthy);
}

#[test]
fn a_good_display_does_not_end_a_row_of_failed_updates_nor_the_other_way_round() {
    let mut rig = Rig::enabled();
    for row in 1..=3 {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(failed("no network"));
        assert_eq!(rig.error().consecutive, row);
        rig.display(CallOutcome::Completed);
    }
    for row in 1..=3 {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(CallOutcome::Completed);
        rig.display(failed("no font"));
        assert_eq!(rig.error().consecutive, row);
    }
}

#[test]
fn a_thread_that_is_left_of_an_unloaded_plugin_does_not_make_it_unhealthy() {
    let mut rig = Rig::under(policy(OnUnhealthy::Restart));
    rig.update(CallOutcome::Completed);
    rig.take(Event::Unloaded);
    for _ in 0..13 {
        rig.take(thread_panicked());
    }
    assert_eq!((rig.machine.health(), rig.told), (Health::Unknown, 0));
}

#[test]
fn a_destroy_after_an_unload_does_not_make_the_plugin_unhealthy() {
    let mut policy = policy(OnUnhealthy::Restart);
    policy.panic_limit = Some(1);
    let mut rig = Rig::under(policy);
    rig.take(Event::Unloaded);
    let id = rig.start(Event::DestroyStarted { current: false });
    rig.end(id, panicked("oh"));
    assert_eq!((rig.machine.health(), rig.told), (Health::Unknown, 0));
    assert_eq!(rig.machine.counts().panics, 1);
}

#[test]
fn a_plugin_that_a_policy_has_unloaded_stays_unhealthy_until_somebody_loads_it() {
    let mut rig = Rig::under(policy(OnUnhealthy::Unload));
    panics(&mut rig, 3);
    let id = rig.start(Event::DestroyStarted { current: false });
    rig.end(id, panicked("oh"));
    assert_eq!((rig.machine.health(), rig.told), (Health::Unhealthy, 1));
    let text = rig.machine.health_reason().unwrap();
    assert!(text.starts_with("panicked 3 times"), "{text}");
}

#[test]
fn taking_the_policy_away_during_a_call_leaves_it_at_saying_so() {
    let mut policy = policy(OnUnhealthy::Restart);
    policy.panic_limit = Some(1);
    let mut rig = Rig::under(policy);
    let id = rig.start(DUE);
    rig.take(thread_panicked());
    rig.machine.set_health_policy(HealthPolicy {
        on_unhealthy: OnUnhealthy::None,
        ..policy
    });
    rig.end(id, CallOutcome::Completed);
    assert_eq!(rig.state(), PluginState::Enabled);
    assert_eq!(rig.machine.health(), Health::Unhealthy);
}

#[test]
fn an_episode_of_what_a_policy_has_unloaded_ends_when_its_file_is_removed() {
    let mut rig = Rig::under(HealthPolicy {
        panic_limit: Some(1),
        ..policy(OnUnhealthy::Unload)
    });
    rig.update(panicked("oh"));
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    rig.take_entries();
    let step = rig.take(Event::FileRemoved);
    assert!(step.effects.health_changed);
    assert_eq!(rig.machine.health(), Health::Unknown);
    assert_eq!((rig.take_entries(), rig.message()), (String::new(), None));
    assert_eq!(
        rig.refused(Event::FileRemoved),
        RejectReason::Illegal(PluginState::Unloaded)
    );
}
