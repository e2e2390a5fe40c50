//! Reloads of plugins that require others, and of those that are required.

use plugin_engine::{Cause, Code, Error, FaultKind, LoadOutcome, PluginState};
use plugin_engine_tests::{Rig, built, wait_for};

/// Puts the plugin file of a crate in the place of a plugin's.
fn replace(rig: &Rig, id: &str, name: &str) {
    std::fs::copy(built(name), rig.dir().join(format!("{id}.so"))).unwrap();
}

/// Says something else of a plugin.
fn say(rig: &Rig, id: &str, config: &str) {
    let config = format!("id = \"{id}\"\n{config}");
    std::fs::write(rig.dir().join(format!("{id}.toml")), config).unwrap();
}

/// Makes a cycle at the next tick: how many completed, and how many were skipped.
fn tick(rig: &Rig) -> (usize, usize) {
    rig.advance(1_000);
    let report = rig.engine.run_cycle();
    (report.completed, report.skipped)
}

#[test]
fn a_reload_to_a_version_that_does_not_fit_stops_the_calls_and_one_that_fits_brings_them_back() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "requires = [\"clock < 1\"]\n");
    rig.drop_as("versioned-0-9", "clock", "allow_downgrade = true\n");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 2);
    replace(&rig, "clock", "versioned-1-1");
    rig.engine.reload("clock").unwrap();
    assert_eq!(tick(&rig), (1, 1));
    let said = rig.error("report").unwrap();
    assert!(
        said.contains("requires clock < 1; clock is 1.1.0"),
        "{said}"
    );
    replace(&rig, "clock", "versioned-0-9");
    rig.engine.reload("clock").unwrap();
    assert_eq!(tick(&rig), (2, 0));
    assert_eq!(rig.error("report"), None);
}

#[test]
fn a_reload_to_a_version_that_fits_starts_what_was_held_back() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "requires = [\"clock >= 1\"]\n");
    rig.drop_as("versioned-0-9", "clock", "");
    let _ = rig.load_any();
    assert_eq!(rig.state("report"), PluginState::Error);
    replace(&rig, "clock", "versioned-1-1");
    rig.engine.reload("clock").unwrap();
    wait_for("the start", || rig.state("report") == PluginState::Enabled);
    assert_eq!(rig.causes("report").last(), Some(&Cause::RequirementMet));
}

#[test]
fn a_configuration_that_requires_more_or_less_is_taken_over_without_another_instance() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    say(&rig, "report", "requires = [\"clock\"]\n");
    let outcome = rig.engine.reload("report").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::Reconfigured { .. }),
        "{outcome}"
    );
    assert_eq!(tick(&rig), (0, 1));
    let said = rig.error("report").unwrap();
    assert!(
        said.contains("requires clock, and no plugin has that id"),
        "{said}"
    );
    say(&rig, "report", "");
    let outcome = rig.engine.reload("report").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::Reconfigured { .. }),
        "{outcome}"
    );
    assert_eq!(tick(&rig), (1, 0));
    let shown = rig.engine.display("report").unwrap();
    assert_eq!(shown.as_text(), Some("2"));
    let outcome = rig.engine.reload("report").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::AlreadyLoaded { .. }),
        "{outcome}"
    );
}

#[test]
fn a_plugin_that_is_held_back_starts_when_its_configuration_requires_that_no_more() {
    for less in ["", "requires = [\"noop\"]\n"] {
        let rig = Rig::new();
        rig.drop_as("noop", "report", "requires = [\"clock\", \"noop\"]\n");
        rig.drop_in("noop");
        let _ = rig.load_any();
        assert_eq!(rig.state("report"), PluginState::Error);
        say(&rig, "report", less);
        rig.engine.reload("report").unwrap();
        wait_for("the start", || rig.state("report") == PluginState::Enabled);
        assert_eq!(rig.snapshot("report").generation, 1);
    }
}

#[test]
fn a_replacement_that_requires_what_is_missing_is_refused_and_the_instance_before_goes_on() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    replace(&rig, "report", "requires-noop");
    let error = rig.engine.reload("report").unwrap_err();
    assert!(
        matches!(error, Error::ReloadRefused { kept: 1, .. }),
        "{error}"
    );
    assert_eq!(error.code(), Code::REQUIREMENT_UNMET);
    let says = "it requires noop >= 0.1, < 1, and no plugin has that id";
    assert!(error.to_string().contains(says), "{error}");
    let entry = rig.history("report").pop().unwrap();
    assert_eq!(entry.cause, Cause::ReloadRefused);
    assert_eq!(entry.error.unwrap().kind, FaultKind::Requirement);
    assert_eq!(tick(&rig), (1, 0));
    assert_eq!(rig.engine.display("report").unwrap().as_text(), Some("2"));
    rig.drop_in("noop");
    rig.load();
    let outcome = rig.engine.reload("report").unwrap();
    assert!(
        matches!(outcome, LoadOutcome::Reloaded { generation: 2, .. }),
        "{outcome}"
    );
    rig.engine.disable("noop").unwrap();
    assert_eq!(tick(&rig), (0, 1));
}

#[test]
fn a_replacement_for_a_plugin_that_failed_is_loaded_and_waits_for_what_it_requires() {
    let rig = Rig::new();
    rig.drop_as("fails-in-create", "report", "");
    let _ = rig.load_any();
    replace(&rig, "report", "requires-noop");
    let outcome = rig.engine.reload("report").unwrap();
    assert!(matches!(outcome, LoadOutcome::Unmet { .. }), "{outcome}");
    rig.drop_in("noop");
    rig.load();
    wait_for("the start", || rig.state("report") == PluginState::Enabled);
    assert_eq!(rig.snapshot("report").generation, 2);
}

#[test]
fn a_replacement_for_a_plugin_that_is_switched_off_need_not_have_what_it_requires() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "enabled = false\n");
    rig.load();
    replace(&rig, "report", "requires-noop");
    let outcome = rig.engine.reload("report").unwrap();
    assert!(matches!(outcome, LoadOutcome::Reloaded { .. }), "{outcome}");
    assert_eq!(rig.state("report"), PluginState::Disabled);
    say(&rig, "report", "enabled = true\n");
    let outcome = rig.engine.reload("report").unwrap();
    assert!(matches!(outcome, LoadOutcome::Unmet { .. }), "{outcome}");
    assert_eq!(rig.state("report"), PluginState::Error);
    rig.drop_in("noop");
    rig.load();
    wait_for("the start", || rig.state("report") == PluginState::Enabled);
}

#[test]
fn plugins_that_a_file_makes_more_of_wait_for_each_other() {
    let config = tempfile::NamedTempFile::new().unwrap();
    let write = |text: &str| std::fs::write(config.path(), text).unwrap();
    let entry =
        |id: &str, more: &str| format!("[[plugin]]\nid = \"{id}\"\nfile = \"n.so\"\n{more}\n");
    write(&entry("a", ""));
    let rig = Rig::with(|builder| builder.config_file(config.path()));
    std::fs::copy(built("noop"), rig.dir().join("n.so")).unwrap();
    rig.load();
    let more = entry("b", "requires = [\"c\"]") + &entry("c", "requires = [\"a\"]");
    write(&(entry("a", "") + &more));
    let outcomes = rig.engine.reload_file(rig.dir().join("n.so")).unwrap();
    assert_eq!(outcomes.len(), 3);
    for outcome in outcomes {
        assert!(outcome.is_good(), "{outcome}");
    }
    assert_eq!(rig.state("b"), PluginState::Enabled);
}

#[test]
fn what_a_plugin_on_probation_requires_is_not_held_against_it() {
    let rig = Rig::new();
    rig.drop_as(
        "versioned-0-9",
        "report",
        "requires = [\"noop\"]\nprobation = \"1h\"\n",
    );
    rig.drop_in("noop");
    rig.load();
    replace(&rig, "report", "versioned-1-1");
    rig.engine.reload("report").unwrap();
    for turn in 0..8 {
        // Each time another reason, so that each is an entry of its own.
        let _ = match turn % 2 {
            0 => rig.engine.disable("noop"),
            _ => rig.engine.unload("noop"),
        };
        assert_eq!(tick(&rig), (0, 1));
        if turn % 2 == 1 {
            let _ = rig.engine.load("noop");
        }
    }
    assert!(rig.snapshot("report").error.unwrap().consecutive > 3);
    let _ = rig.engine.enable("noop");
    assert_eq!(tick(&rig), (2, 0));
    assert_eq!(rig.snapshot("report").version(), Some("1.1.0"));
}

#[test]
fn a_plugin_that_requires_another_starts_when_it_is_dropped_in_beside_it() {
    let rig = Rig::new();
    rig.drop_as("noop", "clock", "");
    rig.load();
    rig.drop_as("noop", "report", "requires = [\"clock\"]\n");
    rig.engine
        .sync(|outcome| assert!(outcome.is_good(), "{outcome}"))
        .unwrap();
    assert_eq!(rig.state("report"), PluginState::Enabled);
}

#[test]
fn a_build_takes_over_that_requires_what_was_dropped_in_with_it() {
    let rig = Rig::new();
    rig.drop_as("noop", "report", "");
    rig.load();
    rig.rebuild("noop", "report");
    say(&rig, "report", "requires = [\"zebra\"]\n");
    rig.drop_as("noop", "zebra", "");
    let mut last = None;
    let sync = rig.engine.sync(|outcome| last = Some(outcome.to_string()));
    sync.unwrap();
    assert_eq!(rig.snapshot("report").generation, 2);
    assert!(last.unwrap().starts_with("report: reloaded"));
}
