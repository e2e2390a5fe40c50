//! `plugin-engine validate` over every plugin file that there is: it names the sin of each fixture, and passes each plugin.

use std::collections::BTreeSet;
use std::path::Path;

use plugin_engine_tests::{
    Ended, Server, Validated, build_in_c, build_in_cpp, built, check_all, command, crates_of, ended,
};
use tempfile::TempDir;

type Found = &'static [(&'static str, &'static str, &'static str)];

fn row(name: &str, args: &[&str], found: Found) -> Validated {
    Validated::new(name, &built(name)).arg(args).found(found)
}

fn settings(name: &str, settings: &str) -> Validated {
    row(name, &["--settings", settings], &[])
}

/// Every crate of the group is in the table.
fn is_complete(group: &str, rows: &[Validated]) {
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
                    "the fixture panics as asked (at fixtures/panics/src/lib.rs",
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

fn in_another_language(name: &str, file: &Path, toml: &str) -> Validated {
    settings("noop", toml).of(name, file)
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
        let row = in_another_language("log-matches", &path("log-matches.so"), &toml);
        // The library of the language, which nothing else here needs.
        rows.push(row.found(&[("unload", "warning", "libstdc++")]));
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
