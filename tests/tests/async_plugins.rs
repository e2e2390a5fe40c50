//! Plugins that wait in a runtime of their own: what ends with them, and what does not.
//!
//! Tests of one process share its threads and maps, so each has a plugin of its own name, of which the system shows 15 characters.

use std::time::Duration;

use plugin_engine::{Cause, PluginState};
use plugin_engine_tests::{
    Rig, ThreadHooks, await_late, is_mapped, lines_of, threads_of, wait_for,
};

fn threads_called(name: &str) -> usize {
    let threads = threads_of("self");
    threads.iter().filter(|thread| *thread == name).count()
}

#[test]
fn twenty_reloads_leave_one_thread_and_an_unload_leaves_none() {
    let rig = Rig::new();
    rig.drop_as("async-tasks", "async-reloaded", "");
    rig.load();
    for round in 1..=20 {
        assert_eq!(rig.engine.run_cycle().completed, 1, "{round}");
        rig.rebuild("async-tasks", "async-reloaded");
        rig.engine.reload("async-reloaded").unwrap();
        // What was replaced is destroyed beside what goes on.
        wait_for("the threads of the one before", || {
            threads_called("async-reloaded") == 1
        });
        rig.advance(1_000);
    }
    let reloads = rig.causes("async-reloaded");
    let reloads = reloads.iter().filter(|cause| **cause == Cause::Reloaded);
    assert_eq!(reloads.count(), 20);
    rig.engine.unload("async-reloaded").unwrap();
    assert_eq!(threads_called("async-reloaded"), 0);
}

#[test]
fn an_update_that_waits_for_ever_is_given_up_at_its_deadline_and_the_next_one_completes() {
    let rig = Rig::new();
    let settings = "[settings]\nwaits_for_ever_at = 2\n";
    rig.drop_as("async-tasks", "async-waits", settings);
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.advance(1_000);
    let cycle = rig.engine.start_cycle();
    wait_for("the update", || {
        rig.snapshot("async-waits").last_progress.is_some()
    });
    rig.advance(5_000);
    assert_eq!(cycle.wait().timed_out, 1);
    // Nobody does anything for it to return.
    await_late(&rig, "async-waits", 1);
    assert_eq!(rig.state("async-waits"), PluginState::Enabled);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let shown = rig.engine.display("async-waits").unwrap();
    assert_eq!(shown.as_text(), Some("3 updates"));
}

#[test]
fn an_update_that_waits_is_given_up_when_its_plugin_is_disabled() {
    let rig = Rig::new();
    let settings = "[settings]\nwaits_for_ever_at = 1\n";
    rig.drop_as("async-tasks", "async-disabled", settings);
    rig.load();
    let cycle = rig.engine.start_cycle();
    wait_for("the update", || {
        rig.snapshot("async-disabled").last_progress.is_some()
    });
    rig.engine.disable("async-disabled").unwrap();
    drop(cycle);
    assert_eq!(rig.state("async-disabled"), PluginState::Disabled);
}

#[test]
fn the_file_of_a_plugin_with_a_runtime_is_unmapped_once_its_threads_have_ended() {
    let rig = Rig::with(|builder| builder.thread_census(ThreadHooks));
    let config = "unmap = \"when-safe\"\n";
    rig.drop_as("async-tasks", "async-unmapped", config);
    rig.load();
    for _ in 0..3 {
        assert_eq!(rig.engine.run_cycle().completed, 1);
        rig.engine.unload("async-unmapped").unwrap();
        wait_for("the unmap", || rig.engine.mapped_libraries().is_empty());
        assert!(!is_mapped("async-unmapped.so"));
        rig.engine.load("async-unmapped").unwrap();
    }
}

#[test]
fn a_task_that_comes_to_no_await_is_named_and_its_thread_keeps_the_file_mapped() {
    let rig = Rig::with(|builder| builder.thread_census(ThreadHooks));
    let file = rig.dir().join("release");
    let config = format!("unmap = \"when-safe\"\n[settings]\nstubborn_until = {file:?}\n");
    // Heard before anything is said.
    let _ = lines_of("async-stubborn");
    rig.drop_as("async-tasks", "async-stubborn", &config);
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.engine.unload("async-stubborn").unwrap();
    let lines = lines_of("async-stubborn");
    let named = lines
        .iter()
        .find(|line| line.message.contains("tasks=stubborn"));
    assert_eq!(named.unwrap().level, "ERROR");
    wait_for("the reason", || {
        let mapped = rig.engine.mapped_libraries();
        mapped
            .iter()
            .any(|one| one.why.contains("the thread async-stubborn ("))
    });
    std::fs::write(file, "").unwrap();
    wait_for("the unmap", || rig.engine.mapped_libraries().is_empty());
    rig.engine.shutdown(Duration::from_secs(30)).unwrap();
}
