//! The main job in a few lines: drop files in, load, run a cycle, ask.

use plugin_engine::{FaultKind, PluginState};
use plugin_engine_tests::Rig;

#[test]
fn a_plugin_that_is_dropped_in_is_loaded_called_shown_and_unloaded() {
    let rig = Rig::new();
    rig.drop_as("counter", "counter", "[settings]\nstart = 40\n");
    rig.load();
    assert_eq!(rig.state("counter"), PluginState::Enabled);
    for _ in 0..2 {
        let report = rig.engine.run_cycle();
        assert_eq!((report.due, report.completed), (1, 1));
        rig.advance(1_000);
    }
    let view = rig.engine.display("counter").unwrap();
    assert_eq!(view.as_text(), Some("42 so far"));
    rig.engine.unload("counter").unwrap();
    assert_eq!(rig.state("counter"), PluginState::Unloaded);
    for entry in rig.history("counter") {
        println!("{entry}");
    }
}

#[test]
fn an_update_that_hangs_leaves_its_plugin_enabled_with_the_error() {
    let rig = Rig::new();
    rig.drop_in("hangs");
    rig.load();
    let cycle = rig.engine.start_cycle();
    plugin_engine_tests::wait_for("the update to start", || {
        rig.state("hangs") == PluginState::Running
    });
    rig.advance(500);
    let report = cycle.wait();
    assert_eq!(report.timed_out, 1);
    let snapshot = rig.snapshot("hangs");
    assert_eq!(snapshot.state, PluginState::Enabled);
    assert_eq!(snapshot.error.unwrap().kind, FaultKind::Timeout);
}
