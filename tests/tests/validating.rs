//! `plugin-engine validate` over every plugin file that there is: it names the sin of each fixture, and passes each plugin.

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::Mutex;

use plugin_engine_tests::{
    Ended, Server, build_in_c, build_in_cpp, built, command, crates_of, ended, objects,
};
use serde_json::Value;
use tempfile::TempDir;

/// What is found in one file, validated in one way.
struct Row {
    name: String,
    file: PathBuf,
    args: Vec<String>,
    /// Set in the environment.
    variable: Option<(&'static str, &'static str)>,
    result: &'static str,
    /// The checks that have something to say: which, how bad, and what it says.
    found: &'static [(&'static str, &'static str, &'static str)],
    /// What a check says that has passed.
    says: Option<(&'static str, &'static str)>,
}

fn row(
    name: &str,
    args: &[&str],
    found: &'static [(&'static str, &'static str, &'static str)],
) -> Row {
    let has = |verdict| found.iter().any(|(_, one, _)| *one == verdict);
    Row {
        name: name.to_owned(),
        file: built(name),
        args: args.iter().map(|arg| (*arg).to_owned()).collect(),
        variable: None,
        result: if has("failed") {
            "failed"
        } else if has("skipped") {
            "incomplete"
        } else {
            "passed"
        },
        found,
        says: None,
    }
}

fn settings(name: &str, settings: &str) -> Row {
    row(name, &["--settings", settings], &[])
}

impl Row {
    fn found(self, found: &'static [(&'static str, &'static str, &'static str)]) -> Self {
        let Row { args, file, .. } = &self;
        let args: Vec<_> = args.iter().map(String::as_str).collect();
        Row {
            file: file.clone(),
            ..row(&self.name, &args, found)
        }
    }

    fn says(mut self, check: &'static str, what: &'static str) -> Self {
        self.says = Some((check, what));
        self
    }

    fn with(mut self, name: &'static str, value: &'static str) -> Self {
        self.variable = Some((name, value));
        self
    }

    fn arg(mut self, args: &[&str]) -> Self {
        self.args.extend(args.iter().map(|arg| (*arg).to_owned()));
        self
    }

    /// Validates the file; the errors say what is not as expected.
    fn check(&self) -> Vec<String> {
        let mut command = command();
        command
            .args(["validate", "--json"])
            .arg(&self.file)
            .args(&self.args);
        if let Some((name, value)) = self.variable {
            command.env(name, value);
        }
        let Ended { status, out, err } = ended(&mut command);
        let Some(validation) = objects(&out).pop() else {
            return vec![format!("{}: {err}", self.name)];
        };
        let expected = match self.result {
            "passed" => 0,
            "failed" => 1,
            _ => 2,
        };
        let mut wrong = Vec::new();
        if status != expected || validation["result"] != self.result {
            wrong.push(format!("ends with {status}, {}", validation["result"]));
        }
        let checks = validation["checks"].as_array().unwrap();
        let mut found = BTreeSet::new();
        for check in checks {
            let (name, verdict) = (text(check, "check"), text(check, "verdict"));
            let told = self.found.iter().find(|(one, ..)| *one == name);
            found.insert(name);
            match told {
                Some((_, expected, what)) => {
                    if *expected != verdict || !text(check, "text").contains(what) {
                        wrong.push(format!("{name} is to be {expected}, {what}: {check}"));
                    }
                    if verdict != "skipped" && text(check, "remedy").is_empty() {
                        wrong.push(format!("{name} has no remedy"));
                    }
                }
                // How long something took depends on what else the machine does.
                None if verdict == "warning"
                    && ["duration", "create", "destroy"].contains(&name) => {}
                None if verdict == "skipped" && self.result != "passed" => {}
                None if verdict != "passed" => wrong.push(format!("{name}: {check}")),
                None => {}
            }
            if let Some((one, what)) = self.says
                && one == name
                && !text(check, "text").contains(what)
            {
                wrong.push(format!("{name} is to say {what}: {check}"));
            }
        }
        for (name, ..) in self.found {
            if !found.contains(name) {
                wrong.push(format!("{name} was not checked"));
            }
        }
        let of = |wrong| format!("{} {:?}: {wrong}", self.name, self.args);
        wrong.into_iter().map(of).collect()
    }
}

fn text<'a>(object: &'a Value, field: &str) -> &'a str {
    object[field].as_str().unwrap_or_default()
}

/// Validates all of them, as many at a time as the machine has processors and one more, and says at once what is wrong with any.
fn check_all(rows: Vec<Row>) {
    let workers = std::thread::available_parallelism().map_or(2, |count| count.get()) + 1;
    let (rows, wrong) = (Mutex::new(rows), Mutex::new(Vec::new()));
    std::thread::scope(|scope| {
        for _ in 0..workers {
            scope.spawn(|| {
                loop {
                    let Some(row) = rows.lock().unwrap().pop() else {
                        return;
                    };
                    wrong.lock().unwrap().extend(row.check());
                }
            });
        }
    });
    let wrong = wrong.into_inner().unwrap();
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

/// Every crate of the group is in the table.
fn is_complete(group: &str, rows: &[Row]) {
    let named: BTreeSet<_> = rows.iter().map(|row| row.name.as_str()).collect();
    for name in crates_of(group) {
        assert!(named.contains(&*name), "what is found in {name}?");
    }
}

/// Plugins that hang are waited for no longer than that.
const HANGS: [&str; 2] = ["--limit", "2s"];

#[test]
fn the_sin_of_every_fixture_is_named() {
    let dir = TempDir::new().unwrap();
    std::fs::write(dir.path().join("open-all"), "").unwrap();
    let at = format!("dir = {:?}", dir.path());
    let lingering = TempDir::new().unwrap();
    let lingers = format!("dir = {:?}", lingering.path());
    let noop = built("noop");
    let noop = noop.to_str().unwrap();
    let rows = vec![
        row("aborts", &[], &[("updates", "failed", "ended by SIGABRT")]),
        settings("aborts", "in_call = \"create\"").found(&[(
            "create",
            "failed",
            "ended by SIGABRT",
        )]),
        settings("aborts", "in_call = \"display\"").found(&[(
            "display",
            "failed",
            "ended by SIGABRT",
        )]),
        row(
            "aborts-in-loader",
            &[],
            &[("load", "failed", "ended by SIGABRT")],
        )
        .with("PLUGIN_ENGINE_TEST_ABORT", "load"),
        row(
            "aborts-in-loader",
            &[],
            &[("unload", "failed", "ended by SIGABRT")],
        )
        .with("PLUGIN_ENGINE_TEST_ABORT", "unmap"),
        row("async-tasks", &["--updates", "50"], &[]),
        row(
            "brings-a-library",
            &[],
            &[("unload", "warning", "brought in other libraries")],
        ),
        row("computes", &["--updates", "20"], &[]).says("cancellation", "returned"),
        row(
            "constructor-mark",
            &[],
            &[("file", "failed", "has no manifest")],
        ),
        row("current-thread", &[], &[]).says("thread_keys", "1 of the 1,024 keys"),
        row(
            "drop-panics",
            &[],
            &[
                ("updates", "failed", "none completed"),
                ("panics", "failed", "5 of 5"),
            ],
        ),
        row(
            "exhausts-memory",
            &[],
            &[("updates", "failed", "memory allocation of")],
        ),
        row(
            "exits",
            &[],
            &[("updates", "failed", "exited with the status 3")],
        ),
        row(
            "fails",
            &[],
            &[("updates", "warning", "333 of 1,000 updates failed")],
        ),
        row(
            "fails-in-create",
            &[],
            &[("create", "failed", "fails in create as asked")],
        ),
        row(
            "fails-permanently",
            &[],
            &[("updates", "failed", "update 2 failed for good")],
        ),
        settings("floods", "events = 20000")
            .arg(&["--updates", "2"])
            .found(&[
                ("limits", "warning", "more than 10 intervals"),
                ("output", "failed", "20,000 events"),
            ]),
        row(
            "follows-a-script",
            &[],
            &[("create", "skipped", "\"script\" is a required property")],
        ),
        settings("follows-a-script", "script = [\"publish a\", \"log b\"]"),
        settings("gated", &at),
        row(
            "hangs",
            &HANGS,
            &[
                ("updates", "failed", "did not return within 500ms"),
                ("progress", "warning", "recorded none"),
                ("cancellation", "failed", "has not returned"),
            ],
        ),
        row(
            "hangs-awhile",
            &HANGS,
            &[
                ("updates", "failed", "did not return within 500ms"),
                ("progress", "warning", "recorded none"),
                ("cancellation", "failed", ""),
            ],
        ),
        row(
            "keeps-a-thread",
            &HANGS,
            &[
                (
                    "threads",
                    "failed",
                    "1 thread lives on after the destroy: kept",
                ),
                ("unload", "warning", "that it started lives"),
            ],
        ),
        row("keeps-state", &[], &[]),
        settings("keeps-state", "fails_in = \"restore_state\"").found(&[(
            "reload",
            "failed",
            "its restore_state did not complete",
        )]),
        row(
            "leaks",
            &[],
            &[
                ("descriptors", "failed", "/dev/null"),
                ("memory", "failed", "KiB more after 100 instances"),
            ],
        ),
        row("lingers", &[], &[]),
        settings("lingers", &lingers).arg(&HANGS).found(&[(
            "unload",
            "failed",
            "has not returned",
        )]),
        row(
            "long-text",
            &[],
            &[
                ("updates", "failed", "none completed"),
                ("output", "warning", "an error was cut"),
            ],
        ),
        row(
            "non-text-payload",
            &[],
            &[
                ("updates", "failed", "none completed"),
                ("panics", "failed", "no text"),
            ],
        ),
        row("noop", &[], &[]),
        row(
            "overflows-stack",
            &[],
            &[("updates", "failed", "overflowed its stack")],
        ),
        row("own-allocator", &[], &[]),
        row("own-runtime", &["--updates", "50"], &[]),
        row(
            "panics",
            &[],
            &[
                ("updates", "failed", "none completed"),
                (
                    "panics",
                    "failed",
                    "the fixture panics as asked, at fixtures/panics/src/lib.rs",
                ),
            ],
        ),
        row(
            "panics-in-create",
            &[],
            &[("create", "failed", "panics in create as asked")],
        ),
        row(
            "panics-in-destroy",
            &[],
            &[("destroy", "failed", "panics in destroy as asked")],
        ),
        row(
            "panics-in-display",
            &[],
            &[("display", "failed", "panics in display as asked")],
        ),
        row(
            "panics-in-schema",
            &[],
            &[("load", "failed", "the fixture panics over its schema")],
        ),
        row(
            "panics-twice",
            &[],
            &[("updates", "failed", "ended by SIGABRT")],
        ),
        row("publishes", &[], &[]),
        settings("publishes", "burst = 2000").found(&[("output", "failed", "2,000 events")]),
        settings("quotes-settings", "token = \"abc\"").found(&[
            ("updates", "failed", "none completed"),
            ("panics", "failed", "threads that it started panicked"),
        ]),
        row("requires-noop", &[], &[("create", "skipped", "noop")]),
        row("requires-noop", &["--with", noop], &[]),
        row("same-id", &[], &[]),
        row(
            "schema-is-none",
            &[],
            &[("load", "failed", "schema of its settings is none")],
        ),
        row(
            "segfaults",
            &[],
            &[("updates", "failed", "ended by SIGSEGV")],
        ),
        row("settings", &[], &[("create", "failed", "greeting")]),
        settings("settings", "greeting = \"hello\""),
        settings("slow-create", "ms = 1200")
            .arg(&["--limit", "4s", "--updates", "1"])
            .found(&[("create", "warning", "created")]),
        settings("slow-destroy", "ms = 1200")
            .arg(&["--limit", "4s", "--updates", "1"])
            .found(&[("destroy", "warning", "destroyed")]),
        row("stays-mapped", &[], &[("unload", "warning", "NODELETE")]),
        row("thread-locals", &[], &[]),
        row(
            "thread-panics",
            &[],
            &[("panics", "failed", "threads that it started panicked")],
        ),
        row("versioned-0-9", &[], &[]),
        row("versioned-1-1", &[], &[]),
        row("versioned-1-1-rebuilt", &[], &[]),
    ];
    is_complete("fixtures", &rows);
    check_all(rows);
}

/// A feed without entries.
const FEED: &str = "<?xml version=\"1.0\"?>
<feed xmlns=\"http://www.w3.org/2005/Atom\"><id>urn:none</id><title>none</title>\
<updated>2026-01-01T00:00:00Z</updated></feed>
";

fn in_another_language(name: &str, file: &Path, toml: &str) -> Row {
    Row {
        file: file.to_owned(),
        name: name.to_owned(),
        ..settings("noop", toml)
    }
}

#[test]
fn every_plugin_passes() {
    let dir = TempDir::new().unwrap();
    let path = |name: &str| dir.path().join(name);
    std::fs::write(path("feed.xml"), FEED).unwrap();
    std::fs::write(path("log"), "one\n").unwrap();
    let server = Server::new(|_| Some(b"HTTP/1.1 200 OK\r\ncontent-length: 0\r\n\r\n".to_vec()));
    let here = format!("path = {:?}", dir.path());
    let few = ["--updates", "100"];
    let mut rows = vec![
        row("clock", &[], &[]),
        row("counter", &[], &[]).says("settings", "made from its schema"),
        settings("directory-size", &here),
        settings("duplicates", &here).arg(&few),
        settings("feed", &format!("source = {:?}", path("feed.xml"))),
        settings("load-log", &format!("path = {:?}", path("load.db")))
            .arg(&few)
            .found(&[("reload", "warning", "stop-first")]),
        settings(
            "probe",
            &format!("address = \"127.0.0.1:{}\"", server.port()),
        )
        .arg(&few),
        settings("script", "script = \"updates * 2\""),
        row("system", &few, &[]),
    ];
    is_complete("plugins", &rows);
    build_in_c("plugins/c/free_space.c", &path("free-space.so"), &[]);
    rows.push(in_another_language(
        "free-space",
        &path("free-space.so"),
        "path = \"/\"",
    ));
    if build_in_cpp("plugins/cpp/log_matches.cpp", &path("log-matches.so")) {
        let toml = format!("file = {:?}\npattern = \"one\"", path("log"));
        rows.push(in_another_language(
            "log-matches",
            &path("log-matches.so"),
            &toml,
        ));
    }
    check_all(rows);
}

#[test]
fn what_cannot_be_run_is_no_finding() {
    let noop = built("noop");
    let noop = noop.to_str().unwrap();
    for (args, code) in [
        (&["validate", "no-such-file.so"][..], "[PE0811]"),
        (&["validate", noop, "--with", "no-such-file.so"], "[PE0811]"),
        (
            &["validate", noop, "--settings", "no such file"],
            "[PE0836]",
        ),
        (&["validate", noop, "--limit", "1ms"], "from 100ms to 1h"),
        (&["validate", noop, "--updates", "0"], "--updates"),
    ] {
        let Ended { status, out, err } = ended(command().args(args));
        assert_eq!((status, &*out), (2, ""), "{args:?}");
        assert!(err.contains(code), "{args:?}: {err}");
    }
}

#[test]
fn a_person_reads_the_finding_its_code_and_what_to_do() {
    let Ended { status, out, .. } = ended(command().arg("validate").arg(built("segfaults")));
    assert_eq!(status, 1);
    let line = out.lines().find(|line| line.contains("updates ")).unwrap();
    assert!(
        line.contains("failed") && line.contains("[PE0812]"),
        "{line}"
    );
    assert!(out.contains("a recursion without end"), "{out}");
    assert!(out.contains("  failed: 1 finding"), "{out}");
    // One crash does not hide what else there is to see.
    assert!(out.contains("reload        passed"), "{out}");
}
