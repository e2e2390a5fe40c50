//! What the book shows is so: its commands are run and compared, and every file that it shows is one of these.

use std::fs;
use std::path::{Path, PathBuf};

use plugin_engine_tests::{Console, command, ended, shown_names, write_other_build};
use serde_json::Value;

fn counts(snapshot: &Value, count: &str) -> u64 {
    snapshot[count].as_u64().unwrap_or_default()
}

fn cause_of_error(snapshot: &Value) -> &str {
    snapshot["error"]["kind"].as_str().unwrap_or_default()
}

/// Each is due once in an hour, so that what is shown stays so while it is asked for.
const MISBEHAVING: &str = r#"[defaults]
jitter = "0s"

[[plugin]]
id = "clock"
interval = "1h"

[[plugin]]
id = "fails"
interval = "1h"
settings = { every = 1 }

[[plugin]]
id = "panics"
interval = "1h"
panic_limit = 1
restart = { delay = "1h", delay_max = "1h", window = "1day" }

[[plugin]]
id = "hangs"
interval = "1h"

[[plugin]]
id = "hangs-awhile"
interval = "1h"
settings = { ms = 800 }
"#;

#[test]
fn the_book_shows_what_is_said_of_plugins_that_fail_panic_and_hang() {
    let mut console = Console::new();
    for name in ["clock", "fails", "panics", "hangs", "hangs-awhile"] {
        console.drop_in(name);
    }
    console.write("engine.toml", "misbehaving-config", MISBEHAVING);
    console.start(&["--config", "engine.toml"]);
    console.await_plugin("clock", |plugin| counts(plugin, "successes") > 1);
    console.await_plugin("fails", |plugin| cause_of_error(plugin) == "failed");
    console.await_plugin("panics", |plugin| plugin["state"] == "Error");
    console.await_plugin("hangs", |plugin| counts(plugin, "timeouts") == 1);
    console.await_plugin("hangs-awhile", |plugin| counts(plugin, "late") == 1);
    console.show("status", "plugin-engine status");
    console.show("fails-why", "plugin-engine why fails");
    console.show("panics-why", "plugin-engine why panics");
    console.show("panics-history", "plugin-engine history panics");
    console.show("hangs-why", "plugin-engine why hangs");
    console.show("hangs-awhile-why", "plugin-engine why hangs-awhile");
    console.show("hangs-awhile-history", "plugin-engine history hangs-awhile");
    console.show("panics-status", "plugin-engine status panics");
    console.show("readiness", "plugin-engine readiness");
    console.show_all(
        "commands",
        &[
            "plugin-engine disable fails",
            "plugin-engine why fails",
            "plugin-engine enable fails",
            "plugin-engine enable nobody",
        ],
    );
    console.end();
}

#[test]
fn the_book_shows_what_is_said_of_a_plugin_that_crashes_the_engine() {
    let mut console = Console::new();
    console.drop_in("clock");
    console.drop_in("segfaults");
    let run = "plugin-engine run --plugins plugins.d --state state --cycles 1";
    // The first start says nothing of a crash yet, and how the shell names the signal is the shell's.
    for _ in 0..2 {
        console.fall(run);
    }
    console.show("crash-start", &format!("{run} 2>&1 >/dev/null"));
    // Of the start before, the last fifth of a second may be lost: it ended in a crash.
    console.show(
        "crash-history",
        "plugin-engine history segfaults --cause quarantined",
    );
    console.start(&["--no-watch"]);
    console.await_plugin("segfaults", |plugin| plugin["state"] == "Error");
    console.show("crash-why", "plugin-engine why segfaults");
    console.end();
}

#[test]
fn the_book_shows_how_a_file_is_replaced_and_removed() {
    let mut console = Console::new();
    console.drop_in("counter");
    console.drop_in("clock");
    console.write(
        "plugins.d/libcounter.toml",
        "counter-config",
        "interval = \"1h\"\n\n[settings]\nstart = 40\n",
    );
    fs::write(
        console.path("plugins.d/libclock.toml"),
        "interval = \"1h\"\n",
    )
    .unwrap();
    console.start(&[]);
    console.await_plugin("counter", |plugin| counts(plugin, "successes") > 1);
    console.await_plugin("clock", |plugin| counts(plugin, "successes") > 1);
    console.show("counter-display", "plugin-engine display counter");
    write_other_build("counter", &console.path("libcounter.so"));
    console.show("replace", "mv libcounter.so plugins.d/");
    console.await_plugin("counter", |plugin| plugin["generation"] == 2);
    console.show_all(
        "replaced",
        &[
            "plugin-engine history counter --cause reloaded",
            "plugin-engine display counter",
        ],
    );
    fs::write(console.path("notes.txt"), "half a file\n").unwrap();
    console.show("replace-badly", "mv notes.txt plugins.d/libcounter.so");
    console.await_line("history counter --cause reload_refused", "reload_refused");
    console.show_all(
        "replaced-badly",
        &[
            "plugin-engine history counter --cause reload_refused",
            "plugin-engine why counter",
        ],
    );
    console.show("remove", "rm plugins.d/libclock.so");
    console.await_plugin("clock", |plugin| plugin["state"] == "Unloaded");
    console.show("removed", "plugin-engine why clock");
    console.end();
}

#[test]
fn the_book_shows_how_files_and_configurations_are_refused() {
    let mut console = Console::new();
    console.drop_in("clock");
    console.show("inspect", "plugin-engine inspect plugins.d/libclock.so");
    console.show_all(
        "inspect-text",
        &[
            "echo 'no library' > plugins.d/notes.so",
            "plugin-engine inspect plugins.d/notes.so",
        ],
    );
    console.show("explain", "plugin-engine explain PE0110");
    fs::remove_file(console.path("plugins.d/notes.so")).unwrap();
    console.show_all(
        "lock",
        &[
            "plugin-engine lock --plugins plugins.d",
            "cat plugins.d/plugins.lock",
            "plugin-engine lock --plugins plugins.d --check",
        ],
    );
    fs::write(
        console.path("plugins.d/libclock.toml"),
        "intervall = \"2s\"\n",
    )
    .unwrap();
    console.show(
        "config-check",
        "plugin-engine config check plugins.d/libclock.toml",
    );
    fs::write(
        console.path("plugins.d/libclock.toml"),
        "interval = \"2s\"\n",
    )
    .unwrap();
    console.show(
        "config-show",
        "plugin-engine config show --effective --plugins plugins.d | grep ^clock | head -6",
    );
    console.end();
}

#[test]
fn the_book_shows_what_is_found_in_a_plugin_file() {
    let mut console = Console::new();
    console.drop_in("counter");
    console.drop_in("thread-panics");
    console.drop_in("directory-size");
    // How long calls take is nothing to show, and differs from run to run.
    let but_times = "grep -v -e duration -e cancellation";
    console.show(
        "validate",
        &format!("plugin-engine validate plugins.d/libcounter.so | {but_times}"),
    );
    console.show(
        "validate-failed",
        &format!("plugin-engine validate plugins.d/libthread_panics.so | {but_times}"),
    );
    console.show(
        "validate-settings",
        "plugin-engine validate plugins.d/libdirectory_size.so | grep -m 1 -A 3 create",
    );
    console.show(
        "validate-json",
"plugin-engine validate plugins.d/libcounter.so --json | grep -o '{\"check\":\"limits\"[^}]*}}'",
    );
    console.end();
}

#[test]
fn the_configurations_that_the_book_shows_are_good() {
    for name in ["uptime.toml", "engine.toml"] {
        let file = book().join("operate").join(name);
        let checked = ended(command().args(["config", "check"]).arg(file));
        assert_eq!(checked.status, 0, "{name}: {}{}", checked.out, checked.err);
    }
}

#[test]
fn the_book_shows_what_is_said_of_a_plugin_whose_requirement_is_not_there() {
    let mut console = Console::new();
    console.drop_in("requires-noop");
    console.start(&[]);
    console.await_plugin("requires-noop", |plugin| plugin["state"] == "Error");
    console.show("requires-why", "plugin-engine why requires-noop");
    console.drop_in("noop");
    console.await_plugin("requires-noop", |plugin| plugin["state"] != "Error");
    console.show(
        "requires-history",
        "plugin-engine history requires-noop --limit 2 --cause requirement_met",
    );
    console.end();
}

#[test]
fn the_book_shows_the_help_of_every_command() {
    let mut console = Console::new();
    console.show("help", "plugin-engine --help");
    for command in [
        "run", "status", "why", "history", "inspect", "validate", "lock",
    ] {
        let line = format!("plugin-engine {command} --help");
        console.show(&format!("help-{command}"), &line);
    }
    console.end();
}

fn book() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("../engine/book/src")
}

/// The chapters by their paths, with their texts.
fn chapters() -> Vec<(PathBuf, String)> {
    let mut found = Vec::new();
    let mut dirs = vec![book()];
    while let Some(dir) = dirs.pop() {
        for entry in fs::read_dir(dir).unwrap() {
            let path = entry.unwrap().path();
            if path.is_dir() {
                dirs.push(path);
            } else if path.extension().is_some_and(|extension| extension == "md") {
                found.push((path.clone(), fs::read_to_string(path).unwrap()));
            }
        }
    }
    found
}

/// The paths that chapters include, each with the chapter.
fn included() -> Vec<(PathBuf, PathBuf)> {
    let mut found = Vec::new();
    for (chapter, text) in chapters() {
        for part in text.split("{{#include ").skip(1) {
            let file = part.split("}}").next().unwrap().split(':').next().unwrap();
            let path = chapter.parent().unwrap().join(file.trim());
            found.push((chapter.clone(), path));
        }
    }
    found
}

#[test]
fn every_file_that_a_chapter_includes_is_there_and_every_shown_command_is_in_a_chapter() {
    let included = included();
    for (chapter, file) in &included {
        assert!(
            file.is_file(),
            "{} includes {}",
            chapter.display(),
            file.display()
        );
    }
    for name in shown_names() {
        let is_shown = |(_, file): &(PathBuf, PathBuf)| {
            file.parent().unwrap().ends_with("console") && file.ends_with(&name)
        };
        assert!(
            included.iter().any(is_shown),
            "no chapter shows console/{name}"
        );
    }
}

/// Code that stands in a chapter itself is compiled by nobody.
#[test]
fn rust_code_in_the_book_comes_from_files_that_are_compiled() {
    for (chapter, text) in chapters() {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("```rust") {
                let next = lines.next().unwrap_or_default();
                assert!(
                    next.starts_with("{{#include ") && next.contains(".rs"),
                    "{}: {next}",
                    chapter.display()
                );
            }
        }
    }
}

/// Output that stands in a chapter itself is compared by nobody.
#[test]
fn what_commands_say_in_the_book_comes_from_files_that_are_compared() {
    for (chapter, text) in chapters() {
        let mut lines = text.lines();
        while let Some(line) = lines.next() {
            if line.starts_with("```console") {
                let next = lines.next().unwrap_or_default();
                assert!(
                    next.starts_with("{{#include ") && next.contains("console/"),
                    "{}: {next}",
                    chapter.display()
                );
            }
        }
    }
}

#[test]
fn every_chapter_is_in_the_summary() {
    let summary = fs::read_to_string(book().join("SUMMARY.md")).unwrap();
    for (chapter, _) in chapters() {
        let name = chapter.strip_prefix(book()).unwrap().to_str().unwrap();
        assert!(
            name == "SUMMARY.md" || summary.contains(&format!("({name})")),
            "{name}"
        );
    }
}
