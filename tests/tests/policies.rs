//! What a policy does about updates that fail in a row, and about calls that do not return.

use std::time::Duration;

use plugin_engine::{BreakerState, Cause, Health, PluginState};
use plugin_engine_tests::{Gate, Rig, await_late, time_out, wait_for};

/// A rig with a plugin `p` that is configured like this.
fn rig(fixture: &str, config: &str) -> Rig {
    let rig = Rig::new();
    rig.drop_as(fixture, "p", config);
    rig.load();
    rig
}

fn updates(rig: &Rig) -> u64 {
    rig.snapshot("p").counts.updates
}

/// Cycles, one second apart.
fn seconds(rig: &Rig, count: u32) {
    for _ in 0..count {
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
}

#[test]
fn a_breaker_skips_updates_for_its_cool_down_then_makes_one() {
    let breaker = "[breaker]\nfailures = 2\ncool_down = \"10s\"\n[settings]\nevery = 1\n";
    let rig = rig("fails", breaker);
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Closed);
    let _ = rig.engine.run_cycle();
    seconds(&rig, 1);
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Open);
    assert_eq!(updates(&rig), 2);
    seconds(&rig, 9);
    assert_eq!(updates(&rig), 2);
    seconds(&rig, 1);
    assert_eq!(updates(&rig), 3, "the probe");
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.breaker, BreakerState::Open, "it failed");
    assert_eq!(snapshot.counts.skipped, 9);
    seconds(&rig, 10);
    assert_eq!(updates(&rig), 4);
    let opened = Cause::BreakerOpened;
    let told = rig.causes("p").iter().filter(|one| **one == opened).count();
    assert_eq!(told, 1, "told when it opens, not at each probe");
}

#[test]
fn a_breaker_closes_when_the_probe_completes() {
    // Updates 1, 2, 4 and so on fail of three.
    let breaker = "[breaker]\nfailures = 1\ncool_down = \"10s\"\n[settings]\nevery = 2\n";
    let rig = rig("fails", breaker);
    let _ = rig.engine.run_cycle();
    seconds(&rig, 1);
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Open);
    seconds(&rig, 10);
    let snapshot = rig.snapshot("p");
    assert_eq!(snapshot.breaker, BreakerState::Closed);
    assert_eq!(rig.causes("p").last(), Some(&Cause::BreakerClosed));
    seconds(&rig, 1);
    assert_eq!(updates(&rig), 4);
}

#[test]
fn a_probe_that_was_shut_out_by_a_command_is_made_all_the_same() {
    let breaker = "[breaker]\nfailures = 1\ncool_down = \"10s\"\n[settings]\nevery = 2\n";
    let rig = rig("fails", breaker);
    let _ = rig.engine.run_cycle();
    seconds(&rig, 1);
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Open);
    // Whoever asks for an update makes the probe.
    rig.engine.update("p").unwrap();
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Closed);
}

#[test]
fn without_a_breaker_there_is_none() {
    let rig = rig("fails", "");
    let _ = rig.engine.run_cycle();
    seconds(&rig, 9);
    assert_eq!(updates(&rig), 10);
    assert_eq!(rig.snapshot("p").breaker, BreakerState::Off);
}

/// A gated plugin under this policy, whose first update hangs.
fn hung(gate: &Gate, policy: &str) -> Rig {
    let rig = rig("gated", &format!("{policy}{}", gate.settings("")));
    time_out(&rig, gate, 1);
    rig
}

#[test]
fn a_plugin_that_hangs_is_waited_for_by_default() {
    let gate = Gate::new();
    let rig = hung(&gate, "");
    for _ in 0..20 {
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
    assert!(!gate.has_entered(2));
    assert_eq!(rig.state("p"), PluginState::Enabled);
    gate.open(1);
    await_late(&rig, "p", 1);
}

#[test]
fn by_policy_another_instance_is_put_beside_one_that_hangs_until_there_are_three() {
    let gate = Gate::new();
    let rig = hung(&gate, "on_hung = \"replace\"\nhung_intervals = 2\n");
    // Overdue for less than two intervals.
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert!(!gate.has_entered(2));
    for n in 2..=3 {
        rig.advance(1_000);
        let cycle = rig.engine.start_cycle();
        gate.await_entry(n);
        rig.advance(500);
        assert_eq!(cycle.wait().timed_out, 1);
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
    for _ in 0..9 {
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
    assert!(!gate.has_entered(4), "three instances are the most");
    let replaced = |cause: &&Cause| **cause == Cause::Replaced;
    assert_eq!(rig.causes("p").iter().filter(replaced).count(), 2);

    gate.open_all();
    await_late(&rig, "p", 3);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(rig.snapshot("p").health, Health::Healthy);
}

#[test]
fn one_that_returns_before_its_patience_is_over_is_not_replaced() {
    let gate = Gate::new();
    let rig = hung(&gate, "on_hung = \"replace\"\n");
    for _ in 0..2 {
        rig.advance(1_000);
        // Nothing is called, so this ends; what is left over of a cycle could begin an update later, over which the clock would be moved.
        let _ = rig.engine.run_cycle();
    }
    gate.open(1);
    await_late(&rig, "p", 1);
    gate.open_all();
    for _ in 0..9 {
        rig.advance(1_000);
        let _ = rig.engine.run_cycle();
    }
    assert!(!rig.causes("p").contains(&Cause::Replaced));
}

#[test]
fn a_cycle_does_not_wait_for_the_destroy_that_follows_from_a_slow_update() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.workers(1));
    let settings = gate.settings("then = \"panic\"\nalso_in_destroy = true\n");
    rig.drop_as("gated", "a", &format!("panic_limit = 1\n{settings}"));
    rig.drop_in("noop");
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    // Only another worker makes it, once the first is known to be slow.
    wait_for("the other update", || cycle.report().completed == 1);
    gate.open(1);
    gate.await_entry(2);
    let report = cycle.wait_within(Duration::from_secs(60));
    assert_eq!((report.panicked, report.completed), (1, 1));
}
