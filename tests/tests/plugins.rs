//! The example plugins over their real files: trees of directories, and settings that cannot work. Feeds have a file of their own.

use std::fs;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{FaultKind, PluginState, Subscription};
use plugin_engine_tests::{Rig, on_line, wait_for};
use tempfile::TempDir;

/// The payloads of the events that wait.
fn payloads(events: &Subscription) -> Vec<String> {
    std::iter::from_fn(|| events.try_next())
        .map(|event| event.payload.to_string())
        .collect()
}

fn text(rig: &Rig, id: &str) -> String {
    let view = rig.engine.display(id).unwrap();
    view.as_text().unwrap().to_owned()
}

/// A directory with `width` directories of one file each, every file of 100 bytes.
fn tree(width: usize) -> TempDir {
    let root = TempDir::new().unwrap();
    for number in 0..width {
        let dir = root.path().join(format!("d{number}"));
        fs::create_dir(&dir).unwrap();
        fs::write(dir.join("file"), [0; 100]).unwrap();
    }
    root
}

fn size_of(rig: &Rig, id: &str, path: &Path, more: &str) {
    let config = format!("{more}\n[settings]\npath = {path:?}\n");
    rig.drop_as("directory-size", id, &config);
}

#[test]
fn a_tree_is_added_up_shown_and_published() {
    let root = tree(12);
    fs::create_dir(root.path().join("large")).unwrap();
    fs::write(root.path().join("large/file"), vec![0; 5_000]).unwrap();
    std::os::unix::fs::symlink(root.path(), root.path().join("large/back")).unwrap();
    let rig = Rig::new();
    size_of(&rig, "tree", root.path(), "timeout = \"1day\"");
    rig.load();
    let sizes = rig.engine.subscribe("plugin.tree.size");
    assert_eq!(text(&rig, "tree"), "no complete walk yet\n");
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&sizes), ["6200"]);
    let shown = text(&rig, "tree");
    let lines: Vec<_> = shown.lines().collect();
    let head = format!("{}: 6.1 KiB in 13 files", root.path().display());
    assert!(lines[0].starts_with(&head), "{shown}");
    assert!(lines[0].contains(" and 13 directories"), "{shown}");
    assert_eq!(lines[2], "   4.9 KiB   81 %  large", "{shown}");
    assert_eq!(
        lines.last(),
        Some(&"     300 B    5 %  (3 smaller directories)"),
        "{shown}"
    );
    assert!(rig.snapshot("tree").last_progress.is_some());
}

#[test]
fn a_tree_too_large_for_one_update_is_walked_to_its_end_in_several_that_are_all_in_time() {
    let root = tree(30);
    let rig = Rig::new();
    size_of(
        &rig,
        "large-tree",
        root.path(),
        "interval = \"1h\"\ntimeout = \"500ms\"",
    );
    rig.load();
    let sizes = rig.engine.subscribe("plugin.large-tree.size");
    let clock = rig.clock.clone();
    on_line("large-tree", move |line| {
        // Each directory takes 40 of the 500 milliseconds.
        if line.message.starts_with("reading") {
            clock.advance(Duration::from_millis(40));
        }
    });
    // A tenth of the time is kept back, so an update ends in the twelfth directory, before its file.
    for entries in [23, 47] {
        assert_eq!(rig.engine.run_cycle().failed, 1);
        let snapshot = rig.snapshot("large-tree");
        assert_eq!(snapshot.state, PluginState::Enabled);
        let error = snapshot.error.unwrap();
        assert_eq!(error.kind, FaultKind::Failed);
        let said = error.to_string();
        assert!(said.contains("not finished"), "{said}");
        let so_far = format!("{entries} entries so far");
        assert!(said.contains(&so_far), "{said}");
        assert!(text(&rig, "large-tree").contains("not finished"));
        assert_eq!(payloads(&sizes), [""; 0]);
        // It goes on after a second, not after the hour that lies between two walks.
        rig.advance(1_000);
    }
    assert_eq!(rig.engine.run_cycle().completed, 1);
    assert_eq!(payloads(&sizes), ["3000"]);
    let shown = text(&rig, "large-tree");
    assert!(shown.contains("in 30 files and 30 directories"), "{shown}");
    assert!(!shown.contains("not finished"), "{shown}");
    assert_eq!(rig.error("large-tree"), None);
    assert_eq!(rig.snapshot("large-tree").counts.timeouts, 0);
}

#[test]
fn what_was_found_last_stays_on_display_while_the_tree_is_walked_again() {
    let root = tree(30);
    let rig = Rig::new();
    size_of(
        &rig,
        "again",
        root.path(),
        "timeout = \"500ms\"\ninterval = \"1h\"",
    );
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    let clock = rig.clock.clone();
    on_line("again", move |line| {
        if line.message.starts_with("reading") {
            clock.advance(Duration::from_millis(40));
        }
    });
    rig.advance(3_600_000);
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let shown = text(&rig, "again");
    assert!(shown.contains("in 30 files and 30 directories"), "{shown}");
    assert!(shown.contains("the walk: not finished"), "{shown}");
}

#[test]
fn a_walk_that_would_never_end_ends_when_its_plugin_is_switched_off() {
    // Whenever a directory is about to be read, three more are made in it, up to a number that no test waits for.
    const DIRECTORIES_MAX: u64 = 30_000;
    let root = tree(1);
    let rig = Rig::new();
    size_of(&rig, "endless", root.path(), "timeout = \"1day\"");
    rig.load();
    let made = Arc::new(AtomicU64::new(0));
    let count = Arc::clone(&made);
    on_line("endless", move |line| {
        let Some(path) = line.message.strip_prefix("reading path=") else {
            return;
        };
        for name in ["a", "b", "c"] {
            if count.fetch_add(1, Ordering::SeqCst) < DIRECTORIES_MAX {
                fs::create_dir(Path::new(path).join(name)).unwrap();
            }
        }
    });
    let cycle = rig.engine.start_cycle();
    wait_for("the walk to begin", || made.load(Ordering::SeqCst) > 0);
    rig.engine.disable("endless").unwrap();
    assert_eq!(cycle.wait().failed, 1);
    assert_eq!(rig.state("endless"), PluginState::Disabled);
    assert!(made.load(Ordering::SeqCst) < DIRECTORIES_MAX);
}

#[test]
fn a_missing_tree_may_come_back_and_a_file_is_none_for_good() {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("tree");
    let rig = Rig::new();
    size_of(&rig, "comes", &path, "interval = \"1s\"");
    rig.load();
    assert_eq!(rig.engine.run_cycle().failed, 1);
    let said = rig.error("comes").unwrap();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
    assert_eq!(rig.state("comes"), PluginState::Enabled);
    fs::create_dir(&path).unwrap();
    rig.advance(1_000);
    assert_eq!(rig.engine.run_cycle().completed, 1);
    fs::remove_dir(&path).unwrap();
    fs::write(&path, "").unwrap();
    rig.advance(1_000);
    let _ = rig.engine.run_cycle();
    assert_eq!(rig.state("comes"), PluginState::Error);
    let said = rig.error("comes").unwrap();
    assert!(said.contains(path.to_str().unwrap()), "{said}");
}

#[test]
fn settings_that_cannot_work_keep_either_plugin_from_starting_and_are_named() {
    for (number, (file, settings, said)) in [
        (
            "directory-size",
            "",
            "\"path\" is a required property [PE0310]",
        ),
        ("directory-size", "path = \"\"", "`settings.path`: "),
        (
            "directory-size",
            "path = \"/\"\nlargest = 101",
            "`settings.largest`: 101 is greater",
        ),
        (
            "directory-size",
            "path = \"/\"\ndepth = 1",
            "unknown key `settings.depth`",
        ),
        ("feed", "", "\"source\" is a required property"),
        (
            "feed",
            "source = \"f\"\nlimit = 0",
            "`settings.limit`: 0 is less",
        ),
        (
            "feed",
            "source = \"f\"\nlimit = \"all\"",
            "`settings.limit`: \"all\" is not",
        ),
        (
            "feed",
            "source = \"f\"\nlimits = 1",
            "unknown key `settings.limits`",
        ),
        (
            "feed",
            "source = \"http://192.0.2.7/feed\"",
            "not this machine",
        ),
        (
            "feed",
            "source = \"https://127.0.0.1/feed\"",
            "https is not supported",
        ),
    ]
    .into_iter()
    .enumerate()
    {
        let id = format!("bad-{number}");
        let rig = Rig::new();
        rig.drop_as(file, &id, &format!("[settings]\n{settings}\n"));
        let outcomes = rig.load_any();
        assert!(!outcomes[0].is_good(), "{settings}: {}", outcomes[0]);
        assert_eq!(rig.state(&id), PluginState::Error);
        let error = rig.snapshot(&id).error.unwrap();
        assert!(!error.recoverable, "{settings}: {error}");
        assert!(error.to_string().contains(said), "{settings}: {error}");
    }
}

#[test]
fn the_counter_goes_on_counting_when_another_build_of_it_takes_over() {
    let rig = Rig::new();
    rig.drop_as("counter", "counter", "[settings]\nstart = 40\n");
    rig.load();
    assert_eq!(rig.engine.run_cycle().completed, 1);
    rig.rebuild("counter", "counter");
    rig.engine.reload("counter").unwrap();
    // The trial update counts.
    assert_eq!(text(&rig, "counter"), "42 so far");
}
