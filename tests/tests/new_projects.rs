//! `plugin-engine new`: what it writes is built and tested by Cargo without a network, and the plugin file runs in an engine.

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};

use plugin_engine_tests::{Rig, command, ended, objects, target_dir};
use serde_json::Value;
use tempfile::TempDir;

/// The root of this repository, where plugin-api is taken from.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn new(parent: &Path, args: &[&str]) -> Value {
    let ran = ended(
        command()
            .current_dir(parent)
            .arg("new")
            .args(args)
            .arg("--api-path")
            .arg(repository())
            .arg("--json"),
    );
    assert_eq!((ran.status, &*ran.err), (0, ""), "{ran:?}");
    objects(&ran.out).remove(0)
}

/// Cargo in the project, with what the tests have built already.
fn cargo(dir: &Path, args: &[&str]) {
    let target_dir = target_dir();
    let target_dir = target_dir
        .parent()
        .expect("a profile lies in a target directory");
    let output = Command::new(env!("CARGO"))
        .current_dir(dir)
        // As in this workspace, so that the crates that both need are built once.
        .env("CARGO_PROFILE_DEV_DEBUG", "line-tables-only")
        .env("CARGO_PROFILE_TEST_DEBUG", "line-tables-only")
        .env("CARGO_TARGET_DIR", target_dir)
        .args(args)
        .stdin(Stdio::null())
        .output()
        .expect("cargo runs");
    let (out, err) = (
        String::from_utf8_lossy(&output.stdout),
        String::from_utf8_lossy(&output.stderr),
    );
    assert!(output.status.success(), "cargo {args:?}:\n{out}\n{err}");
    assert!(!err.contains("warning"), "{err}");
    if args[0] == "test" {
        assert!(out.contains("test result: ok. 2 passed"), "{out}");
    }
}

/// Writes a project, builds and tests it, and runs its plugin in an engine: updated, shown, and reloaded from other bytes. Returns what
/// it shows.
fn runs(template: &str, event: &str) -> String {
    let parent = TempDir::new().unwrap();
    // The system knows one mapped file of a name by its name, and other tests have theirs.
    let name = format!("made-{template}");
    let written = new(parent.path(), &[&name, "--template", template]);
    assert_eq!(written["template"], template);
    let dir = parent.path().join(&name);
    for file in written["files"].as_array().unwrap() {
        assert!(dir.join(file.as_str().unwrap()).is_file(), "{file}");
    }
    cargo(&dir, &["fmt", "--check"]);
    cargo(&dir, &["test", "--offline"]);
    cargo(&dir, &["build", "--offline"]);
    let file = format!("libmade_{template}.so");
    let built = target_dir().with_file_name("debug").join(&file);

    let rig = Rig::new();
    let dropped = rig.dir().join(&file);
    std::fs::copy(&built, &dropped).unwrap();
    rig.load();
    let events = rig.engine.subscribe(&format!("plugin.{name}.*"));
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let mut bytes = std::fs::read(&built).unwrap();
    bytes.push(0);
    std::fs::write(&dropped, bytes).unwrap();
    rig.engine.reload(&name).unwrap();
    assert_eq!(rig.snapshot(&name).generation, 2);
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let topic = format!("plugin.{name}.{event}");
    let mut events = std::iter::from_fn(|| events.try_next());
    assert!(event.is_empty() || events.any(|event| *event.topic == *topic));
    let shown = rig.engine.display(&name).unwrap();
    let shown = shown.as_text().unwrap_or_default().to_owned();
    rig.engine.unload(&name).unwrap();
    shown
}

#[test]
fn a_project_of_the_template_minimal_is_built_tested_and_run() {
    assert_eq!(runs("minimal", "updates"), "");
}

#[test]
fn a_project_of_the_template_display_is_built_tested_and_run() {
    // The trial update of the reload, and the one after it.
    assert_eq!(runs("display", "").lines().count(), 2);
}

#[test]
fn a_project_of_the_template_stateful_is_built_tested_and_run() {
    assert_eq!(runs("stateful", "count"), "");
}

#[test]
fn a_project_of_the_template_async_is_built_tested_and_run() {
    assert_eq!(runs("async", "measured"), "");
}

#[test]
fn a_project_of_a_release_says_that_there_is_none_yet() {
    let parent = TempDir::new().unwrap();
    let ran = ended(
        command()
            .current_dir(parent.path())
            .args(["new", "weather"]),
    );
    assert_eq!(ran.status, 0, "{ran:?}");
    assert!(
        ran.err.contains("plugin-api is not published yet"),
        "{ran:?}"
    );
    assert!(ran.out.contains("cargo test"), "{ran:?}");
    let manifest = std::fs::read_to_string(parent.path().join("weather/Cargo.toml")).unwrap();
    let version = env!("CARGO_PKG_VERSION");
    let line = format!("plugin-api = {{ version = \"{version}\", features = [\"schema\"] }}");
    assert!(manifest.contains(&line), "{manifest}");
    let readme = std::fs::read_to_string(parent.path().join("weather/README.md")).unwrap();
    assert!(readme.contains("not published yet"), "{readme}");
}

#[test]
fn what_cannot_be_written_is_refused_with_a_code_and_leaves_nothing() {
    let parent = TempDir::new().unwrap();
    std::fs::write(parent.path().join("taken"), "").unwrap();
    for (args, code, says) in [
        (&["Weather"][..], "PE0801", "did you mean \"weather\"?"),
        (&["a/b"], "PE0801", "--in"),
        (&["taken"], "PE0802", "taken is there already"),
        (
            &["weather", "--in", "absent"],
            "PE0803",
            "absent/weather cannot be written",
        ),
        (
            &["weather", "--api-path", "."],
            "PE0804",
            "holds no plugin-api",
        ),
    ] {
        let ran = ended(command().current_dir(parent.path()).arg("new").args(args));
        assert_eq!((ran.status, &*ran.out), (1, ""), "{ran:?}");
        assert!(ran.err.contains(says) && ran.err.contains(code), "{ran:?}");
    }
    let ran = ended(command().args(["new", "weather", "--template", "huge"]));
    assert_eq!(ran.status, 2, "{ran:?}");
    assert!(
        ran.err.contains("minimal, display, async, stateful"),
        "{ran:?}"
    );
    assert_eq!(std::fs::read_dir(parent.path()).unwrap().count(), 1);
}
