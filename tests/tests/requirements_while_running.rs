//! Plugins that require others, once they run: what happens at their ticks and to their commands when something goes missing.

use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use plugin_engine::{Cause, Code, Error, FaultKind, PluginState, Transition};
use plugin_engine_tests::{Gate, Rig, built, wait_for};

/// A rig in which `report` requires `clock`, both enabled and updated once.
fn rig() -> Rig {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "requires = [\"clock < 1\"]\n");
    rig.drop_as("versioned-0-9", "clock", "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 2);
    rig
}

/// Makes a cycle at the next tick: how many completed, and how many were skipped.
fn tick(rig: &Rig) -> (usize, usize) {
    rig.advance(1_000);
    let report = rig.engine.run_cycle();
    (report.completed, report.skipped)
}

fn refusals(rig: &Rig) -> Vec<Transition> {
    let refusals = rig.engine.history("report").cause(Cause::CallRefused);
    refusals.into_iter().collect()
}

#[track_caller]
fn assert_not_called(rig: &Rig, says: &str) {
    let snapshot = rig.snapshot("report");
    let error = snapshot.error.as_ref().expect("an error");
    assert_eq!(snapshot.state, PluginState::Enabled);
    assert_eq!(error.kind, FaultKind::Requirement);
    assert!(error.recoverable);
    assert_eq!(*error.message, format!("not called: {says} [PE0522]"));
}

#[test]
fn ticks_without_what_is_required_are_skipped_and_said_once_and_the_next_success_clears_it() {
    let rig = rig();
    rig.engine.disable("clock").unwrap();
    assert_eq!(rig.error("report"), None);
    for ticks in 1..=5 {
        assert_eq!(tick(&rig), (0, 1));
        assert_not_called(&rig, "requires clock, which is Disabled");
        let counts = rig.snapshot("report").counts;
        assert_eq!((counts.updates, counts.skipped), (1, ticks));
        assert_eq!(counts.failures, 0);
    }
    assert_eq!(refusals(&rig).len(), 1);
    rig.engine.enable("clock").unwrap();
    assert_eq!(tick(&rig), (2, 0));
    assert_eq!(rig.error("report"), None);
    assert_eq!(rig.snapshot("report").counts.skipped, 5);
    rig.engine.disable("clock").unwrap();
    tick(&rig);
    assert_eq!(refusals(&rig).len(), 2);
}

#[test]
fn each_way_to_go_missing_is_a_reason_of_its_own() {
    let rig = rig();
    rig.engine.disable("clock").unwrap();
    tick(&rig);
    rig.engine.unload("clock").unwrap();
    tick(&rig);
    assert_not_called(&rig, "requires clock, which is Unloaded");
    std::fs::copy(built("versioned-1-1"), rig.dir().join("clock.so")).unwrap();
    assert!(rig.engine.load("clock").unwrap().is_good());
    assert_eq!(tick(&rig), (1, 1));
    assert_not_called(&rig, "requires clock < 1; clock is 1.1.0");
    rig.engine.unload("clock").unwrap();
    std::fs::copy(built("fails-in-create"), rig.dir().join("clock.so")).unwrap();
    assert!(!rig.engine.load("clock").unwrap().is_good());
    tick(&rig);
    assert_not_called(&rig, "requires clock, which is Error");
    assert_eq!(refusals(&rig).len(), 4);
    rig.engine.unload("clock").unwrap();
    std::fs::copy(built("versioned-0-9"), rig.dir().join("clock.so")).unwrap();
    assert!(rig.engine.load("clock").unwrap().is_good());
    assert_eq!(tick(&rig), (2, 0));
    assert_eq!(rig.error("report"), None);
}

#[test]
fn a_plugin_that_only_failed_recoverably_is_there() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "requires = [\"clock\"]\n");
    rig.drop_as("fails", "clock", "[settings]\nevery = 1\n");
    rig.load();
    let report = rig.engine.run_cycle();
    assert_eq!((report.completed, report.failed), (1, 1));
    assert_eq!(tick(&rig), (1, 0));
}

#[test]
fn an_update_that_somebody_asks_for_is_refused_with_the_reason_and_leaves_no_trace() {
    let rig = rig();
    rig.engine.disable("clock").unwrap();
    let before = rig.snapshot("report");
    let error = rig.engine.update("report").unwrap_err();
    assert!(matches!(&error, Error::Unmet { id, .. } if *id == "report"));
    assert_eq!(error.code(), Code::REQUIREMENT_UNMET);
    assert_eq!(
        error.to_string(),
        "report: requires clock, which is Disabled"
    );
    assert_eq!(rig.snapshot("report"), before);
    // To look at it is something else.
    let shown = rig.engine.display("report").unwrap();
    assert_eq!(shown.as_text(), Some("1"));
    rig.engine.enable("clock").unwrap();
    rig.engine.update("report").unwrap();
}

#[test]
fn an_instance_that_panicked_is_not_created_anew_while_something_is_missing() {
    let rig = Rig::new();
    rig.drop_as("panics", "report", "requires = [\"clock\"]\n");
    rig.drop_as("noop", "clock", "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().panicked, 1);
    rig.engine.disable("clock").unwrap();
    let calls = rig.snapshot("report").counts.calls;
    assert_eq!(tick(&rig), (0, 1));
    let error = rig.engine.display("report").unwrap_err();
    assert!(
        error
            .to_string()
            .ends_with(": requires clock, which is Disabled"),
        "{error}"
    );
    assert_eq!(rig.snapshot("report").counts.calls, calls);
    rig.engine.enable("clock").unwrap();
    rig.engine.display("report").unwrap();
}

#[test]
fn a_plugin_that_is_switched_on_too_early_says_why_and_starts_by_itself_later() {
    let rig = rig();
    for command in ["enable", "reset"] {
        rig.engine.disable("report").unwrap();
        rig.engine.disable("clock").unwrap();
        let answer = match command {
            "enable" => rig.engine.enable("report"),
            _ => rig.engine.reset("report"),
        };
        let error = answer.unwrap_err();
        assert_eq!(
            error.to_string(),
            "report: requires clock, which is Disabled"
        );
        assert_eq!(rig.state("report"), PluginState::Error);
        let said = rig.error("report").unwrap();
        assert_eq!(
            said,
            "requirement: requires clock, which is Disabled [PE0522]"
        );
        rig.engine.enable("clock").unwrap();
        wait_for("the start", || rig.state("report") == PluginState::Enabled);
        assert_eq!(tick(&rig), (2, 0));
    }
}

#[test]
fn a_plugin_that_runs_is_not_reset_while_something_is_missing_and_keeps_its_instance() {
    let rig = rig();
    rig.engine.disable("clock").unwrap();
    let before = rig.snapshot("report");
    let error = rig.engine.reset("report").unwrap_err();
    assert!(matches!(error, Error::Unmet { .. }), "{error}");
    assert_eq!(rig.snapshot("report"), before);
    rig.engine.enable("clock").unwrap();
    rig.engine.update("report").unwrap();
    assert_eq!(rig.engine.display("report").unwrap().as_text(), Some("2"));
}

#[test]
fn a_plugin_that_is_switched_off_is_not_brought_back() {
    let rig = rig();
    rig.engine.disable("report").unwrap();
    rig.engine.disable("clock").unwrap();
    for _ in 0..100 {
        rig.engine.enable("report").unwrap_err();
        rig.engine.disable("report").unwrap();
    }
    rig.drop_as("noop", "other", "requires = [\"clock\"]\n");
    let _ = rig.load_any();
    let said = rig.engine.history("report").cause(Cause::RequirementUnmet);
    assert_eq!(said.into_iter().count(), 100);
    rig.engine.enable("clock").unwrap();
    // Judged together with it.
    wait_for("the other", || rig.state("other") == PluginState::Enabled);
    assert_eq!(rig.state("report"), PluginState::Disabled);
    assert_eq!(rig.snapshot("report").counts.calls, 3);
}

#[test]
fn what_is_required_may_go_while_an_update_runs_and_that_update_counts() {
    let (rig, gate) = (Rig::new(), Gate::new());
    let requires = "requires = [\"clock\"]\n".to_owned();
    rig.drop_as("gated", "report", &(requires + &gate.settings("")));
    rig.drop_as("noop", "clock", "");
    rig.load();
    let cycle = rig.engine.start_cycle();
    gate.await_entry(1);
    rig.engine.disable("clock").unwrap();
    rig.engine.unload("clock").unwrap();
    gate.open(1);
    let report = cycle.wait();
    assert_eq!(report.completed, 2);
    assert_eq!(rig.error("report"), None);
    assert_eq!(tick(&rig), (0, 1));
    assert_not_called(&rig, "requires clock, which is Unloaded");
}

#[test]
fn what_is_required_may_go_while_what_requires_it_is_created() {
    let (rig, gate) = (Rig::new(), Gate::new());
    let requires = "requires = [\"clock\"]\n".to_owned();
    let settings = gate.settings("in_call = \"create\"");
    rig.drop_as("gated", "report", &(requires + &settings));
    rig.drop_as("noop", "clock", "");
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| rig.load());
        gate.await_entry(1);
        rig.engine.disable("clock").unwrap();
        gate.open_all();
        loaded.join().unwrap();
    });
    assert_eq!(rig.state("report"), PluginState::Enabled);
    assert_eq!(tick(&rig), (0, 1));
    assert_not_called(&rig, "requires clock, which is Disabled");
}

#[test]
fn a_command_and_the_return_by_itself_at_the_same_time_leave_one_instance_that_works() {
    let (rig, gate) = (Rig::new(), Gate::new());
    let requires = "requires = [\"clock\"]\n".to_owned();
    let settings = gate.settings("in_call = \"create\"");
    rig.drop_as("gated", "report", &(requires + &settings));
    rig.drop_as("noop", "clock", "enabled = false\n");
    let _ = rig.load_any();
    for (n, command) in [(1, "enable"), (2, "reset")] {
        rig.engine.enable("clock").unwrap();
        gate.await_entry(n);
        std::thread::scope(|scope| {
            let asked = scope.spawn(|| match command {
                "enable" => rig.engine.enable("report"),
                _ => rig.engine.reset("report"),
            });
            gate.open(n);
            gate.open(3);
            asked.join().unwrap().unwrap();
        });
        assert_eq!(rig.state("report"), PluginState::Enabled);
        rig.engine.update("report").unwrap();
        rig.engine.disable("clock").unwrap();
        rig.engine.disable("report").unwrap();
        rig.engine.enable("report").unwrap_err();
    }
}

#[test]
fn whoever_starts_what_comes_back_by_itself_at_that_moment_finds_one_instance_and_none_is_lost() {
    let rig = rig();
    let engine = &rig.engine;
    for turn in 0..600 {
        engine.disable("clock").unwrap();
        engine.disable("report").unwrap();
        engine.enable("report").unwrap_err();
        let calls = rig.snapshot("report").counts.calls;
        let is_reset = turn % 2 == 0;
        std::thread::scope(|scope| {
            scope.spawn(|| engine.enable("clock").unwrap());
            loop {
                let answer = if is_reset {
                    engine.reset("report")
                } else {
                    engine.enable("report")
                };
                match answer {
                    Ok(()) => break,
                    Err(Error::Unmet { .. }) => {}
                    Err(error) => panic!("{error}"),
                }
            }
        });
        assert_eq!(rig.state("report"), PluginState::Enabled);
        // A reset destroys what was created before it.
        let made = rig.snapshot("report").counts.calls - calls;
        assert!(made == 1 || (is_reset && made == 3), "{made} calls");
        engine.update("report").unwrap();
    }
}

#[test]
fn commands_on_all_of_them_at_once_end_and_what_is_left_on_runs() {
    let rig = Rig::real(|builder| builder.workers(2));
    let every = "interval = \"1ms\"\n";
    rig.drop_as("noop", "a", &format!("requires = [\"b\", \"c\"]\n{every}"));
    rig.drop_as("noop", "b", &format!("requires = [\"c\"]\n{every}"));
    rig.drop_as("noop", "c", every);
    rig.load();
    let engine = &rig.engine;
    let ended = AtomicBool::new(false);
    std::thread::scope(|scope| {
        scope.spawn(|| engine.run());
        let commands: Vec<_> = ["a", "b", "c", "c"]
            .into_iter()
            .enumerate()
            .map(|(n, id)| {
                scope.spawn(move || {
                    for turn in n..n + 150 {
                        // Whether it is done or refused depends on the others.
                        let _ = match turn % 6 {
                            0 => engine.disable(id),
                            1 | 3 => engine.enable(id),
                            2 => engine.reset(id),
                            4 => engine.unload(id),
                            _ => engine.load(id).map(drop),
                        };
                        let _ = engine.update("a");
                    }
                })
            })
            .collect();
        scope.spawn(|| {
            let until = Instant::now() + Duration::from_secs(120);
            while !ended.load(Ordering::SeqCst) {
                assert!(Instant::now() < until, "the commands have not ended");
                std::thread::park_timeout(Duration::from_millis(20));
            }
        });
        for command in commands {
            command.join().unwrap();
        }
        ended.store(true, Ordering::SeqCst);
        for id in ["c", "b", "a"] {
            let _ = engine.load(id);
            let _ = engine.enable(id);
        }
        for id in ["a", "b", "c"] {
            wait_for("everybody to be on", || {
                matches!(rig.state(id), PluginState::Enabled | PluginState::Running)
            });
            let updates = rig.snapshot(id).counts.updates;
            wait_for("an update", || rig.snapshot(id).counts.updates > updates);
            wait_for("a success", || rig.error(id).is_none());
        }
        engine.stop();
    });
}
