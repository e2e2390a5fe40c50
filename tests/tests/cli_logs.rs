//! What the program writes on standard error when it is to be read by programs.

use std::path::Path;

use plugin_engine_tests::{Ended, built, command, ended, objects};
use serde_json::Value;
use tempfile::TempDir;

/// A directory with a plugin that logs, one that panics, one that is misconfigured, and a file that is none.
fn plugins() -> TempDir {
    let dir = TempDir::new().unwrap();
    let write = |name: &str, text: &str| std::fs::write(dir.path().join(name), text).unwrap();
    for (fixture, id) in [
        ("counter", "counter"),
        ("panics", "panics"),
        ("noop", "wrong"),
    ] {
        std::fs::copy(built(fixture), dir.path().join(format!("{id}.so"))).unwrap();
    }
    write("panics.toml", "interval = \"1ms\"\n[settings]\nevery = 1\n");
    write("wrong.toml", "intervall = \"1s\"\n");
    write("none.so", "no library at all\n");
    dir
}

fn run(dir: &Path, more: impl FnOnce(&mut std::process::Command)) -> Ended {
    let mut command = command();
    command.args(["run", "--cycles", "3", "--plugins"]).arg(dir);
    more(&mut command);
    ended(&mut command)
}

/// The objects of a log, each of which has what every line has.
fn lines(log: &str) -> Vec<Value> {
    let lines = objects(log);
    for line in &lines {
        let time = line["timestamp"].as_str().unwrap();
        humantime::parse_rfc3339(time).unwrap();
        let level = line["level"].as_str().unwrap();
        assert!(
            ["ERROR", "WARN", "INFO", "DEBUG", "TRACE"].contains(&level),
            "{line}"
        );
        assert!(
            line["message"].is_string() && line["target"].is_string(),
            "{line}"
        );
    }
    lines
}

fn find<'a>(lines: &'a [Value], key: &str, says: &str) -> &'a Value {
    let found = lines
        .iter()
        .find(|line| line[key].as_str().is_some_and(|text| text.contains(says)));
    found.unwrap_or_else(|| panic!("{key} with {says}: {lines:#?}"))
}

#[test]
fn every_line_of_a_log_for_programs_is_an_object() {
    let dir = plugins();
    let Ended { status, err, .. } = run(dir.path(), |command| {
        command
            .args(["--json", "--log-format", "json"])
            .env("RUST_LOG", "debug");
    });
    assert_eq!(status, 0, "{err}");
    let lines = lines(&err);
    let refused = find(&lines, "message", "none.so");
    assert!(
        refused["message"].as_str().unwrap().contains("[PE0"),
        "{refused}"
    );
    let problem = find(&lines, "file", "wrong.toml");
    assert_eq!(
        (&problem["line"], &problem["column"]),
        (&Value::from(1), &Value::from(1))
    );
    assert!(
        problem["code"].as_str().unwrap().starts_with("PE0"),
        "{problem}"
    );
    assert!(
        problem["message"].as_str().unwrap().contains("`intervall`"),
        "{problem}"
    );
    let panicked = find(&lines, "cause", "update_panicked");
    assert_eq!(panicked["plugin"], "panics");
}

#[test]
fn the_environment_asks_for_objects_as_well_and_the_command_line_comes_first() {
    let dir = plugins();
    let objects_asked = run(dir.path(), |command| {
        command.env("PLUGIN_ENGINE_LOG_FORMAT", "json");
    });
    assert!(!lines(&objects_asked.err).is_empty());
    let text_asked = run(dir.path(), |command| {
        command
            .args(["--log-format", "text"])
            .env("PLUGIN_ENGINE_LOG_FORMAT", "json");
    });
    assert!(
        text_asked.err.contains("plugin-engine: "),
        "{}",
        text_asked.err
    );
}

#[test]
fn a_run_that_cannot_begin_and_a_filter_that_is_none_are_objects_too() {
    let run = run(Path::new("/nonexistent/plugins"), |command| {
        command
            .args(["--log-format", "json"])
            .env("RUST_LOG", "a=b=c");
    });
    assert_eq!(run.status, 1);
    let lines = lines(&run.err);
    assert_eq!(find(&lines, "message", "RUST_LOG")["level"], "WARN");
    let why = find(&lines, "message", "cannot read the plugin directory");
    assert_eq!(why["level"], "ERROR");
}

#[test]
fn a_format_that_is_none_is_refused_with_those_that_are() {
    let run = run(Path::new("."), |command| {
        command.args(["--log-format", "xml"]);
    });
    assert_eq!(run.status, 2);
    assert!(
        run.err.contains("text") && run.err.contains("json"),
        "{}",
        run.err
    );
}
