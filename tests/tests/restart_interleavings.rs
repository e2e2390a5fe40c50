//! A restart whose create is in flight, and what else may want the plugin in that moment.

use std::time::Duration;

use plugin_engine::{Cause, PluginState};
use plugin_engine_tests::{Gate, Rig, wait_for};

/// A plugin whose first create has failed, and whose second, the restart's, stands in the gate. `rest` runs beside that.
fn restarting(config: &str, rest: impl FnOnce(&Rig, &Gate)) {
    let gate = Gate::new();
    gate.open(1);
    let rig = Rig::new();
    let settings = gate.settings("in_call = \"create\"\nthen = \"fail\"\n");
    let steady = "[restart]\njitter_percent = 0\n";
    rig.drop_as("gated", "p", &format!("{config}{steady}{settings}"));
    rig.load_any();
    assert_eq!(rig.state("p"), PluginState::Error);
    rig.advance(1_000);
    let cycle = rig.engine.start_cycle();
    gate.await_entry(2);
    rest(&rig, &gate);
    gate.open_all();
    let _ = cycle.wait();
}

#[test]
fn a_disable_that_comes_during_the_create_of_a_restart_is_the_last_word() {
    restarting("", |rig, gate| {
        std::thread::scope(|scope| {
            let disabled = scope.spawn(|| rig.engine.disable("p"));
            gate.open(2);
            disabled.join().unwrap().unwrap();
        });
        assert_eq!(rig.state("p"), PluginState::Disabled);
        assert_eq!(rig.snapshot("p").next_update, None);
        rig.advance(60_000);
        assert_eq!(rig.engine.run_cycle().due, 0);
        assert!(!gate.has_entered(3));
    });
}

#[test]
fn a_reset_that_comes_during_the_create_of_a_restart_makes_one_of_its_own_after_it() {
    restarting("", |rig, gate| {
        std::thread::scope(|scope| {
            let reset = scope.spawn(|| rig.engine.reset("p"));
            gate.open(2);
            gate.await_entry(3);
            assert_eq!(rig.state("p"), PluginState::Error);
            // While the create of a person is in flight no restart is, however long it takes.
            let before = rig.snapshot("p").counts.calls;
            let _ = rig.engine.run_cycle();
            assert_eq!(rig.snapshot("p").counts.calls, before);
            gate.open(3);
            reset.join().unwrap().unwrap_err();
        });
        let waits = rig.snapshot("p").next_update.unwrap();
        // A person begins anew, so the back-off does, too.
        assert_eq!(waits.saturating_since(rig.now()), Duration::from_secs(1));
    });
}

#[test]
fn a_restart_that_hangs_is_given_up_at_its_deadline_and_made_beside_the_stuck_one() {
    restarting("", |rig, gate| {
        rig.advance(30_000);
        assert_eq!(rig.state("p"), PluginState::Error);
        assert_eq!(rig.causes("p").last(), Some(&Cause::CreateFailed));
        rig.advance(2_000);
        let cycle = rig.engine.start_cycle();
        gate.await_entry(3);
        gate.open(3);
        let _ = cycle.wait();
        let error = rig.error("p").unwrap();
        assert_eq!(error, "failed: the gated call fails as asked");
    });
}

#[test]
fn restarts_that_all_hang_end_with_the_number_of_instances_that_may_be_stuck() {
    restarting("", |rig, gate| {
        rig.advance(30_000);
        for n in 3..=5 {
            rig.advance(30_000);
            let cycle = rig.engine.start_cycle();
            gate.await_entry(n);
            rig.advance(30_000);
            let _ = cycle.wait();
        }
        assert_eq!(rig.causes("p").last(), Some(&Cause::CreateFailed));
        rig.advance(30_000);
        let _ = rig.engine.run_cycle();
        assert!(!gate.has_entered(6));
        assert_eq!(rig.causes("p").last(), Some(&Cause::GaveUp));
        let error = rig.error("p").unwrap();
        let stuck = "not restarted: 3 earlier instances are stuck in calls that have not returned";
        assert!(error.ends_with(stuck), "{error}");
    });
}

#[test]
fn a_shutdown_does_not_wait_for_a_restart_that_hangs() {
    restarting("", |rig, _| {
        rig.engine.shutdown(Duration::from_millis(200)).unwrap();
        assert_eq!(rig.state("p"), PluginState::Unloaded);
        assert_eq!(rig.snapshot("p").next_update, None);
    });
}

#[test]
fn a_restart_that_comes_due_while_the_instance_before_is_destroyed_is_made_right_after_that() {
    let gate = Gate::new();
    let rig = Rig::new();
    let settings = gate.settings("then = \"panic\"\nalso_in_destroy = true\n");
    let config = "interval = \"1h\"\npanic_limit = 1\n[restart]\njitter_percent = 0\n";
    rig.drop_as("gated", "p", &format!("{config}{settings}"));
    rig.load();
    gate.open(1);
    let _ = rig.engine.start_cycle();
    gate.await_entry(2);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().skipped, 1, "it is being destroyed");
    assert_eq!(rig.state("p"), PluginState::Error);
    gate.open_all();
    wait_for("the destroy", || rig.snapshot("p").in_flight.is_none());
    assert_eq!(rig.engine.run_cycle().due, 1);
    assert!(rig.causes("p").contains(&Cause::Restarted));
}
