//! H3: how long restarts wait, when they begin at the first delay again, and when they are given up.

use std::time::Duration;

use plugin_engine_core::{
    CallOutcome, CreateReason, Event, FaultKind, Health, HealthPolicy, OnUnhealthy, PluginState,
    RejectReason, RestartPolicy,
};

use crate::rig::{INTERVAL_MS, Rig, failed, panicked, report};

/// The defaults, without jitter.
fn policy(max_restarts: Option<u32>) -> HealthPolicy {
    HealthPolicy {
        restart: RestartPolicy {
            jitter_percent: 0,
            max_restarts,
            ..RestartPolicy::default()
        },
        ..HealthPolicy::default()
    }
}

/// Goes on to the next tick, whatever it is for, and has the plugin panic there.
fn panic_at_next_tick(rig: &mut Rig) {
    rig.now_ms = rig.next_ms().expect("a tick comes");
    if rig.state() == PluginState::Error {
        rig.create(CreateReason::Restart);
    } else if rig.machine.is_poisoned() {
        rig.create(CreateReason::Anew);
    }
    rig.update(panicked("oh"));
}

/// The delays of so many restarts of a plugin that panics at every call, in seconds; fewer where it is given up before.
fn delays(rig: &mut Rig, restarts: usize) -> Vec<u64> {
    let mut delays = Vec::new();
    while delays.len() < restarts
        && (rig.state() == PluginState::Enabled || rig.next_ms().is_some())
    {
        panic_at_next_tick(rig);
        if rig.machine.waits_for_restart() {
            delays.push((rig.next_ms().unwrap() - rig.now_ms) / 1_000);
        }
    }
    delays
}

/// Completes updates for so long.
fn be_well(rig: &mut Rig, for_ms: u64) {
    rig.now_ms = rig.now_ms.max(rig.next_ms().unwrap());
    let until_ms = rig.now_ms + for_ms;
    rig.update(CallOutcome::Completed);
    while rig.now_ms < until_ms {
        rig.now_ms = rig.next_ms().unwrap();
        rig.update(CallOutcome::Completed);
    }
}

fn restart(rig: &mut Rig) {
    rig.now_ms = rig.next_ms().expect("a restart is waited for");
    rig.create(CreateReason::Restart);
}

#[test]
fn restarts_wait_1_2_4_8_16_and_then_30_seconds_for_ever() {
    let mut rig = Rig::under(policy(None));
    assert_eq!(delays(&mut rig, 9), [1, 2, 4, 8, 16, 30, 30, 30, 30]);
    assert_eq!(rig.told, 1);
}

#[test]
fn the_sixth_restart_within_ten_minutes_is_not_made() {
    let mut rig = Rig::under(policy(Some(5)));
    assert_eq!(delays(&mut rig, 99), [1, 2, 4, 8, 16]);
    assert_eq!((rig.state(), rig.next_ms()), (PluginState::Error, None));
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    assert_eq!(rig.told, 1);
    let text = rig.message().unwrap();
    let start = "given up after 5 restarts within 10m: panicked 8 times, the limit is 3";
    assert!(text.starts_with(start), "{text}");
}

#[test]
fn the_entries_of_a_plugin_that_panics_at_every_call_tell_its_story() {
    let mut rig = Rig::under(policy(Some(1)));
    delays(&mut rig, 99);
    let panic = "update_started update_panicked";
    assert_eq!(
        rig.take_entries(),
        format!(
            "{panic} created_anew {panic} created_anew {panic} unhealthy restarted {panic} gave_up"
        )
    );
}

#[test]
fn an_entry_says_when_the_restart_comes_and_why() {
    let mut rig = Rig::under(policy(Some(5)));
    delays(&mut rig, 2);
    let text = rig.message().unwrap();
    assert_eq!(
        text,
        "restarted in 2s: panicked 4 times, the limit is 3; the last time: oh"
    );
    assert_eq!(rig.error().kind, FaultKind::Panic);
}

#[test]
fn a_given_up_plugin_is_not_restarted_by_anything() {
    let mut rig = Rig::under(policy(Some(0)));
    assert_eq!(delays(&mut rig, 99), []);
    assert!(
        rig.message()
            .unwrap()
            .starts_with("given up, as no restarts are allowed")
    );
    rig.now_ms += 86_400_000;
    rig.refused(Event::CreateStarted(CreateReason::Restart));
    rig.refused(Event::RestartRefused(report(FaultKind::Refused, "no")));
}

#[test]
fn creates_that_fail_back_off_likewise_and_are_given_up() {
    let mut rig = Rig::loaded_under(policy(Some(5)));
    let mut reason = CreateReason::Load;
    let mut delays = Vec::new();
    loop {
        let id = rig.start(Event::CreateStarted(reason));
        rig.end(id, failed("no memory"));
        let Some(next_ms) = rig.next_ms() else { break };
        delays.push((next_ms - rig.now_ms) / 1_000);
        rig.now_ms = next_ms;
        reason = CreateReason::Restart;
    }
    assert_eq!(delays, [1, 2, 4, 8, 16]);
    assert_eq!(
        rig.message(),
        Some("given up after 5 restarts within 10m: no memory")
    );
    assert_eq!(
        rig.take_entries(),
        format!("{}gave_up", "create_failed ".repeat(5))
    );
    assert_eq!((rig.machine.health(), rig.told), (Health::Unhealthy, 1));
}

#[test]
fn a_restart_whose_create_fails_is_one_of_those_that_are_allowed() {
    let mut rig = Rig::under(policy(Some(2)));
    assert_eq!(delays(&mut rig, 1), [1]);
    rig.now_ms = rig.next_ms().unwrap();
    let id = rig.start(Event::CreateStarted(CreateReason::Restart));
    rig.end(id, failed("no memory"));
    assert_eq!(rig.next_ms(), Some(rig.now_ms + 2_000));
    panic_at_next_tick(&mut rig);
    assert_eq!((rig.state(), rig.next_ms()), (PluginState::Error, None));
    assert!(rig.take_entries().ends_with("gave_up"));
}

#[test]
fn a_restart_that_is_refused_is_one_of_those_that_are_allowed() {
    let mut rig = Rig::under(policy(Some(2)));
    delays(&mut rig, 1);
    let refusal = Event::RestartRefused(report(FaultKind::Refused, "no thread"));
    rig.refused(refusal.clone());
    for next_ms in [Some(2_000), None] {
        rig.now_ms = rig.next_ms().unwrap();
        rig.take(refusal.clone());
        assert_eq!(rig.next_ms(), next_ms.map(|delay| rig.now_ms + delay));
        assert_eq!(rig.state(), PluginState::Error);
    }
    assert!(rig.take_entries().ends_with("create_failed gave_up"));
    assert_eq!(rig.told, 1);
}

#[test]
fn the_back_off_begins_at_the_first_delay_after_a_healthy_period() {
    let mut rig = Rig::under(policy(None));
    assert_eq!(delays(&mut rig, 4), [1, 2, 4, 8]);
    restart(&mut rig);
    be_well(&mut rig, 60_000);
    assert_eq!(delays(&mut rig, 3), [1, 2, 4]);
}

#[test]
fn the_back_off_goes_on_where_the_healthy_period_was_not_over() {
    let mut rig = Rig::under(policy(None));
    assert_eq!(delays(&mut rig, 4), [1, 2, 4, 8]);
    restart(&mut rig);
    be_well(&mut rig, 59_000);
    assert_eq!(delays(&mut rig, 1), [16]);
}

#[test]
fn a_healthy_period_begins_anew_with_every_failure_of_a_display() {
    let mut rig = Rig::under(policy(None));
    assert_eq!(delays(&mut rig, 4), [1, 2, 4, 8]);
    restart(&mut rig);
    be_well(&mut rig, 40_000);
    rig.display(failed("no font"));
    be_well(&mut rig, 40_000);
    assert_eq!(delays(&mut rig, 1), [16]);
}

#[test]
fn only_updates_show_that_a_plugin_is_healthy_again() {
    let mut rig = Rig::under(policy(None));
    delays(&mut rig, 1);
    restart(&mut rig);
    for _ in 0..100 {
        rig.display(CallOutcome::Completed);
        rig.now_ms += INTERVAL_MS;
    }
    assert_eq!(rig.machine.health(), Health::Unhealthy);
    assert_eq!(delays(&mut rig, 1), [2]);
}

#[test]
fn giving_up_looks_at_the_window_also_where_it_was_healthy_in_between() {
    let mut rig = Rig::under(policy(Some(5)));
    for _ in 0..5 {
        assert_eq!(delays(&mut rig, 1), [1]);
        restart(&mut rig);
        be_well(&mut rig, 60_000);
    }
    assert_eq!(delays(&mut rig, 1), []);
    assert!(rig.take_entries().ends_with("update_panicked gave_up"));
}

#[test]
fn restarts_that_are_long_past_do_not_count() {
    let mut rig = Rig::under(policy(Some(5)));
    for _ in 0..20 {
        assert_eq!(delays(&mut rig, 1), [1]);
        restart(&mut rig);
        be_well(&mut rig, 130_000);
    }
}

#[test]
fn a_reset_makes_all_restarts_possible_again() {
    let mut rig = Rig::under(policy(Some(5)));
    delays(&mut rig, 99);
    rig.create(CreateReason::Reset);
    assert_eq!(delays(&mut rig, 99), [1, 2, 4, 8, 16]);
}

#[test]
fn a_reset_whose_create_fails_makes_all_restarts_possible_again() {
    let mut rig = Rig::under(policy(Some(5)));
    delays(&mut rig, 99);
    let id = rig.start(Event::CreateStarted(CreateReason::Reset));
    rig.end(id, failed("no memory"));
    assert_eq!(rig.next_ms(), Some(rig.now_ms + 1_000));
    assert_eq!(delays(&mut rig, 99), [2, 4, 8, 16]);
}

#[test]
fn with_jitter_a_restart_comes_a_fifth_sooner_or_later() {
    let mut waits = Vec::new();
    for seed in 0..50 {
        let mut rig = Rig::loaded_under(HealthPolicy {
            seed,
            ..HealthPolicy::default()
        });
        // The policy of a plugin that is loaded is set before the file is mapped.
        rig.take(Event::Unloaded);
        rig.take(Event::Mapped);
        let id = rig.start(Event::CreateStarted(CreateReason::Load));
        rig.end(id, failed("no memory"));
        waits.push(rig.next_ms().unwrap());
    }
    assert!(
        waits.iter().all(|wait| (800..=1_200).contains(wait)),
        "{waits:?}"
    );
    waits.sort_unstable();
    waits.dedup();
    assert!(waits.len() > 10, "{waits:?}");
}

#[test]
fn a_delay_of_more_than_a_day_is_waited_for() {
    let mut policy = policy(Some(5));
    policy.restart.first_delay = Duration::from_secs(2 * 86_400);
    policy.restart.longest_delay = Duration::from_secs(2 * 86_400);
    let mut rig = Rig::under(policy);
    assert_eq!(delays(&mut rig, 1), [2 * 86_400]);
    assert!(rig.message().unwrap().starts_with("restarted in 2days: "));
}

#[test]
fn a_delay_for_ever_is_none() {
    let mut policy = policy(Some(5));
    policy.on_unhealthy = OnUnhealthy::Restart;
    policy.restart.first_delay = Duration::MAX;
    policy.restart.longest_delay = Duration::MAX;
    policy.restart.window = Duration::MAX;
    let mut rig = Rig::under(policy);
    delays(&mut rig, 1);
    assert!(rig.next_ms().is_some(), "it comes some day");
    restart(&mut rig);
    assert_eq!(rig.state(), PluginState::Enabled);
}

#[test]
fn a_restart_for_which_there_is_no_thread_is_tried_again_after_the_first_delay_and_does_not_count()
{
    let refusal = || Event::CallRefused(report(FaultKind::Refused, "not restarted: no thread"));
    let mut rig = Rig::under(policy(Some(5)));
    assert_eq!(delays(&mut rig, 3), [1, 2, 4]);
    assert_eq!(rig.refused(refusal()), RejectReason::NotDue);
    rig.take_entries();
    for _ in 0..9 {
        rig.now_ms = rig.next_ms().unwrap();
        assert!(rig.take(refusal()).effects.rearm);
        assert_eq!(rig.next_ms(), Some(rig.now_ms + 1_000));
    }
    assert_eq!(rig.take_entries(), "call_refused", "said once");
    let text = rig.message().unwrap();
    assert_eq!(text, "not restarted: no thread; tried again in 1s");
    assert_eq!(delays(&mut rig, 99), [8, 16]);
}

#[test]
fn one_restart_is_said_in_the_singular() {
    let mut rig = Rig::under(policy(Some(1)));
    assert_eq!(delays(&mut rig, 99).len(), 1);
    let text = rig.message().unwrap();
    assert!(
        text.starts_with("given up after 1 restart within 10m: "),
        "{text}"
    );
}
