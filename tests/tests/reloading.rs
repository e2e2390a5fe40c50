//! Reloads: a replacement is tried while what is active goes on; it takes over if it is good, and leaves no trace if it is not.

use plugin_engine::{Cause, Error, LoadOutcome, PluginState, ReloadError};
use plugin_engine_tests::{Gate, Rig, gated, patched, wait_for};

fn counting() -> Rig {
    let rig = Rig::new();
    rig.drop_as("keeps-state", "counter", "");
    rig.load();
    update(&rig, 3);
    rig
}

/// Goes through so many intervals.
fn update(rig: &Rig, times: u32) {
    for _ in 0..times {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(1_000);
    }
}

fn count(rig: &Rig) -> String {
    let view = rig.engine.display("counter").expect("it can be displayed");
    view.as_text().expect("it is a text").to_owned()
}

#[test]
fn another_build_takes_over_with_the_state_and_the_schedule_of_the_one_before() {
    let rig = counting();
    let before = rig.snapshot("counter");
    rig.rebuild("keeps-state", "counter");
    let outcome = rig.engine.reload("counter").expect("it is good");
    assert!(
        matches!(outcome, LoadOutcome::Reloaded { generation: 2, .. }),
        "{outcome}"
    );
    let after = rig.snapshot("counter");
    assert_eq!(after.generation, 2);
    assert_eq!(after.state, PluginState::Enabled);
    assert_eq!(after.next_update, before.next_update);
    assert_ne!(after.sha256(), before.sha256());
    // The trial update is one that counts for the plugin, and for nobody else.
    assert_eq!(count(&rig), "4");
    assert_eq!(after.counts.updates, before.counts.updates);
    assert_eq!(rig.causes("counter").last(), Some(&Cause::Reloaded));
    update(&rig, 1);
    assert_eq!(count(&rig), "5");
}

#[test]
fn the_same_bytes_and_settings_are_nothing_to_reload() {
    let rig = counting();
    let entries = rig.history("counter").len();
    let outcome = rig
        .engine
        .reload("counter")
        .expect("there is nothing to do");
    assert!(
        matches!(outcome, LoadOutcome::AlreadyLoaded { .. }),
        "{outcome}"
    );
    assert_eq!(rig.history("counter").len(), entries);
    assert_eq!(rig.snapshot("counter").generation, 1);
}

#[test]
fn a_refused_replacement_leaves_the_same_instance_its_schedule_and_its_counts() {
    let rig = counting();
    let before = rig.snapshot("counter");
    std::fs::write(rig.dir().join("counter.so"), "no library").unwrap();
    let error = rig.engine.reload("counter").unwrap_err();
    assert!(
        matches!(
            &error,
            Error::ReloadRefused {
                kept: 1,
                source: ReloadError::Load(_),
                ..
            }
        ),
        "{error}"
    );
    let after = rig.snapshot("counter");
    assert_eq!(after.counts, before.counts);
    assert_eq!(after.next_update, before.next_update);
    assert_eq!(after.error, None);
    assert_eq!(count(&rig), "3");
    let entry = rig.history("counter").pop().unwrap();
    assert_eq!(entry.cause, Cause::ReloadRefused);
    assert!(entry.error.unwrap().message.contains("counter.so"));
    update(&rig, 2);
    assert_eq!(count(&rig), "5");
}

#[test]
fn a_replacement_that_fails_in_any_of_its_calls_does_not_take_over() {
    for call in ["create", "restore_state", "update"] {
        for panics in [false, true] {
            let rig = counting();
            let before = rig.snapshot("counter");
            rig.configure(
                "counter",
                &format!("[settings]\nfails_in = \"{call}\"\npanics = {panics}"),
            );
            let error = rig.engine.reload("counter").unwrap_err();
            assert_eq!(error.code(), "PE0532", "{error}");
            assert!(error.to_string().contains(call), "{error}");
            let after = rig.snapshot("counter");
            assert_eq!(after.generation, 1);
            assert_eq!(after.counts.panics, before.counts.panics);
            assert_eq!(after.error, None);
            update(&rig, 1);
            assert_eq!(count(&rig), "4", "{call}");
        }
    }
}

#[test]
fn a_lower_version_is_refused_unless_allowed() {
    let rig = counting();
    let file = rig.dir().join("counter.so");
    patched("keeps-state", "version=0.1.0", "version=0.0.9", &file);
    let error = rig.engine.reload("counter").unwrap_err();
    assert_eq!(error.code(), "PE0531", "{error}");
    rig.configure("counter", "allow_downgrade = true");
    let outcome = rig.engine.reload("counter").expect("it is allowed");
    assert_eq!(
        outcome.to_string(),
        format!(
            "counter: reloaded, version 0.1.0 -> 0.0.9, generation 2, from {}",
            file.display()
        )
    );
    assert_eq!(rig.snapshot("counter").version(), Some("0.0.9"));
}

#[test]
fn what_owns_something_exclusive_is_stopped_first_if_that_is_said() {
    let rig = Rig::new();
    let lock = rig.dir().join("lock");
    let with = |way: &str| format!("reload = \"{way}\"\n[settings]\nlock = {lock:?}\n");
    rig.drop_as("keeps-state", "counter", &with("try-activate"));
    rig.load();
    update(&rig, 3);
    rig.rebuild("keeps-state", "counter");
    let error = rig.engine.reload("counter").unwrap_err();
    assert!(error.to_string().contains("File exists"), "{error}");
    assert_eq!(count(&rig), "3");
    rig.configure("counter", &with("stop-first"));
    let outcome = rig.engine.reload("counter").expect("the lock is free");
    assert!(matches!(outcome, LoadOutcome::Reloaded { .. }), "{outcome}");
    assert_eq!(count(&rig), "4");
}

#[test]
fn what_was_stopped_first_is_created_anew_with_its_state_if_the_replacement_fails() {
    let rig = counting();
    let config = "reload = \"stop-first\"\n[settings]\nfails_in = \"update\"";
    rig.configure("counter", config);
    let error = rig.engine.reload("counter").unwrap_err();
    assert!(
        matches!(error, Error::ReloadRefused { kept: 1, .. }),
        "{error}"
    );
    assert_eq!(rig.snapshot("counter").generation, 1);
    assert_eq!(count(&rig), "3");
    update(&rig, 1);
    assert_eq!(count(&rig), "4");
    assert_eq!(rig.snapshot("counter").counts.skipped, 0);
}

#[test]
fn what_was_stopped_first_and_cannot_be_created_anew_is_an_error_with_both_reasons() {
    let gate = Gate::new();
    gate.open_all();
    let rig = gated(&gate, "counter", "creates = 1");
    let next = gate.settings("creates = 0");
    rig.configure("counter", &format!("reload = \"stop-first\"\n{next}"));
    let error = rig.engine.reload("counter").unwrap_err();
    assert_eq!(error.code(), "PE0536", "{error}");
    assert_eq!(error.to_string().matches("no more instances").count(), 2);
    assert_eq!(rig.state("counter"), PluginState::Error);
    assert_eq!(rig.causes("counter").last(), Some(&Cause::CreateFailed));
    rig.configure("counter", &gate.settings(""));
    rig.engine.reload("counter").expect("it is good now");
    assert_eq!(rig.state("counter"), PluginState::Enabled);
}

#[test]
fn a_save_that_fails_refuses_the_reload_and_the_instance_goes_on() {
    for (panics, poisoned) in [(false, false), (true, true)] {
        let rig = Rig::new();
        let config = format!("[settings]\nfails_in = \"save_state\"\npanics = {panics}");
        rig.drop_as("keeps-state", "counter", &config);
        rig.load();
        update(&rig, 3);
        rig.rebuild("keeps-state", "counter");
        let error = rig.engine.reload("counter").unwrap_err();
        assert!(error.to_string().contains("save_state"), "{error}");
        let causes = rig.causes("counter");
        assert_eq!(
            causes[causes.len() - 2..],
            [Cause::SaveFailed, Cause::ReloadRefused]
        );
        update(&rig, 1);
        // One that has panicked is not called again, but created anew.
        assert_eq!(count(&rig), if poisoned { "1" } else { "4" });
    }
}

#[test]
fn what_a_replacement_publishes_is_heard_when_it_takes_over_and_never_if_it_does_not() {
    let rig = counting();
    let heard = rig.engine.subscribe("plugin.counter.count");
    rig.rebuild("keeps-state", "counter");
    rig.engine.reload("counter").unwrap();
    let event = heard.try_next().expect("the trial update has published");
    assert_eq!(&*event.payload, "4");
    // Counts once, and then fails to be worth a takeover.
    rig.configure("counter", "[settings]\nfails_in = \"restore_state\"");
    rig.engine.reload("counter").unwrap_err();
    assert_eq!(heard.try_next(), None);
}

#[test]
fn a_plugin_that_is_switched_off_gets_new_code_and_stays_off() {
    let rig = counting();
    rig.engine.disable("counter").unwrap();
    rig.rebuild("keeps-state", "counter");
    let outcome = rig.engine.reload("counter").unwrap();
    assert!(matches!(
        outcome,
        LoadOutcome::Reloaded { generation: 2, .. }
    ));
    assert_eq!(rig.state("counter"), PluginState::Disabled);
    rig.engine.enable("counter").unwrap();
    assert_eq!(rig.engine.run_cycle().completed, 1);
}

#[test]
fn a_reload_leaves_the_state_error() {
    let rig = Rig::new();
    rig.drop_as("fails-permanently", "counter", "[settings]\non_update = 1");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 1);
    assert_eq!(rig.state("counter"), PluginState::Error);
    rig.rebuild("keeps-state", "counter");
    rig.configure("counter", "");
    rig.engine.reload("counter").expect("it is good");
    assert_eq!(rig.state("counter"), PluginState::Enabled);
    assert_eq!(rig.error("counter"), None);
    update(&rig, 1);
}

#[test]
fn a_reload_of_what_is_not_loaded_loads_it() {
    let rig = counting();
    rig.engine.unload("counter").unwrap();
    rig.engine.reload("counter").expect("it is good");
    assert_eq!(rig.state("counter"), PluginState::Enabled);
    assert_eq!(rig.snapshot("counter").generation, 2);
    let unknown = rig.engine.reload("nobody").unwrap_err();
    assert!(matches!(unknown, Error::UnknownPlugin { .. }), "{unknown}");
}

#[test]
fn other_times_hold_at_once_for_the_same_instance() {
    let rig = counting();
    rig.configure("counter", "interval = \"250ms\"\ntimeout = \"100ms\"");
    let outcome = rig.engine.reload("counter").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::Reconfigured { .. }),
        "{outcome}"
    );
    let snapshot = rig.snapshot("counter");
    assert_eq!(snapshot.generation, 1);
    assert_eq!(snapshot.interval().as_millis(), 250);
    assert_eq!(snapshot.timeout().as_millis(), 100);
    assert_eq!(count(&rig), "3");
    for _ in 0..4 {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.advance(250);
    }
    assert_eq!(
        rig.causes("counter")
            .iter()
            .filter(|cause| **cause == Cause::Reconfigured)
            .count(),
        1
    );
}

#[test]
fn a_configuration_switches_its_plugin_off_and_on_and_a_person_overrules_it() {
    let rig = counting();
    rig.configure("counter", "enabled = false");
    rig.engine.reload("counter").unwrap();
    assert_eq!(rig.state("counter"), PluginState::Disabled);
    rig.configure("counter", "enabled = true");
    rig.engine.reload("counter").unwrap();
    assert_eq!(rig.state("counter"), PluginState::Enabled);
    rig.engine.disable("counter").unwrap();
    rig.rebuild("keeps-state", "counter");
    rig.engine.reload("counter").unwrap();
    assert_eq!(rig.state("counter"), PluginState::Disabled);
}

#[test]
fn a_configuration_that_is_not_good_keeps_the_one_that_holds() {
    let rig = counting();
    rig.configure("counter", "intervall = \"1s\"");
    let error = rig.engine.reload("counter").unwrap_err();
    assert_eq!(error.code(), "PE0303", "{error}");
    update(&rig, 1);
    assert_eq!(count(&rig), "4");
    let entry = rig
        .history("counter")
        .into_iter()
        .rev()
        .find(|entry| entry.cause == Cause::ReloadRefused);
    assert!(entry.unwrap().error.unwrap().message.contains("intervall"));
}

#[test]
fn a_generation_that_fails_on_probation_is_rolled_back_once_with_the_state_of_before() {
    let rig = counting();
    let bad = "probation = \"60s\"\ntrial_update = false\n[settings]\nfails_in = \"update\"";
    rig.configure("counter", bad);
    rig.engine.reload("counter").expect("nothing is tried");
    assert_eq!(rig.snapshot("counter").generation, 2);
    for _ in 0..3 {
        rig.engine.run_cycle();
        rig.advance(1_000);
    }
    wait_for("the roll-back", || rig.snapshot("counter").generation == 3);
    let entry = rig.history("counter").pop().unwrap();
    assert_eq!(entry.cause, Cause::RolledBack);
    let why = entry.error.unwrap().message.to_string();
    assert!(
        why.contains("3 times in a row") && why.contains("fails as asked"),
        "{why}"
    );
    assert_eq!(rig.error("counter"), None);
    assert_eq!(count(&rig), "3");
    update(&rig, 5);
    assert_eq!(rig.snapshot("counter").generation, 3);
}

#[test]
fn a_generation_that_has_passed_its_probation_is_not_rolled_back() {
    let rig = counting();
    let late = "probation = \"10s\"\n";
    rig.configure("counter", late);
    rig.rebuild("keeps-state", "counter");
    rig.engine.reload("counter").unwrap();
    rig.advance(10_000);
    rig.configure(
        "counter",
        &format!("{late}[settings]\nfails_in = \"update\""),
    );
    // A trial update that fails is no generation at all.
    rig.engine.reload("counter").unwrap_err();
    assert_eq!(rig.snapshot("counter").generation, 2);
    update(&rig, 1);
}

#[test]
fn other_times_of_what_is_switched_off_hold_once_it_is_switched_on_again() {
    let rig = counting();
    rig.engine.disable("counter").unwrap();
    rig.configure("counter", "interval = \"7s\"\ntimeout = \"3s\"\n");
    let outcome = rig.engine.reload("counter").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::Reconfigured { .. }),
        "{outcome}"
    );
    assert_eq!(rig.state("counter"), PluginState::Disabled);
    rig.engine.enable("counter").unwrap();
    let snapshot = rig.snapshot("counter");
    let seconds = std::time::Duration::from_secs;
    assert_eq!(
        (snapshot.interval(), snapshot.timeout()),
        (seconds(7), seconds(3))
    );
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let next = rig.snapshot("counter").next_update.unwrap();
    assert_eq!(next.saturating_since(rig.now()), seconds(7));
}
