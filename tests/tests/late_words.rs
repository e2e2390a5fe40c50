//! What a call says that nobody waits for any more is heard by nobody, however late it comes.

use plugin_engine::{Cause, PluginState};
use plugin_engine_tests::{Gate, await_late, gated, lines_of, time_out, wait_for};

/// What a late call says comes to nobody: no event, no line, no progress.
fn assert_unheard(id: &str) {
    let lines = lines_of(id);
    assert!(
        lines.iter().all(|line| !line.message.contains("let go")),
        "{lines:?}"
    );
}

#[test]
fn what_a_call_says_in_time_is_heard() {
    lines_of("in-time");
    let gate = Gate::new();
    let rig = gated(&gate, "in-time", "talks = true");
    let events = rig.engine.subscribe("plugin.in-time.late");
    gate.open_all();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(&*events.try_next().unwrap().payload, "1");
    assert!(rig.snapshot("in-time").last_progress.is_some());
    assert!(
        lines_of("in-time")
            .iter()
            .any(|line| line.message.contains("let go"))
    );
}

#[test]
fn what_an_abandoned_call_says_is_discarded() {
    lines_of("late");
    let gate = Gate::new();
    let rig = gated(&gate, "late", "talks = true");
    let events = rig.engine.subscribe("plugin.late.late");
    time_out(&rig, &gate, 1);
    gate.open_all();
    await_late(&rig, "late", 1);
    assert_eq!(events.try_next(), None);
    assert_eq!(rig.snapshot("late").last_progress, None);
    assert_unheard("late");
}

#[test]
fn what_an_abandoned_call_says_after_unload_is_discarded() {
    lines_of("unloaded");
    let gate = Gate::new();
    let rig = gated(&gate, "unloaded", "talks = true");
    let events = rig.engine.subscribe("plugin.unloaded.late");
    time_out(&rig, &gate, 1);
    rig.engine.unload("unloaded").unwrap();
    gate.open_all();
    await_late(&rig, "unloaded", 1);
    assert_eq!(events.try_next(), None);
    assert_unheard("unloaded");
    assert_eq!(rig.state("unloaded"), PluginState::Unloaded);
}

#[test]
fn what_an_abandoned_call_says_after_the_engine_is_gone_is_discarded() {
    lines_of("gone");
    let gate = Gate::new();
    let rig = gated(&gate, "gone", "talks = true");
    let events = rig.engine.subscribe("plugin.gone.late");
    time_out(&rig, &gate, 1);
    drop(rig);
    gate.open_all();
    gate.await_exit(1);
    assert!(std::iter::from_fn(|| events.try_next()).next().is_none());
    assert_unheard("gone");
}

#[test]
fn what_an_abandoned_destroy_says_is_discarded() {
    for command in ["unload", "disable"] {
        let id = format!("destroyed-by-{command}");
        lines_of(&id);
        let gate = Gate::new();
        let rig = gated(&gate, &id, "in_call = \"destroy\"\ntalks = true");
        std::thread::scope(|scope| {
            let ended = scope.spawn(|| match command {
                "unload" => rig.engine.unload(&id),
                _ => rig.engine.disable(&id),
            });
            gate.await_entry(1);
            rig.advance(5_000);
            ended.join().unwrap().unwrap();
        });
        assert_eq!(rig.causes(&id).last(), Some(&Cause::DestroyFailed));
        gate.open_all();
        await_late(&rig, &id, 1);
        assert_unheard(&id);
    }
}

#[test]
fn what_a_destroy_says_that_nobody_waits_for_is_discarded() {
    lines_of("farewell");
    let gate = Gate::new();
    let config = "in_call = \"display\"\nsays_farewell = true\n";
    let rig = gated(&gate, "farewell", config);
    std::thread::scope(|scope| {
        let shown = scope.spawn(|| rig.engine.display("farewell"));
        gate.await_entry(1);
        rig.advance(2_000);
        shown.join().unwrap().unwrap_err();
    });
    rig.engine.unload("farewell").unwrap();
    gate.open_all();
    await_late(&rig, "farewell", 1);
    wait_for("its worker", || rig.engine.usage().slow_threads == 0);
    let lines = lines_of("farewell");
    assert!(
        lines.iter().all(|line| line.message != "farewell"),
        "{lines:?}"
    );
}
