//! The program while the directory changes under it: what it does by itself, and what it does at SIGHUP.

use std::fs::{self, File};
use std::path::PathBuf;

use plugin_engine_tests::{Running, built, command, wait_for};
use rustix::process::Signal;
use serde_json::Value;
use tempfile::TempDir;

/// A program over a directory of its own, with changes that count soon, and what it writes on standard error in a file.
struct Run {
    running: Running,
    dir: TempDir,
}

impl Run {
    fn start(files: &[&str], args: &[&str]) -> Self {
        let dir = TempDir::new().unwrap();
        fs::create_dir(dir.path().join("plugins.d")).unwrap();
        let config = "[engine]\nwatch_settle = \"20ms\"\nwatch_grace = \"20ms\"\n";
        fs::write(dir.path().join("engine.toml"), config).unwrap();
        let errors = File::create(dir.path().join("errors")).unwrap();
        let place = |name: &str| dir.path().join("plugins.d").join(format!("{name}.so"));
        for name in files {
            fs::copy(built(name), place(name)).unwrap();
        }
        let mut command = command();
        command
            .args(["run", "--plugins"])
            .arg(dir.path().join("plugins.d"))
            .arg("--config")
            .arg(dir.path().join("engine.toml"))
            .args(args)
            .stderr(errors);
        Self {
            running: Running::start(&mut command),
            dir,
        }
    }

    fn path(&self, name: &str) -> PathBuf {
        self.dir.path().join("plugins.d").join(name)
    }

    /// Puts a file in its place as a whole: on a busy machine a copy may pause for longer than a file has to be at rest.
    fn copy(&self, name: &str, file: &str) {
        let unfinished = self.path(&format!(".{file}"));
        fs::copy(built(name), &unfinished).unwrap();
        fs::rename(unfinished, self.path(file)).unwrap();
    }

    fn errors(&self) -> String {
        fs::read_to_string(self.dir.path().join("errors")).unwrap()
    }

    fn await_error(&self, text: &str) {
        wait_for(text, || self.errors().contains(text));
    }

    /// Stops it and returns its exit status, its output, and its errors.
    fn stop(self) -> (Option<i32>, String, String) {
        self.running.signal(Signal::TERM);
        let (status, out, _) = self.running.end();
        let errors = fs::read_to_string(self.dir.path().join("errors")).unwrap();
        (status, out, errors)
    }
}

#[test]
fn files_that_are_dropped_in_replaced_and_removed_are_told_in_a_line_each() {
    let mut run = Run::start(&["clock"], &[]);
    run.running.await_line("clock: enabled");
    run.copy("noop", "noop.so");
    run.running.await_line("noop: enabled, version ");
    run.copy("same-id", "noop.so");
    run.running.await_line("noop: reloaded");
    fs::remove_file(run.path("noop.so")).unwrap();
    run.running.await_line("noop: unloaded");
    fs::write(run.path("bad.so"), "no library").unwrap();
    run.await_error("bad.so");
    let (status, _, errors) = run.stop();
    assert_eq!(status, Some(0));
    assert_eq!(errors.lines().count(), 1, "{errors}");
}

#[test]
fn an_empty_directory_is_waited_at_and_says_so() {
    let mut run = Run::start(&[], &[]);
    run.await_error("; waiting for one");
    wait_for("the watch", || {
        run.running.threads().contains(&"plugin-watch".to_owned())
    });
    run.copy("noop", "noop.so");
    run.running.await_line("noop: enabled");
    assert_eq!(run.stop().0, Some(0));
}

#[test]
fn as_json_a_change_is_its_transitions() {
    let mut run = Run::start(&["noop"], &["--json"]);
    run.running.await_line("\"created\"");
    fs::remove_file(run.path("noop.so")).unwrap();
    run.running.await_line("file_removed");
    let (_, out, _) = run.stop();
    let removed = out.lines().map(|line| serde_json::from_str(line).unwrap());
    let mut removed = removed.filter(|line: &Value| line["cause"] == "file_removed");
    let removed = removed.next().expect("a transition");
    assert_eq!(
        (&removed["id"], &removed["from"], &removed["to"]),
        (&"noop".into(), &"Enabled".into(), &"Unloaded".into())
    );
}

#[test]
fn without_a_watch_a_hangup_reads_everything_again() {
    let mut run = Run::start(&["clock"], &["--no-watch"]);
    run.running.await_line("clock: enabled");
    run.copy("noop", "noop.so");
    fs::write(run.path("bad.so"), "no library").unwrap();
    run.running.signal(Signal::HUP);
    run.running.await_line("noop: enabled");
    run.await_error("bad.so");
    fs::write(run.dir.path().join("engine.toml"), "no toml").unwrap();
    run.running.signal(Signal::HUP);
    run.await_error("engine.toml");
    // Nobody looks unless told to.
    let threads = run.running.threads();
    assert!(!threads.contains(&"plugin-watch".to_owned()), "{threads:?}");
    assert_eq!(run.stop().0, Some(0));
}

#[test]
fn a_hangup_of_a_directory_that_is_gone_is_told_and_changes_nothing() {
    let mut run = Run::start(&["clock"], &["--no-watch"]);
    run.running.await_line("clock: enabled");
    fs::rename(
        run.dir.path().join("plugins.d"),
        run.dir.path().join("away"),
    )
    .unwrap();
    run.running.signal(Signal::HUP);
    run.await_error("PE0408");
    let (status, out, _) = run.stop();
    assert_eq!(status, Some(0));
    assert!(
        out.contains("clock  Enabled") || out.contains("clock"),
        "{out}"
    );
}
