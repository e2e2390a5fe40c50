//! Probation: what turns out badly after a reload is rolled back first, whatever the policy for a plugin that is unhealthy says.

use plugin_engine::{Cause, Health, PluginState};
use plugin_engine_tests::{Gate, Rig, wait_for};

const POLICIES: [&str; 4] = ["none", "restart", "disable", "unload"];

fn on_probation(policy: &str) -> String {
    format!(
        "probation = \"60s\"\ntrial_update = false\npanic_limit = 2\non_unhealthy = \"{policy}\"\n"
    )
}

/// Reloads `p` as another plugin file with another configuration, and has it panic as often as it may.
fn panic_on_probation(rig: &Rig, policy: &str) {
    rig.rebuild("panics", "p");
    rig.configure("p", &on_probation(policy));
    rig.engine.reload("p").expect("nothing is tried");
    assert_eq!(rig.snapshot("p").generation, 2);
    for _ in 0..2 {
        assert_eq!(rig.engine.run_cycle().panicked, 1);
        rig.advance(1_000);
    }
}

fn await_roll_back(rig: &Rig) {
    wait_for("the roll-back", || rig.snapshot("p").generation == 3);
    assert_eq!(rig.causes("p").last(), Some(&Cause::RolledBack));
    let snapshot = rig.snapshot("p");
    assert_eq!(
        (snapshot.state, snapshot.health, snapshot.error),
        (PluginState::Enabled, Health::Unknown, None)
    );
}

#[test]
fn what_panics_too_often_on_probation_is_rolled_back_by_every_policy() {
    for policy in POLICIES {
        let rig = Rig::new();
        rig.drop_as("noop", "p", "");
        rig.load();
        panic_on_probation(&rig, policy);
        await_roll_back(&rig);
        let causes = rig.causes("p");
        for disposed in [Cause::SwitchedOff, Cause::Unloaded] {
            assert!(!causes.contains(&disposed), "{policy}: {causes:?}");
        }
        assert_eq!(rig.engine.run_cycle().completed, 1, "{policy}");
    }
}

#[test]
fn what_passes_a_limit_by_far_on_probation_is_rolled_back_by_every_policy() {
    for policy in POLICIES {
        let gate = Gate::new();
        let rig = Rig::new();
        rig.drop_as("noop", "p", "");
        rig.load();
        rig.rebuild("gated", "p");
        let limits = "limits = { window = \"1s\", update_mean_unhealthy = \"50ms\" }\n";
        let settings = gate.settings("");
        rig.configure("p", &format!("{}{limits}{settings}", on_probation(policy)));
        rig.engine.reload("p").expect("nothing is tried");
        for n in 1..=2 {
            let cycle = rig.engine.start_cycle();
            gate.await_entry(n);
            rig.advance(100);
            gate.open(n);
            assert_eq!(cycle.wait().completed, 1);
            rig.advance(900);
        }
        await_roll_back(&rig);
        let entry = rig.history("p").pop().unwrap();
        let why = entry.error.unwrap().message.to_string();
        assert!(why.contains("its updates took 100ms on average"), "{why}");
    }
}

#[test]
fn where_the_generation_before_cannot_take_over_again_the_policy_comes_after_all() {
    for (policy, state) in [
        ("disable", PluginState::Disabled),
        ("unload", PluginState::Unloaded),
    ] {
        let gate = Gate::new();
        let rig = Rig::new();
        let settings = "in_call = \"display\"\ncreates = 1\n";
        rig.drop_as("gated", "p", &gate.settings(settings));
        rig.load();
        panic_on_probation(&rig, policy);
        wait_for("the policy", || rig.state("p") == state);
        assert!(rig.causes("p").contains(&Cause::ReloadRefused), "{policy}");
        assert_eq!(rig.snapshot("p").generation, 2);
        assert_eq!(rig.snapshot("p").next_update, None);
    }
}

#[test]
fn a_roll_back_in_vain_while_the_bad_instance_is_destroyed_has_the_policy_come_after_that() {
    for (policy, state) in [
        ("disable", PluginState::Disabled),
        ("unload", PluginState::Unloaded),
    ] {
        let (first, second) = (Gate::new(), Gate::new());
        let rig = Rig::new();
        let settings = "in_call = \"display\"\ncreates = 1\n";
        rig.drop_as("gated", "p", &first.settings(settings));
        rig.load();
        rig.rebuild("gated", "p");
        let settings = second.settings("then = \"panic\"\nalso_in_destroy = true\n");
        let config = on_probation(policy).replace("panic_limit = 2", "panic_limit = 1");
        rig.configure("p", &format!("{config}{settings}"));
        rig.engine.reload("p").expect("nothing is tried");
        let cycle = rig.engine.start_cycle();
        second.await_entry(1);
        second.open(1);
        // The destroy of the instance that panicked. Until it is let go, the generation before is tried in vain.
        second.await_entry(2);
        wait_for("the roll-back in vain", || {
            rig.causes("p").contains(&Cause::ReloadRefused)
        });
        assert_eq!(rig.state("p"), PluginState::Error, "{policy}");
        second.open(2);
        wait_for("the policy", || rig.state("p") == state);
        assert_eq!(cycle.wait().panicked, 1);
        assert_eq!(rig.snapshot("p").generation, 2);
    }
}
