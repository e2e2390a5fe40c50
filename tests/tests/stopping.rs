//! The end of an engine: within its budget, whatever the plugins do.

use std::time::{Duration, Instant};

use plugin_engine::{CallKind, Cause, Error, PluginState};
use plugin_engine_tests::{Gate, Rig, wait_for};

const BUDGET: Duration = Duration::from_millis(400);
/// More than the budget by what a busy machine may add.
const SURELY: Duration = Duration::from_secs(5);

/// Shuts down, and says that it took no longer than it may.
fn shut_down(rig: &Rig) {
    let began = Instant::now();
    rig.engine.shutdown(BUDGET).unwrap();
    assert!(began.elapsed() < SURELY, "{:?}", began.elapsed());
}

fn assert_names_the_stuck(rig: &Rig, call: CallKind) {
    let stuck = rig.engine.stuck_calls();
    assert_eq!(stuck.len(), 1, "{stuck:?}");
    assert_eq!((stuck[0].id.as_str(), stuck[0].call), ("gated", call));
    let history = rig.history("gated");
    let names = |entry: &plugin_engine::Transition| {
        entry.error.as_ref().is_some_and(|error| {
            error
                .message
                .contains("had not returned when the engine shut down")
        })
    };
    assert!(history.iter().any(names), "{history:#?}");
    assert_eq!(rig.state("gated"), PluginState::Unloaded);
}

#[test]
fn a_shutdown_ends_in_time_though_an_update_hangs_and_names_it() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings(""));
    rig.drop_in("noop");
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    wait_for("the other update", || cycle.report().completed == 1);
    shut_down(&rig);
    assert_names_the_stuck(&rig, CallKind::Update);
    let report = cycle.wait();
    assert_eq!((report.completed, report.timed_out), (1, 1));
    gate.open_all();
    wait_for("the late return", || rig.engine.stuck_calls().is_empty());
}

#[test]
fn a_shutdown_ends_in_time_though_a_destroy_hangs_and_names_it() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings("in_call = \"destroy\""));
    rig.load();
    shut_down(&rig);
    assert_names_the_stuck(&rig, CallKind::Destroy);
}

#[test]
fn a_shutdown_ends_in_time_though_a_create_hangs_and_names_it() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    rig.drop_as("gated", "gated", &gate.settings("in_call = \"create\""));
    let _ = rig.load_any();
    gate.await_entry(1);
    shut_down(&rig);
    assert_names_the_stuck(&rig, CallKind::Create);
    gate.open_all();
    wait_for("the late return", || rig.engine.stuck_calls().is_empty());
    assert_eq!(rig.state("gated"), PluginState::Unloaded);
}

#[test]
fn a_command_that_waits_for_a_call_gets_an_answer_from_the_shutdown() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings(""));
    rig.load();
    std::thread::scope(|scope| {
        let updated = scope.spawn(|| rig.engine.update("gated"));
        gate.await_entry(1);
        let shown = scope.spawn(|| rig.engine.display("gated"));
        shut_down(&rig);
        updated.join().unwrap().unwrap_err();
        shown.join().unwrap().unwrap_err();
    });
}

#[test]
fn instances_are_destroyed_in_the_reverse_order_of_their_start() {
    let (rig, gate) = (Rig::new(), Gate::new());
    for id in ["a", "b", "c"] {
        rig.drop_as("gated", id, &gate.settings("in_call = \"destroy\""));
    }
    rig.load();
    std::thread::scope(|scope| {
        scope.spawn(|| rig.engine.shutdown(Duration::from_secs(60)));
        for (n, id) in [(1, "c"), (2, "b"), (3, "a")] {
            gate.await_entry(n);
            let call = rig.snapshot(id).in_flight.map(|call| call.call);
            assert_eq!(call, Some(CallKind::Destroy), "{id}");
            assert!(!gate.has_entered(n + 1));
            gate.open(n);
        }
    });
    assert_eq!(rig.engine.stuck_calls(), []);
}

#[test]
fn a_plugin_that_was_switched_off_and_on_counts_as_started_then() {
    let rig = Rig::new();
    for id in ["a", "b"] {
        rig.drop_as("noop", id, "");
    }
    rig.load();
    rig.engine.disable("a").unwrap();
    rig.engine.enable("a").unwrap();
    shut_down(&rig);
    let ended: Vec<_> = rig
        .engine
        .history_of_all()
        .cause(Cause::ShutDown)
        .into_iter()
        .map(|entry| entry.id.to_string())
        .collect();
    assert_eq!(ended, ["a", "b"]);
}

#[test]
fn a_second_shutdown_does_nothing() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    shut_down(&rig);
    let seq = rig.engine.last_seq();
    shut_down(&rig);
    assert_eq!(rig.engine.last_seq(), seq);
}

#[test]
fn after_a_shutdown_every_command_says_so_and_everything_can_still_be_read() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    let events = rig.engine.subscribe("**");
    shut_down(&rig);
    let engine = &rig.engine;
    for (name, answer) in [
        ("enable", engine.enable("noop")),
        ("disable", engine.disable("noop")),
        ("reset", engine.reset("noop")),
        ("unload", engine.unload("noop")),
        ("load", engine.load("noop").map(drop)),
        ("update", engine.update("noop")),
        ("display", engine.display("noop").map(drop)),
        ("try_load_all", engine.try_load_all().map(drop)),
        (
            "load_file",
            engine.load_file(rig.dir().join("noop.so")).map(drop),
        ),
    ] {
        assert!(matches!(answer, Err(Error::ShutDown)), "{name}: {answer:?}");
    }
    assert_eq!(engine.load_all().len(), 0);
    assert_eq!(engine.run_cycle().due, 0);
    engine.run();
    assert_eq!(rig.state("noop"), PluginState::Unloaded);
    assert_eq!(rig.causes("noop").last(), Some(&Cause::ShutDown));
    // The subscription ends after what is in it has been taken.
    while events.next_within(SURELY).is_some() {}
}

#[test]
fn dropping_the_last_handle_shuts_down_and_dropping_another_does_not() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "gated", &gate.settings("in_call = \"destroy\""));
    rig.load();
    drop(rig.engine.clone());
    assert_eq!(rig.state("gated"), PluginState::Enabled);
    gate.open_all();
    let history = rig.engine.history("gated");
    drop(rig);
    assert!(gate.has_entered(1));
    let last = history.newest_first().limit(1).into_iter().next().unwrap();
    assert_eq!(last.cause, Cause::ShutDown);
}

#[test]
fn a_run_ends_with_the_shutdown() {
    let rig = Rig::new();
    rig.drop_in("noop");
    rig.load();
    std::thread::scope(|scope| {
        let run = scope.spawn(|| rig.engine.run());
        wait_for("the run to begin", || {
            rig.snapshot("noop").counts.updates > 0
        });
        shut_down(&rig);
        run.join().unwrap();
    });
}

#[test]
fn a_cycle_that_meets_a_shutdown_still_ends() {
    for _ in 0..10 {
        let rig = Rig::with(|builder| builder.workers(1));
        for id in ["a", "b", "c"] {
            rig.drop_as("noop", id, "interval = \"1ms\"\n");
        }
        rig.load();
        std::thread::scope(|scope| {
            let cycles = scope.spawn(|| {
                // Until the engine has nothing due any more, which is when it stops.
                while rig.engine.run_cycle().due > 0 {
                    rig.advance(1);
                }
            });
            rig.engine.shutdown(Duration::from_millis(1)).unwrap();
            wait_for("the cycle to end", || cycles.is_finished());
        });
    }
}

#[test]
fn what_is_left_of_a_cycle_ends_also_when_a_shutdown_has_no_time_at_all() {
    for _ in 0..10 {
        let gate = Gate::new();
        let rig = Rig::with(|builder| builder.workers(1));
        rig.drop_as("gated", "a", &gate.settings(""));
        for id in ["b", "c", "d"] {
            rig.drop_as("noop", id, "");
        }
        rig.load();
        let cycle = rig.engine.start_cycle();
        // At once, before the watchdog has given the rest of the cycle to another worker.
        while !gate.has_entered(1) {
            std::hint::spin_loop();
        }
        rig.engine.shutdown(Duration::ZERO).unwrap();
        wait_for("the cycle to end", || {
            let report = cycle.report();
            report.completed + report.timed_out + report.skipped == report.due
        });
        assert_eq!(cycle.wait().timed_out, 1);
    }
}

#[test]
fn an_engine_that_comes_after_another_loads_its_own_files_and_not_those_of_the_one_before() {
    for _ in 0..3 {
        for (name, shows) in [("noop", "0"), ("panics", "0"), ("counter", "7 so far")] {
            let rig = Rig::new();
            let config = if name == "counter" {
                "[settings]\nstart = 7\n"
            } else {
                ""
            };
            rig.drop_as(name, "p", config);
            rig.load();
            assert_eq!(
                rig.engine.display("p").unwrap().as_text(),
                Some(shows),
                "{name}"
            );
        }
    }
}

#[test]
fn a_shutdown_destroys_what_a_policy_has_unloaded_and_no_cycle_has_destroyed_yet() {
    let dir = tempfile::tempdir().unwrap();
    let file = dir.path().join("now");
    let rig = Rig::new();
    let settings = format!("[settings]\nwhen = {file:?}\n");
    let config = format!("panic_limit = 1\non_unhealthy = \"unload\"\n{settings}");
    rig.drop_as("thread-panics", "p", &config);
    rig.load();
    let _ = rig.engine.run_cycle();
    std::fs::write(&file, "").unwrap();
    wait_for("the panic", || rig.state("p") == PluginState::Unloaded);
    let calls = rig.snapshot("p").counts.calls;
    shut_down(&rig);
    assert_eq!(rig.snapshot("p").counts.calls, calls + 1, "a destroy");
}
