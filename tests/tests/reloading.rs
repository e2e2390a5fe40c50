//! Reloads: a replacement is tried while what is active goes on; it takes over if it is good, and leaves no trace if it is not.

use plugin_engine::{Cause, Error, LoadOutcome, PluginState, ReloadError};
use plugin_engine_tests::{Rig, patched};

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
