//! Health: panics counted, unhealthy said once, restarts with back-off, given up at last, and back by a reset or by going well.

use plugin_engine::{
    Cause, Error, Event, FaultKind, Health, LoadOutcome, PluginState, Subscription,
};
use plugin_engine_tests::{Rig, wait_for};

/// Restarts without jitter.
const STEADY: &str = "[restart]\njitter_percent = 0\n";

/// A rig with a plugin `p` that is configured like this, and a neighbour that all is well with.
fn rig(fixture: &str, config: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as(fixture, "p", config);
    rig.drop_in("noop");
    rig.load_any();
    rig
}

fn unhealthy(subscription: &Subscription) -> Vec<Event> {
    std::iter::from_fn(|| subscription.try_next()).collect()
}

/// Steps to the next tick of `p`, if it has one, and makes a cycle. How many milliseconds that was.
fn to_next_tick(rig: &Rig) -> Option<u64> {
    let now = rig.now();
    let next = rig.snapshot("p").next_update?;
    let wait = next.saturating_since(now);
    rig.clock.advance(wait);
    // A restart waits until the instance before is destroyed, which no cycle waits for.
    wait_for("the tick to be taken", || {
        let _ = rig.engine.run_cycle();
        let next = rig.snapshot("p").next_update;
        next.is_none_or(|next| next > rig.now())
    });
    Some(u64::try_from(wait.as_millis()).unwrap())
}

fn count(rig: &Rig, cause: Cause) -> usize {
    rig.causes("p").iter().filter(|one| **one == cause).count()
}

#[test]
fn a_plugin_that_always_panics_is_restarted_with_back_off_said_once_and_given_up() {
    let restart = "[restart]\njitter_percent = 0\nmax_restarts = 7\nwindow = \"1h\"\n";
    let rig = rig("panics", restart);
    let events = rig.engine.subscribe("plugin.*.unhealthy");
    for _ in 0..3 {
        assert_eq!(rig.state("p"), PluginState::Enabled);
        to_next_tick(&rig);
    }
    let mut delays = Vec::new();
    while rig.state("p") == PluginState::Error {
        let snapshot = rig.snapshot("p");
        assert_eq!(snapshot.health, Health::Unhealthy);
        match to_next_tick(&rig) {
            Some(millis) => delays.push(millis),
            None => break,
        }
    }
    assert_eq!(
        delays,
        [1_000, 2_000, 4_000, 8_000, 16_000, 30_000, 30_000],
        "and then none"
    );
    let told = unhealthy(&events);
    assert_eq!(told.len(), 1, "{told:#?}");
    assert_eq!(&*told[0].topic, "plugin.p.unhealthy");
    assert!(
        told[0]
            .payload
            .starts_with("panicked 3 times, the limit is 3; the last time: the fixture panics"),
        "{}",
        told[0].payload
    );
    assert_eq!(rig.causes("p").last(), Some(&Cause::GaveUp));
    let error = rig.snapshot("p").error.unwrap();
    assert_eq!(error.kind, FaultKind::Panic);
    assert!(
        error
            .message
            .starts_with("given up after 7 restarts within 1h: panicked 10 times"),
        "{}",
        error.message
    );
    assert_eq!(count(&rig, Cause::Restarted), 7);

    let neighbour = rig.snapshot("noop");
    assert_eq!(neighbour.health, Health::Healthy);
    assert_eq!((neighbour.counts.failures, neighbour.error), (0, None));

    rig.engine.reset("p").unwrap();
    assert_eq!(rig.snapshot("p").health, Health::Unknown);
    for _ in 0..3 {
        to_next_tick(&rig);
    }
    assert_eq!(rig.state("p"), PluginState::Error);
    assert_eq!(unhealthy(&events).len(), 1, "a reset arms it again");
}

#[test]
fn a_plugin_that_waits_for_its_restart_is_in_error_and_says_when() {
    let rig = rig("panics", &format!("panic_limit = 1\n{STEADY}"));
    let _ = rig.engine.run_cycle();
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Error);
    let next = snapshot.next_update.unwrap();
    assert_eq!(next.saturating_since(rig.now()).as_millis(), 1_000);
    let error = snapshot.error.unwrap();
    assert!(
        error.message.starts_with("restarted in 1s: panicked once"),
        "{}",
        error.message
    );
    rig.advance(999);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("p"), PluginState::Error);
}

#[test]
fn thirteen_panics_before_anybody_listens_are_told_once_to_whoever_does() {
    let rig = rig("panics", "on_unhealthy = \"none\"\n");
    for _ in 0..13 {
        to_next_tick(&rig);
    }
    assert_eq!(rig.snapshot("p").counts.panics, 13);
    assert_eq!(rig.state("p"), PluginState::Enabled);
    for _ in 0..2 {
        let events = rig.engine.subscribe("plugin.*.unhealthy");
        let told = unhealthy(&events);
        assert_eq!(told.len(), 1, "{told:#?}");
        to_next_tick(&rig);
        assert_eq!(unhealthy(&events), [], "the episode goes on");
    }
}

#[test]
fn after_a_healthy_period_the_back_off_begins_at_one_second_again_and_the_episode_is_over() {
    // An instance panics at its 100th update, which is long after the healthy period of 60 s.
    let settings = "[settings]\nevery = 100\n";
    let rig = rig("panics", &format!("panic_limit = 1\n{STEADY}{settings}"));
    let events = rig.engine.subscribe("plugin.p.unhealthy");
    for _ in 0..3 {
        while rig.state("p") != PluginState::Error {
            to_next_tick(&rig);
        }
        assert_eq!(unhealthy(&events).len(), 1);
        assert_eq!(to_next_tick(&rig), Some(1_000));
    }
    assert_eq!(count(&rig, Cause::Recovered), 2);
}

#[test]
fn without_a_healthy_period_the_back_off_goes_on_and_nothing_is_told_again() {
    // An instance panics at its 20th update.
    let settings = "[settings]\nevery = 20\n";
    let rig = rig("panics", &format!("panic_limit = 1\n{STEADY}{settings}"));
    let events = rig.engine.subscribe("plugin.p.unhealthy");
    for delay in [1_000, 2_000, 4_000] {
        while rig.state("p") != PluginState::Error {
            to_next_tick(&rig);
        }
        assert_eq!(to_next_tick(&rig), Some(delay));
    }
    assert_eq!(unhealthy(&events).len(), 1);
}

#[test]
fn a_restarted_plugin_keeps_its_error_until_an_update_completes() {
    let settings = "[settings]\nevery = 2\n";
    let rig = rig("panics", &format!("panic_limit = 1\n{STEADY}{settings}"));
    to_next_tick(&rig);
    to_next_tick(&rig);
    assert_eq!(rig.state("p"), PluginState::Error);
    to_next_tick(&rig);
    assert_eq!(rig.state("p"), PluginState::Enabled);
    assert_eq!(rig.error("p"), None, "the first update after it was good");
    assert_eq!(rig.snapshot("p").health, Health::Unhealthy);
}

#[test]
fn by_policy_an_unhealthy_plugin_is_switched_off_and_its_instance_destroyed() {
    let rig = rig("panics", "panic_limit = 2\non_unhealthy = \"disable\"\n");
    to_next_tick(&rig);
    to_next_tick(&rig);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Disabled);
    assert_eq!(snapshot.next_update, None);
    let error = rig.error("p").unwrap();
    assert!(
        error.starts_with("panic: switched off: panicked twice"),
        "{error}"
    );
    // Create twice, update twice, and both instances destroyed.
    wait_for("the destroy", || rig.snapshot("p").counts.calls == 6);
    rig.engine.enable("p").unwrap();
    assert_eq!(rig.state("p"), PluginState::Enabled);
    assert_eq!(rig.snapshot("p").health, Health::Unknown);
}

#[test]
fn by_policy_an_unhealthy_plugin_is_unloaded_until_somebody_loads_it() {
    let rig = rig("panics", "panic_limit = 1\non_unhealthy = \"unload\"\n");
    to_next_tick(&rig);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Unloaded);
    assert_eq!(snapshot.health, Health::Unhealthy);
    assert_eq!(snapshot.version(), None);
    rig.engine.sync(|outcome| panic!("{outcome}")).unwrap();
    assert_eq!(rig.state("p"), PluginState::Unloaded);
    rig.engine.load("p").unwrap();
    assert_eq!(rig.state("p"), PluginState::Enabled);
}

#[test]
fn an_episode_of_a_plugin_that_a_policy_has_unloaded_ends_with_its_file() {
    let rig = rig("panics", "panic_limit = 1\non_unhealthy = \"unload\"\n");
    rig.engine.sync(|_| ()).unwrap();
    to_next_tick(&rig);
    let told = || unhealthy(&rig.engine.subscribe("plugin.p.unhealthy")).len();
    assert_eq!(told(), 1);
    let entries = rig.history("p").len();
    std::fs::remove_file(rig.dir().join("p.so")).unwrap();
    rig.engine.sync(|_| ()).unwrap();
    assert_eq!(told(), 0);
    let snapshot = rig.snapshot("p");
    assert_eq!((snapshot.health, snapshot.error), (Health::Unknown, None));
    assert_eq!(rig.history("p").len(), entries, "it was unloaded already");
}

#[test]
fn a_reset_loads_what_a_policy_has_unloaded() {
    let rig = rig("panics", "panic_limit = 1\non_unhealthy = \"unload\"\n");
    to_next_tick(&rig);
    assert_eq!(rig.state("p"), PluginState::Unloaded);
    rig.engine.reset("p").unwrap();
    let snapshot = rig.snapshot("p");
    assert_eq!(
        (snapshot.state, snapshot.health, snapshot.generation),
        (PluginState::Enabled, Health::Unknown, 2)
    );
    // What a person has unloaded is loaded by name.
    rig.engine.unload("p").unwrap();
    let denied = rig.engine.reset("p").unwrap_err().to_string();
    assert!(denied.contains("possible now: load"), "{denied}");
    assert_eq!(rig.state("p"), PluginState::Unloaded);
}

#[test]
fn a_reset_of_what_a_policy_has_unloaded_says_what_is_wrong_with_its_file() {
    let rig = rig("panics", "panic_limit = 1\non_unhealthy = \"unload\"\n");
    to_next_tick(&rig);
    std::fs::write(rig.dir().join("p.so"), "no library").unwrap();
    let error = rig.engine.reset("p").unwrap_err();
    assert!(matches!(error, Error::Load(_)), "{error}");
    assert_eq!(rig.state("p"), PluginState::Error);
}

#[test]
fn a_create_that_may_help_itself_is_tried_again_with_back_off() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("here");
    let settings = format!("[settings]\nuntil = {file:?}\n");
    let rig = rig("fails-in-create", &format!("{STEADY}{settings}"));
    assert_eq!(rig.state("p"), PluginState::Error);
    assert_eq!(to_next_tick(&rig), Some(1_000));
    assert_eq!(to_next_tick(&rig), Some(2_000));
    assert_eq!(rig.snapshot("p").in_a_row.creates, 3);
    std::fs::write(&file, "").unwrap();
    assert_eq!(to_next_tick(&rig), Some(4_000));
    assert_eq!(rig.state("p"), PluginState::Enabled);
    assert_eq!(rig.causes("p").last(), Some(&Cause::UpdateCompleted));
    assert_eq!(count(&rig, Cause::Restarted), 1);
}

#[test]
fn a_create_that_goes_on_failing_is_given_up() {
    let settings = "[settings]\nuntil = \"/nowhere/at-all\"\n";
    let rig = rig("fails-in-create", &format!("{STEADY}{settings}"));
    while to_next_tick(&rig).is_some() {}
    assert_eq!(rig.causes("p").last(), Some(&Cause::GaveUp));
    let error = rig.error("p").unwrap();
    assert!(
        error.starts_with("failed: given up after 5 restarts within 10m: /nowhere/at-all is not"),
        "{error}"
    );
    assert_eq!(rig.snapshot("p").health, Health::Unhealthy);
}

#[test]
fn a_create_that_fails_for_good_waits_for_somebody() {
    let rig = rig("fails-in-create", "");
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Error);
    assert_eq!(snapshot.next_update, None);
    assert_eq!(rig.causes("p").last(), Some(&Cause::CreateFailed));
}

#[test]
fn a_plugin_that_was_switched_off_while_it_waited_for_its_restart_stays_off() {
    let rig = rig("panics", &format!("panic_limit = 1\n{STEADY}"));
    to_next_tick(&rig);
    assert_eq!(rig.state("p"), PluginState::Error);
    rig.engine.disable("p").unwrap();
    assert_eq!(rig.snapshot("p").next_update, None);
    rig.advance(60_000);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("p"), PluginState::Disabled);
}

#[test]
fn a_thread_that_panics_at_rest_counts_and_the_instance_goes_with_the_next_cycle() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("now");
    let settings = format!("[settings]\nwhen = {file:?}\n");
    let config = format!("panic_limit = 1\non_unhealthy = \"disable\"\n{settings}");
    let rig = rig("thread-panics", &config);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("p"), PluginState::Enabled);
    std::fs::write(&file, "").unwrap();
    wait_for("the panic", || rig.state("p") == PluginState::Disabled);
    let calls = rig.snapshot("p").counts.calls;
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("p").counts.calls, calls + 1, "a destroy");
    assert_eq!(
        rig.causes("p")[4..],
        [Cause::ThreadPanicked, Cause::SwitchedOff]
    );
}

#[test]
fn an_instance_that_is_left_goes_with_the_next_cycle_whatever_is_configured_before_that() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("now");
    let settings = format!("[settings]\nwhen = {file:?}\n");
    let config = format!("panic_limit = 1\non_unhealthy = \"disable\"\n{settings}");
    let rig = rig("thread-panics", &config);
    let _ = rig.engine.run_cycle();
    std::fs::write(&file, "").unwrap();
    wait_for("the panic", || rig.state("p") == PluginState::Disabled);
    rig.configure("p", &format!("interval = \"5s\"\n{config}"));
    rig.engine.reload("p").unwrap();
    assert_eq!(rig.causes("p").last(), Some(&Cause::Reconfigured));
    let calls = rig.snapshot("p").counts.calls;
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.snapshot("p").counts.calls, calls + 1, "a destroy");
    rig.advance(60_000);
    let report = rig.engine.run_cycle();
    assert_eq!(report.due, 1, "the neighbour");
}

#[test]
fn a_plugin_of_which_a_policy_disposes_at_the_end_of_its_create_is_not_said_to_be_enabled() {
    for (policy, state, why) in [
        ("restart", PluginState::Error, "restarted in 1s: "),
        ("disable", PluginState::Disabled, "switched off: "),
        ("unload", PluginState::Unloaded, "unloaded: "),
    ] {
        let rig = Rig::new();
        let config = format!("panic_limit = 1\non_unhealthy = \"{policy}\"\n{STEADY}");
        rig.drop_as(
            "thread-panics",
            "p",
            &format!("{config}[settings]\nin_create = true\n"),
        );
        let outcomes = rig.load_any();
        assert_eq!(rig.state("p"), state);
        let [outcome @ LoadOutcome::Failed { fault, .. }] = &outcomes[..] else {
            panic!("{policy}: {outcomes:?}");
        };
        assert!(fault.message.starts_with(why), "{policy}: {fault}");
        let text = outcome.to_string();
        assert!(text.starts_with("p: does not run, from "), "{text}");
        if state == PluginState::Unloaded {
            let again = rig.engine.load("p").unwrap();
            assert!(matches!(again, LoadOutcome::Failed { .. }), "{again}");
        }
    }
}

#[test]
fn health_is_unknown_before_the_first_call_then_what_the_calls_say() {
    let rig = rig("fails", "[settings]\nevery = 2\n");
    assert_eq!(rig.snapshot("nobody").health, Health::Unknown);
    assert_eq!(rig.snapshot("p").health, Health::Unknown);
    to_next_tick(&rig);
    assert_eq!(rig.snapshot("p").health, Health::Healthy);
    to_next_tick(&rig);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.health, Health::Degraded);
    assert_eq!(snapshot.health_reason(), Some("update 2 fails as asked"));
    assert_eq!(snapshot.in_a_row.updates, 1);
    to_next_tick(&rig);
    assert_eq!(rig.snapshot("p").health, Health::Healthy);
}

#[test]
fn a_plugin_whose_configuration_is_no_longer_good_is_degraded_until_it_is() {
    let rig = Rig::new();
    rig.drop_as("fails", "p", "[settings]\nevery = 9\n");
    rig.load();
    let _ = rig.engine.run_cycle();
    rig.engine.sync(|_| ()).unwrap();
    let config = rig.dir().join("p.toml");
    std::fs::write(&config, "id = \"p\"\ninterval = \"never\"\n").unwrap();
    rig.engine.sync(|_| ()).unwrap();
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.state, PluginState::Enabled);
    assert_eq!(snapshot.health, Health::Degraded);
    let reason = snapshot.health_reason().unwrap();
    assert!(reason.contains("`interval`"), "{reason}");
    std::fs::write(&config, "id = \"p\"\n[settings]\nevery = 9\n").unwrap();
    rig.engine.sync(|_| ()).unwrap();
    assert_eq!(rig.snapshot("p").health, Health::Healthy);
}

#[test]
fn changes_of_health_are_told_as_they_come() {
    let rig = rig("fails", "[settings]\nevery = 2\n");
    let events = rig.engine.subscribe("plugin.p.health");
    for _ in 0..3 {
        to_next_tick(&rig);
    }
    let told: Vec<_> = unhealthy(&events)
        .iter()
        .map(|event| event.payload.to_string())
        .collect();
    assert_eq!(
        told,
        ["healthy", "degraded update 2 fails as asked", "healthy"]
    );
}
