//! What the program says of plugins that require others, without running any, and while it runs them.

use std::path::Path;

use plugin_engine_tests::{Ended, built, command, ended, objects};
use serde_json::Value;
use tempfile::TempDir;

/// Runs the program in a directory: exit status, standard output, standard error.
fn run(dir: &Path, args: &[&str]) -> (i32, String, String) {
    let mut program = command();
    program.args(args).current_dir(dir).env_clear();
    let Ended { status, out, err } = ended(&mut program);
    (status, out, err)
}

/// A directory with plugin files, by crate and file name, and texts.
fn dir_with(plugins: &[(&str, &str)], texts: &[(&str, &str)]) -> TempDir {
    let dir = TempDir::new().expect("a directory can be made");
    for (name, file) in plugins {
        std::fs::copy(built(name), dir.path().join(file)).expect("a file can be copied");
    }
    for (file, text) in texts {
        std::fs::write(dir.path().join(file), text).expect("a file can be written");
    }
    dir
}

#[test]
fn inspect_shows_what_a_manifest_requires() {
    let dir = dir_with(&[("requires-noop", "p.so"), ("noop", "noop.so")], &[]);
    let (status, out, _) = run(dir.path(), &["inspect", "p.so"]);
    assert_eq!(status, 0);
    let says = "  requires     noop >= 0.1, < 1\n";
    assert!(out.contains(says), "{out}");
    let (_, out, _) = run(dir.path(), &["inspect", "noop.so"]);
    assert!(!out.contains("requires"), "{out}");
    let (_, out, _) = run(dir.path(), &["inspect", "--json", "p.so", "noop.so"]);
    let files = objects(&out);
    let requires = files
        .iter()
        .map(|file| file["manifest"]["requires"].to_string());
    assert!(requires.eq(["[\"noop >= 0.1, < 1\"]", "[]"]), "{out}");
}

#[test]
fn check_shows_a_requirement_that_is_none_in_its_line() {
    let dir = dir_with(
        &[],
        &[("a.toml", "requires = [\"clock\", \"feed => 2\"]\n")],
    );
    let (status, _, err) = run(dir.path(), &["config", "check", "a.toml"]);
    assert_eq!(status, 1);
    let shown = "\
error[PE0521]: an item of `requires` is wrong: \"feed => 2\" is no requirement: \"=> 2\" is no version requirement (unexpected character '>' while parsing major version number)
 --> a.toml:1:22
  |
1 | requires = [\"clock\", \"feed => 2\"]
  |                      ^^^^^^^^^^^
  |
  = help: write the id of a plugin and, where one is meant, a version: \"clock\", \"clock >= 1.2\", \"clock >= 1.2, < 2\"

";
    assert_eq!(err, shown, "{err}");
}

/// The problems that `config check` has with a directory of four plugins, as code, line and reason.
fn checked(dir: &TempDir) -> Vec<(String, Value, String)> {
    let args = ["config", "check", "engine.toml", "--plugins", ".", "--json"];
    let (status, out, err) = run(dir.path(), &args);
    let problems: Vec<_> = objects(&out)
        .into_iter()
        .filter(|one| one["code"].is_string())
        .map(|one| {
            let text = |key: &str| one[key].as_str().unwrap_or_default().to_owned();
            let help = one["help"].as_str().map(|help| format!("; {help}"));
            (
                text("code"),
                one["line"].clone(),
                text("reason") + &help.unwrap_or_default(),
            )
        })
        .collect();
    assert_eq!(status, i32::from(!problems.is_empty()), "{out}{err}");
    problems
}

#[test]
fn check_against_a_directory_finds_what_would_be_missing_and_cycles() {
    let plugins = [
        ("requires-noop", "p.so"),
        ("noop", "noop.so"),
        ("versioned-1-1", "versioned.so"),
        ("fails", "fails.so"),
    ];
    let with = |text: &str| dir_with(&plugins, &[("engine.toml", text)]);
    assert_eq!(checked(&with("")), []);
    for (text, code, line, says) in [
        (
            "[[plugin]]\nid = \"fails\"\nrequires = [\"noop\", \"versoined\"]\n",
            "PE0522",
            Some(3),
            "the plugin \"fails\" requires versoined, and no plugin has that id; did you mean \"versioned\"?",
        ),
        (
            "[[plugin]]\nid = \"fails\"\nrequires = [\"versioned 1.2\"]\n",
            "PE0522",
            Some(3),
            "the plugin \"fails\" requires versioned 1.2; versioned is 1.1.0",
        ),
        (
            "[[plugin]]\nid = \"noop\"\nenabled = false\n",
            "PE0522",
            None,
            "the plugin \"requires-noop\" requires noop, which is Disabled",
        ),
        (
            "[[plugin]]\nid = \"requires-noop\"\nenabled = false\nrequires = [\"nobody\"]\n",
            "",
            None,
            "",
        ),
    ] {
        let problems = checked(&with(text));
        let wanted = (code.to_owned(), Value::from(line), says.to_owned());
        let wanted: Vec<_> = (!code.is_empty()).then_some(wanted).into_iter().collect();
        assert_eq!(problems, wanted, "{text}");
    }
    let cycle = "[[plugin]]\nid = \"noop\"\nrequires = [\"versioned\", \"requires-noop\"]\n";
    let problems = checked(&with(cycle));
    let reasons: Vec<_> = problems
        .iter()
        .map(|(code, line, reason)| format!("{code} {line} {reason}"))
        .collect();
    assert_eq!(
        reasons,
        [
            "PE0523 3 the plugin \"noop\" requires itself in the end: noop requires requires-noop requires noop",
            "PE0523 null the plugin \"requires-noop\" requires itself in the end: requires-noop requires noop requires requires-noop",
        ]
    );
}

#[test]
fn show_says_what_is_required_and_by_whom() {
    let texts = [
        ("p.toml", "requires = [\"versioned >= 1\"]\n"),
        (
            "engine.toml",
            "[[plugin]]\nid = \"requires-noop\"\nrequires = [\"noop <0.9\", \"versioned\"]\n",
        ),
    ];
    let plugins = [
        ("requires-noop", "p.so"),
        ("noop", "noop.so"),
        ("versioned-1-1", "v.so"),
    ];
    let dir = dir_with(&plugins, &texts);
    let args = [
        "config",
        "show",
        "--effective",
        "--plugins",
        ".",
        "--config",
        "engine.toml",
    ];
    let (status, out, err) = run(dir.path(), &args);
    assert_eq!((status, err.as_str()), (0, ""));
    let lines: Vec<_> = out
        .lines()
        .filter(|line| line.contains(" requires "))
        .collect();
    let words: Vec<String> = lines
        .iter()
        .map(|line| line.split_whitespace().collect::<Vec<_>>().join(" "))
        .collect();
    assert_eq!(
        words,
        [
            "noop requires [] default",
            "requires-noop requires [\"noop >= 0.1, < 1\"] manifest",
            "requires-noop requires [\"versioned >= 1\"] ./p.toml:1",
            "requires-noop requires [\"noop <0.9\", \"versioned\"] engine.toml:3",
            "versioned requires [] default",
        ]
    );
}

#[test]
fn a_run_says_why_a_plugin_was_not_started_and_goes_on_with_the_others() {
    let dir = dir_with(&[("requires-noop", "p.so"), ("versioned-1-1", "v.so")], &[]);
    let (_, out, err) = run(dir.path(), &["run", "--plugins", ".", "--cycles", "1"]);
    let says = "requires-noop: not started, from ./p.so: requires noop >= 0.1, < 1, and no plugin has that id [PE0522]";
    assert!(format!("{out}{err}").contains(says), "{out}{err}");
    assert!(out.contains("versioned"), "{out}");
    let (status, out, _) = run(dir.path(), &["explain", "PE0522"]);
    assert!(
        status == 0 && out.contains("something that the plugin requires is not there"),
        "{out}"
    );
}
