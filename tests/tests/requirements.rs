//! Plugins that require others: in which order they start and stop, and what they say while something is missing.

use std::time::Duration;

use plugin_engine::{CallKind, Cause, FaultKind, LoadOutcome, PluginState, Unmet};
use plugin_engine_tests::{Gate, Rig, built, on_line, patched, wait_for};

/// What a configuration says of what is required.
fn requires(required: &[&str]) -> String {
    format!("requires = {required:?}\n")
}

/// A rig with plain plugins, each with what it requires.
fn rig_of(plugins: &[(&str, &[&str])]) -> Rig {
    let rig = Rig::new();
    for (id, required) in plugins {
        rig.drop_as("noop", id, &requires(required));
    }
    rig
}

/// The number of the only entry with this cause.
fn seq(rig: &Rig, id: &str, cause: Cause) -> u64 {
    let entries: Vec<_> = rig.engine.history(id).cause(cause).into_iter().collect();
    assert_eq!(entries.len(), 1, "{id}: {entries:#?}");
    entries[0].seq
}

/// Why a plugin was not started, as its outcome has it.
fn unmet(outcomes: &[LoadOutcome], wanted: &str) -> (String, String) {
    let mut found = outcomes.iter().filter_map(|outcome| match outcome {
        LoadOutcome::Unmet { id, unmet, .. } if *id == wanted => {
            assert!(!outcome.is_good());
            let code = outcome.code().expect("a code");
            assert!(outcome.to_string().ends_with(&format!("{unmet} [{code}]")));
            Some((code.to_string(), unmet.to_string()))
        }
        _ => None,
    });
    let first = found.next();
    first.unwrap_or_else(|| panic!("{wanted}: {outcomes:#?}"))
}

/// That a plugin is held back with this reason, and that nobody has called it.
#[track_caller]
fn assert_held_back(rig: &Rig, id: &str, code: &str, says: &str) {
    let snapshot = rig.snapshot(id);
    let error = snapshot.error.as_ref().expect("an error");
    assert_eq!(snapshot.state, PluginState::Error);
    assert_eq!(error.kind, FaultKind::Requirement);
    assert_eq!(*error.message, format!("{says} [{code}]"));
    assert_eq!(&*error.type_name, code);
    assert_eq!(snapshot.counts.calls, 0);
}

#[test]
fn plugins_are_created_after_those_that_they_require_whatever_their_files_are_called() {
    let rig = rig_of(&[
        ("a", &["b >= 0.1", "c"]),
        ("b", &["c", "d"]),
        ("c", &["d 0.1"]),
        ("d", &[]),
    ]);
    rig.load();
    let created = ["d", "c", "b", "a"].map(|id| seq(&rig, id, Cause::Created));
    assert!(created.is_sorted(), "{created:?}");
    assert_eq!(rig.engine.run_cycle().completed, 4);
}

#[test]
fn a_manifest_says_what_is_required_and_a_configuration_adds_to_it() {
    let rig = Rig::new();
    rig.drop_as("requires-noop", "p", "");
    let says = "requires noop >= 0.1, < 1, and no plugin has that id";
    assert_eq!(unmet(&rig.load_any(), "p").1, says);
    rig.drop_in("noop");
    rig.load();
    wait_for("the start", || rig.state("p") == PluginState::Enabled);

    let rig = Rig::new();
    rig.drop_as("requires-noop", "p", &requires(&["clock"]));
    rig.drop_in("noop");
    let says = "requires clock, and no plugin has that id";
    assert_eq!(unmet(&rig.load_any(), "p").1, says);
}

#[test]
fn a_file_whose_requirements_are_none_is_refused() {
    let rig = Rig::new();
    let file = rig.dir().join("p.so");
    patched(
        "requires-noop",
        "noop >= 0.1, < 1",
        "noop => 0.1, < 1",
        &file,
    );
    let outcomes = rig.load_any();
    assert_eq!(outcomes.len(), 1);
    let said = outcomes[0].to_string();
    assert!(
        said.contains("\"noop => 0.1, < 1\" is no requirement"),
        "{said}"
    );
}

#[test]
fn what_is_missing_is_said_in_words_and_nobody_is_called() {
    let refused = "requires clock, which is Error";
    for (clock, config, required, says) in [
        (
            None,
            "",
            "clock",
            "requires clock, and no plugin has that id",
        ),
        (
            Some("versioned-1-1"),
            "",
            "clock >= 1.2",
            "requires clock >= 1.2; clock is 1.1.0",
        ),
        (
            Some("versioned-1-1"),
            "",
            "clock < 1.1",
            "requires clock < 1.1; clock is 1.1.0",
        ),
        (
            Some("noop"),
            "enabled = false\n",
            "clock",
            "requires clock, which is Disabled",
        ),
        (Some("fails-in-create"), "", "clock", refused),
        // A requirement of a version that nobody can know is not the first thing that is wrong.
        (Some("fails-in-create"), "", "clock >= 0.1", refused),
    ] {
        let rig = Rig::new();
        rig.drop_as("noop", "a", &requires(&[required]));
        rig.drop_as("noop", "z", &requires(&["a"]));
        if let Some(clock) = clock {
            rig.drop_as(clock, "clock", config);
        }
        let outcomes = rig.load_any();
        let told = unmet(&outcomes, "a");
        assert_eq!(told, ("PE0522".to_owned(), says.to_owned()));
        assert_held_back(&rig, "a", "PE0522", says);
        assert_eq!(rig.causes("a"), [Cause::Mapped, Cause::RequirementUnmet]);
        // What requires it says so of it.
        unmet(&outcomes, "z");
        assert_held_back(&rig, "z", "PE0522", "requires a, which is Error");
    }
}

#[test]
fn a_file_that_was_refused_is_named_by_what_requires_it() {
    let rig = Rig::new();
    rig.drop_as("noop", "a", &requires(&["noop"]));
    patched(
        "noop",
        "panic=unwind",
        "panic=unwint",
        &rig.dir().join("noop.so"),
    );
    let says = "requires noop, which is Error";
    assert_eq!(unmet(&rig.load_any(), "a").1, says);
}

#[test]
fn a_cycle_is_named_whole_by_everybody_on_it() {
    let rig = rig_of(&[
        ("a", &["b"]),
        ("b", &["c"]),
        ("c", &["a"]),
        ("d", &["c"]),
        ("e", &[]),
    ]);
    let outcomes = rig.load_any();
    for (id, says) in [
        (
            "a",
            "requires itself in the end: a requires b requires c requires a",
        ),
        (
            "b",
            "requires itself in the end: b requires c requires a requires b",
        ),
        (
            "c",
            "requires itself in the end: c requires a requires b requires c",
        ),
    ] {
        assert_eq!(unmet(&outcomes, id), ("PE0523".to_owned(), says.to_owned()));
        assert_held_back(&rig, id, "PE0523", says);
    }
    assert_held_back(&rig, "d", "PE0522", "requires c, which is Error");
    assert_eq!(rig.state("e"), PluginState::Enabled);
}

#[test]
fn a_plugin_that_becomes_what_it_requires_itself_is_a_cycle_of_one() {
    let rig = Rig::new();
    rig.drop_as("requires-noop", "noop", "");
    let says = "requires itself in the end: noop requires noop";
    assert_eq!(unmet(&rig.load_any(), "noop").1, says);
}

#[test]
fn a_cycle_ends_when_a_plugin_on_it_is_loaded_without_its_requirement() {
    let rig = rig_of(&[("a", &["b"]), ("b", &["a"])]);
    unmet(&rig.load_any(), "a");
    rig.engine.unload("b").unwrap();
    wait_for("another reason", || {
        rig.error("a")
            .is_some_and(|error| error.contains("which is Unloaded"))
    });
    std::fs::write(rig.dir().join("b.toml"), "id = \"b\"\n").unwrap();
    assert!(rig.engine.load("b").unwrap().is_good());
    wait_for("the start", || rig.state("a") == PluginState::Enabled);
    assert_eq!(rig.causes("a").last(), Some(&Cause::RequirementMet));
}

#[test]
fn a_circle_that_is_no_more_is_said_by_nobody_on_it() {
    let rig = rig_of(&[("a", &["c"]), ("b", &["a"]), ("c", &["b"])]);
    unmet(&rig.load_any(), "a");
    rig.engine.disable("c").unwrap();
    assert!(rig.error("a").unwrap().contains("requires itself"));
    // Nobody that requires it is held back, and it is the reason of one that does not require it.
    rig.engine.unload("b").unwrap();
    wait_for("another reason", || {
        rig.error("a")
            .is_some_and(|error| error.contains("requires c, which is Disabled"))
    });
}

#[test]
fn a_plugin_that_waits_holds_up_no_other() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "clock", &gate.settings("in_call = \"create\""));
    rig.drop_as("noop", "a", &requires(&["clock"]));
    rig.drop_as("noop", "b", "");
    rig.drop_as("noop", "c", &requires(&["b"]));
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| rig.load());
        gate.await_entry(1);
        wait_for("the others", || {
            ["b", "c"]
                .iter()
                .all(|id| rig.state(id) == PluginState::Enabled)
        });
        assert_eq!(rig.state("a"), PluginState::Loaded);
        assert_eq!(rig.snapshot("a").counts.calls, 0);
        gate.open_all();
        loaded.join().unwrap();
    });
    assert!(seq(&rig, "clock", Cause::Created) < seq(&rig, "a", Cause::Created));
}

#[test]
fn what_was_not_waited_for_starts_by_itself_and_what_requires_it_after_it() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    rig.drop_as("gated", "clock", &gate.settings("in_call = \"create\""));
    rig.drop_as("noop", "a", &requires(&["b"]));
    rig.drop_as("noop", "b", &requires(&["clock"]));
    let outcomes = rig.load_any();
    let deferred = |outcome: &LoadOutcome| matches!(outcome, LoadOutcome::Deferred { .. });
    assert!(
        outcomes.len() == 3 && outcomes.iter().all(deferred),
        "{outcomes:?}"
    );
    gate.open_all();
    wait_for("the last", || rig.state("a") == PluginState::Enabled);
    let created = ["clock", "b", "a"].map(|id| seq(&rig, id, Cause::Created));
    assert!(created.is_sorted(), "{created:?}");
}

#[test]
fn a_create_that_fails_late_is_the_reason_of_all_that_wait_for_it() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    let settings = gate.settings("in_call = \"create\"\nthen = \"fail\"");
    rig.drop_as("gated", "clock", &settings);
    rig.drop_as("noop", "a", &requires(&["b"]));
    rig.drop_as("noop", "b", &requires(&["clock"]));
    let _ = rig.load_any();
    gate.open_all();
    wait_for("the last", || rig.state("a") == PluginState::Error);
    assert_held_back(&rig, "b", "PE0522", "requires clock, which is Error");
    assert_held_back(&rig, "a", "PE0522", "requires b, which is Error");
}

#[test]
fn whichever_way_it_comes_what_waited_for_it_starts_by_itself_and_what_waits_for_that() {
    type Come = fn(&Rig);
    let ways: [(&str, &str, Come); 4] = [
        ("", "", |rig| {
            rig.drop_as("noop", "clock", "");
            rig.load();
        }),
        ("noop", "enabled = false\n", |rig| {
            rig.engine.enable("clock").unwrap()
        }),
        ("noop", "enabled = false\n", |rig| {
            rig.engine.reset("clock").unwrap()
        }),
        ("versioned-1-1", "", |rig| {
            rig.engine.unload("clock").unwrap();
            let older = built("versioned-0-9");
            std::fs::copy(older, rig.dir().join("clock.so")).unwrap();
            assert!(rig.engine.load("clock").unwrap().is_good());
        }),
    ];
    for (clock, config, come) in ways {
        let rig = Rig::new();
        rig.drop_as("noop", "a", &requires(&["b"]));
        rig.drop_as("noop", "b", &requires(&["clock < 1"]));
        if !clock.is_empty() {
            rig.drop_as(clock, "clock", config);
        }
        let outcomes = rig.load_any();
        for id in ["a", "b"] {
            unmet(&outcomes, id);
        }
        come(&rig);
        wait_for("the last", || rig.state("a") == PluginState::Enabled);
        for id in ["a", "b"] {
            assert_eq!(rig.error(id), None);
            assert_eq!(rig.causes(id).last(), Some(&Cause::RequirementMet));
        }
        assert!(seq(&rig, "b", Cause::RequirementMet) < seq(&rig, "a", Cause::RequirementMet));
        rig.advance(1_000);
        assert_eq!(rig.engine.run_cycle().completed, 3);
    }
}

#[test]
fn another_reason_replaces_the_one_before_and_the_same_is_not_said_again() {
    let rig = rig_of(&[("a", &["clock"])]);
    unmet(&rig.load_any(), "a");
    rig.drop_as("noop", "clock", "enabled = false\n");
    rig.load();
    wait_for("another reason", || {
        rig.error("a")
            .is_some_and(|error| error.contains("Disabled"))
    });
    rig.engine.unload("clock").unwrap();
    wait_for("another reason", || {
        rig.error("a")
            .is_some_and(|error| error.contains("Unloaded"))
    });
    let said = rig.engine.history("a").cause(Cause::RequirementUnmet);
    assert_eq!(said.into_iter().count(), 3);
}

#[test]
fn a_plugin_that_failed_for_another_reason_is_not_brought_back() {
    let rig = Rig::new();
    rig.drop_as("fails-in-create", "a", &requires(&["clock"]));
    rig.drop_as("noop", "b", &requires(&["clock"]));
    rig.drop_as("noop", "c", &requires(&["clock", "nobody"]));
    rig.drop_as("noop", "clock", "");
    let _ = rig.load_any();
    rig.engine.disable("clock").unwrap();
    // Judged together with it.
    wait_for("another reason", || {
        rig.error("c")
            .is_some_and(|error| error.contains("Disabled"))
    });
    assert_eq!(rig.causes("a").last(), Some(&Cause::CreateFailed));
    rig.engine.disable("b").unwrap();
    rig.engine.enable("b").unwrap_err();
    rig.engine.enable("clock").unwrap();
    wait_for("the other", || rig.state("b") == PluginState::Enabled);
    assert_eq!(rig.snapshot("a").counts.calls, 1);
    assert_eq!(rig.causes("a").last(), Some(&Cause::CreateFailed));
}

#[test]
fn a_plugin_that_waits_can_be_switched_off_and_its_load_says_so() {
    let (rig, gate) = (Rig::new(), Gate::new());
    rig.drop_as("gated", "clock", &gate.settings("in_call = \"create\""));
    rig.drop_as("noop", "a", &requires(&["clock"]));
    rig.drop_as("noop", "b", &requires(&["clock"]));
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| rig.load_any());
        gate.await_entry(1);
        rig.engine.disable("a").unwrap();
        rig.engine.unload("b").unwrap();
        gate.open_all();
        let outcomes = loaded.join().unwrap();
        let off = |outcome: &LoadOutcome| matches!(outcome, LoadOutcome::Disabled { id, .. } if *id == "a");
        assert!(outcomes.iter().any(off), "{outcomes:?}");
    });
    assert_eq!(rig.state("a"), PluginState::Disabled);
    assert_eq!(rig.state("b"), PluginState::Unloaded);
    for id in ["a", "b"] {
        assert_eq!(rig.snapshot(id).counts.calls, 0);
    }
}

#[test]
fn a_shutdown_answers_a_load_that_waits_for_what_is_required() {
    let gate = Gate::new();
    let rig = Rig::with(|builder| builder.startup_budget(Duration::from_millis(1)));
    rig.drop_as("gated", "clock", &gate.settings("in_call = \"create\""));
    let _ = rig.load_any();
    rig.drop_as("noop", "a", &requires(&["clock"]));
    std::thread::scope(|scope| {
        let loaded = scope.spawn(|| rig.engine.load_file(rig.dir().join("a.so")));
        wait_for("the plugin to wait", || {
            rig.state("a") == PluginState::Loaded
        });
        rig.engine.shutdown(Duration::from_millis(100)).unwrap();
        let outcomes = loaded.join().unwrap().unwrap();
        assert!(!outcomes[0].is_good(), "{outcomes:?}");
    });
    assert_eq!(rig.state("a"), PluginState::Unloaded);
    assert_eq!(rig.snapshot("a").counts.calls, 0);
}

#[test]
fn a_plugin_is_stopped_before_what_it_requires_although_that_was_started_last() {
    let (rig, gate) = (Rig::new(), Gate::new());
    let more = "in_call = \"destroy\"";
    rig.drop_as("gated", "a", &gate.settings(more));
    rig.drop_as("gated", "b", &(requires(&["a"]) + &gate.settings(more)));
    rig.drop_as("gated", "c", &gate.settings(more));
    rig.load();
    std::thread::scope(|scope| {
        let reset = scope.spawn(|| rig.engine.reset("a"));
        gate.await_entry(1);
        gate.open(1);
        reset.join().unwrap().unwrap();
        scope.spawn(|| rig.engine.shutdown(Duration::from_secs(60)));
        // By their last starts it would be a, c, b or a, b, c.
        let mut ended = Vec::new();
        for n in 2..=4 {
            gate.await_entry(n);
            let destroyed = ["a", "b", "c"].into_iter().filter(|id| {
                let call = rig.snapshot(id).in_flight.map(|call| call.call);
                call == Some(CallKind::Destroy)
            });
            ended.extend(destroyed);
            assert!(!gate.has_entered(n + 1));
            gate.open(n);
        }
        let place = |id: &str| ended.iter().position(|one| *one == id);
        assert_eq!(ended.len(), 3, "{ended:?}");
        assert!(place("b") < place("a"), "{ended:?}");
    });
}

#[test]
fn somebody_who_listens_may_load_what_waits_for_others() {
    let rig = rig_of(&[("held", &["clock"]), ("clock", &[])]);
    let dir = rig.dir().to_owned();
    // Not in this load.
    std::fs::rename(dir.join("clock.so"), dir.join("clock.so.later")).unwrap();
    let engine = rig.engine.clone();
    on_line("held", move |line| {
        let cause = line.fields.get("cause");
        if cause.is_some_and(|cause| cause == "requirement_unmet") {
            std::fs::rename(dir.join("clock.so.later"), dir.join("clock.so")).unwrap();
            std::fs::copy(built("requires-noop"), dir.join("late.so")).unwrap();
            let config = "requires = [\"clock\"]\n";
            std::fs::write(dir.join("late.toml"), config).unwrap();
            engine.load_file(dir.join("clock.so")).unwrap();
            engine.load_file(dir.join("late.so")).unwrap();
        }
    });
    let _ = rig.load_any();
    wait_for("the start", || rig.state("held") == PluginState::Enabled);
    wait_for("the other answer", || {
        rig.error("requires-noop")
            .is_some_and(|error| error.contains("no plugin has that id"))
    });
}

#[test]
fn the_reason_can_be_matched_on() {
    let rig = rig_of(&[("a", &["clock >= 1.2"])]);
    let outcomes = rig.load_any();
    let LoadOutcome::Unmet { unmet, .. } = &outcomes[0] else {
        panic!("{outcomes:?}");
    };
    assert!(matches!(&**unmet, Unmet::Absent { requirement } if requirement.id() == "clock"));
}
