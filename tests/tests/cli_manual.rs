//! What the program says of itself: help, manual, completions. Whatever command there is stands in each.

use plugin_engine_tests::{Ended, command, ended};
use tempfile::TempDir;

const COMMANDS: [&str; 26] = [
    "run",
    "status",
    "top",
    "history",
    "why",
    "events",
    "liveness",
    "readiness",
    "display",
    "enable",
    "disable",
    "load",
    "reload",
    "reset",
    "unload",
    "update",
    "forget",
    "inspect",
    "validate",
    "lock",
    "new",
    "explain",
    "config",
    "completions",
    "man",
    "help",
];

fn output(args: &[&str]) -> String {
    let Ended { status, out, err } = ended(command().args(args));
    assert_eq!(status, 0, "{args:?}: {err}");
    out
}

/// The commands as the help lists them.
fn commands() -> Vec<String> {
    let help = output(&["--help"]);
    let list = help
        .split("Commands:\n")
        .nth(1)
        .expect("there are commands");
    let list = list.split("\n\n").next().unwrap_or_default();
    let named = list
        .lines()
        .filter(|line| line.starts_with("  ") && !line.starts_with("   "));
    named
        .map(|line| line.split_whitespace().next().unwrap().to_owned())
        .collect()
}

#[test]
fn every_command_is_listed_and_its_help_has_examples_and_the_exit_status() {
    let listed = commands();
    for name in COMMANDS {
        // Help is asked for with --help.
        assert_eq!(
            listed.iter().any(|one| one == name),
            name != "help",
            "{name}"
        );
    }
    for name in listed {
        let help = output(&[&name, "--help"]);
        if name != "config" {
            assert!(help.contains("Example"), "{name}: {help}");
            assert!(help.contains("Exit status: "), "{name}: {help}");
        }
    }
}

#[test]
fn completions_know_every_command() {
    for shell in ["bash", "zsh", "fish", "elvish", "powershell"] {
        let script = output(&["completions", shell]);
        for name in commands() {
            assert!(script.contains(&*name), "{shell}: {name}");
        }
        assert!(script.contains("newest-first"), "{shell}");
        // By which `validate` starts itself; nobody types it.
        assert!(!script.contains("validate-part"), "{shell}");
    }
}

#[test]
fn the_manual_has_a_page_for_every_command() {
    let dir = TempDir::new().unwrap();
    let pages = dir.path().join("man1");
    output(&["man", pages.to_str().unwrap()]);
    let main = std::fs::read_to_string(pages.join("plugin-engine.1")).unwrap();
    for name in commands() {
        assert!(
            main.contains(&format!("plugin\\-engine\\-{name}(1)")),
            "{name}: {main}"
        );
        let page = std::fs::read_to_string(pages.join(format!("plugin-engine-{name}.1"))).unwrap();
        assert!(page.contains(".SH SYNOPSIS"), "{name}");
    }
}

#[test]
fn a_manual_that_cannot_be_written_is_said_to_be() {
    let dir = TempDir::new().unwrap();
    let file = dir.path().join("file");
    std::fs::write(&file, "").unwrap();
    let Ended { status, err, .. } = ended(command().arg("man").arg(&file));
    assert_eq!(status, 1);
    assert!(
        err.starts_with("plugin-engine: cannot write the pages to "),
        "{err}"
    );
}
