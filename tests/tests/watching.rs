//! Changes through the plugin directory alone, as operators, their tools and their editors make them.

use std::fs::{self, OpenOptions};
use std::io::Write;
use std::os::unix::fs::symlink;
use std::path::Path;
use std::process::Command;

use plugin_engine::{Cause, PluginState};
use plugin_engine_tests::{
    Rig, Watched, built, count_lines, quick_to_remove, slow_to_remove, wait_for,
};
use tempfile::TempDir;

fn sh(script: &str, from: &Path, to: &Path) {
    let status = Command::new("sh")
        .args(["-ec", script, "sh"])
        .args([from, to])
        .status()
        .expect("a shell runs");
    assert!(status.success(), "{script}");
}

/// Every way in which a file is replaced by another one, as a script of a shell whose `$1` is the new file and `$2` the place.
const REPLACEMENTS: [(&str, &str); 10] = [
    ("cp", "cp \"$1\" \"$2\""),
    (
        "cp --remove-destination",
        "cp --remove-destination \"$1\" \"$2\"",
    ),
    ("install", "install -m 644 \"$1\" \"$2\""),
    ("mv", "cp \"$1\" \"$2.new\"; mv \"$2.new\" \"$2\""),
    (
        "what rsync and package managers do",
        "cp \"$1\" \"${2%/*}/.n.so.Xy12Zw\"; mv \"${2%/*}/.n.so.Xy12Zw\" \"$2\"",
    ),
    (
        "what dpkg does",
        "cp \"$1\" \"$2.dpkg-new\"; ln \"$2\" \"$2.dpkg-tmp\"; mv \"$2.dpkg-new\" \"$2\"; rm \"$2.dpkg-tmp\"",
    ),
    (
        "an editor that keeps a backup",
        "mv \"$2\" \"$2~\"; cp \"$1\" \"$2\"",
    ),
    (
        "an editor that writes in place",
        ": > \"$2\"; cat \"$1\" >> \"$2\"",
    ),
    ("rm and cp", "rm \"$2\"; cp \"$1\" \"$2\""),
    (
        "a link",
        "mkdir \"${2%/*}/..v2\"; cp \"$1\" \"${2%/*}/..v2/n\"; ln -sfn ..v2/n \"$2\"",
    ),
];

#[test]
fn a_file_that_is_replaced_takes_over_in_whatever_way_it_is_replaced() {
    for (name, script) in REPLACEMENTS {
        let watched = Watched::with(&["noop", "counter"]);
        sh(script, &built("same-id"), &watched.path("noop.so"));
        watched.await_word("reloaded noop.so", 1);
        let shown = watched.rig.engine.display("noop").unwrap();
        assert_eq!(shown.as_text(), Some("the other noop"), "{name}");
        let causes = watched.rig.causes("noop");
        assert!(causes.contains(&Cause::Reloaded), "{name}: {causes:?}");
        assert!(!causes.contains(&Cause::Unloaded), "{name}: {causes:?}");
        assert!(!causes.contains(&Cause::FileRemoved), "{name}: {causes:?}");
        assert_eq!(watched.rig.snapshot("noop").generation, 2, "{name}");
        let neighbour = watched.rig.snapshot("counter");
        assert_eq!(
            (neighbour.state, neighbour.generation),
            (PluginState::Enabled, 1),
            "{name}"
        );
        assert!(watched.rig.engine.refused().is_empty(), "{name}");
    }
}

#[test]
#[ignore = "needs rsync, which tests/rsync.sh installs"]
fn rsync_replaces_a_file() {
    let watched = Watched::with(&["noop"]);
    sh(
        "rsync \"$1\" \"$2\"",
        &built("same-id"),
        &watched.path("noop.so"),
    );
    watched.await_display("noop", "the other noop");
}

#[test]
fn a_file_that_is_dropped_in_is_loaded_and_one_that_is_removed_is_unloaded() {
    let watched = Watched::quick(&["counter"]);
    watched.copy("noop", "noop.so");
    watched.await_word("enabled noop.so", 1);
    assert_eq!(watched.rig.state("noop"), PluginState::Enabled);
    watched.remove("noop.so");
    watched.await_word("unloaded noop.so", 1);
    assert_eq!(watched.rig.state("noop"), PluginState::Unloaded);
    let last = watched.rig.history("noop").pop().unwrap();
    assert_eq!(
        (last.from, last.to, last.cause, last.error),
        (
            PluginState::Enabled,
            PluginState::Unloaded,
            Cause::FileRemoved,
            None
        )
    );
    watched.copy("noop", "noop.so");
    watched.await_word("enabled noop.so", 2);
    assert_eq!(watched.rig.snapshot("noop").generation, 2);
    assert_eq!(watched.rig.snapshot("counter").generation, 1);
}

#[test]
fn removal_and_return_within_the_grace_time_is_one_reload() {
    let watched = Watched::with(&["noop"]);
    watched.remove("noop.so");
    watched.await_looks(1);
    assert_eq!(watched.rig.state("noop"), PluginState::Enabled);
    watched.copy("same-id", "noop.so");
    watched.await_display("noop", "the other noop");
    let causes = watched.rig.causes("noop");
    assert!(!causes.contains(&Cause::FileRemoved), "{causes:?}");
    assert_eq!(watched.rig.snapshot("noop").generation, 2);
}

#[test]
fn a_file_that_comes_back_with_the_same_bytes_is_no_reload() {
    let watched = Watched::with(&["noop"]);
    watched.remove("noop.so");
    watched.await_looks(1);
    watched.copy("noop", "noop.so");
    watched.await_looks(2);
    assert_eq!(watched.rig.snapshot("noop").generation, 1);
    assert!(watched.words().iter().all(|word| word.contains("look-")));
}

#[test]
fn half_a_file_is_refused_while_the_old_one_goes_on_and_the_rest_takes_over() {
    let watched = Watched::with(&["noop"]);
    let bytes = fs::read(built("same-id")).unwrap();
    let mut file = OpenOptions::new()
        .write(true)
        .truncate(true)
        .open(watched.path("noop.so"))
        .unwrap();
    file.write_all(&bytes[..bytes.len() / 2]).unwrap();
    watched.await_word("kept noop.so", 1);
    watched.rig.engine.update("noop").unwrap();
    assert_eq!(watched.rig.snapshot("noop").generation, 1);
    file.write_all(&bytes[bytes.len() / 2..]).unwrap();
    watched.await_word("reloaded noop.so", 1);
    watched.await_display("noop", "the other noop");
    assert_eq!(watched.words(), ["kept noop.so", "reloaded noop.so"]);
}

#[test]
fn of_two_replacements_one_right_after_the_other_the_last_one_runs() {
    let watched = Watched::with(&["noop"]);
    for name in ["same-id", "noop", "same-id", "noop", "same-id"] {
        watched.copy(name, "noop.so");
    }
    watched.await_looks(1);
    watched.await_display("noop", "the other noop");
    assert!(watched.rig.snapshot("noop").generation <= 6);
}

#[test]
fn what_does_not_look_like_a_plugin_file_is_not_looked_at() {
    let watched = Watched::with(&[]);
    for name in [
        ".noop.so",
        ".noop.so.Xy12Zw",
        "noop.so~",
        "noop.so.part",
        "noop.so.dpkg-new",
        "#noop.so#",
        "4913",
    ] {
        watched.copy("noop", name);
    }
    watched.await_looks(2);
    assert_eq!(watched.rig.state("noop"), PluginState::Unloaded);
    assert!(watched.words().iter().all(|word| word.contains("look-")));
}

#[test]
fn a_refused_file_is_told_once_per_change_and_not_once_per_look() {
    let watched = Watched::with(&[]);
    watched.write("bad.so", "no library");
    watched.await_word("refused bad.so", 1);
    watched.await_looks(4);
    watched.await_word("refused bad.so", 1);
    watched.write("bad.so", "still no library");
    watched.await_word("refused bad.so", 2);
    watched.copy("noop", "bad.so");
    watched.await_word("enabled bad.so", 1);
    assert!(watched.rig.engine.refused().is_empty());
}

#[test]
fn a_bad_file_in_place_of_a_good_one_is_told_once_and_changes_nothing() {
    let watched = Watched::with(&["noop"]);
    watched.rig.engine.update("noop").unwrap();
    watched.write("noop.so", "no library");
    watched.await_word("kept noop.so", 1);
    watched.await_looks(3);
    watched.await_word("kept noop.so", 1);
    let refused = watched.rig.engine.history("noop").errors().into_iter();
    let refused: Vec<_> = refused.map(|entry| entry.cause).collect();
    assert_eq!(refused, [Cause::ReloadRefused]);
    let snapshot = watched.rig.snapshot("noop");
    assert_eq!(
        (snapshot.state, snapshot.generation),
        (PluginState::Enabled, 1)
    );
    assert_eq!(
        watched.rig.engine.display("noop").unwrap().as_text(),
        Some("1")
    );
    // The bytes that run, in place again, are nothing new.
    watched.copy("noop", "noop.so");
    watched.await_looks(2);
    assert_eq!(
        watched.rig.engine.display("noop").unwrap().as_text(),
        Some("1")
    );
}

#[test]
fn the_file_that_waited_for_an_id_gets_it_when_the_other_one_is_removed() {
    let watched = Watched::quick(&["noop"]);
    watched.copy("same-id", "other.so");
    watched.await_word("refused other.so", 1);
    watched.remove("noop.so");
    watched.await_word("enabled other.so", 1);
    watched.await_display("noop", "the other noop");
    assert!(watched.rig.engine.refused().is_empty());
}

#[test]
fn a_directory_that_is_moved_away_changes_nothing_until_it_is_back() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("plugins.d");
    fs::create_dir(&dir).unwrap();
    let (noop, away) = (dir.join("noop.so"), parent.path().join("away"));
    fs::copy(built("noop"), &noop).unwrap();
    let gone = || count_lines("PE0511", &dir.display().to_string());
    for leaves_an_empty_one in [false, true] {
        let before = gone();
        let rig = Rig::with(|builder| quick_to_remove(slow_to_remove(builder)).plugin_dir(&dir));
        let watched = Watched::over(rig, &[]);
        fs::rename(&dir, &away).unwrap();
        if leaves_an_empty_one {
            fs::create_dir(&dir).unwrap();
        }
        // That it is gone shows in nothing but a line of log; what shows is what happens once it is back.
        wait_for("the line that says so", || gone() > before);
        if leaves_an_empty_one {
            fs::remove_dir(&dir).unwrap();
        }
        fs::copy(built("counter"), away.join("counter.so")).unwrap();
        fs::rename(&away, &dir).unwrap();
        watched.await_word("enabled counter.so", 1);
        assert_eq!(watched.words(), ["enabled counter.so"]);
        assert_eq!(watched.rig.snapshot("noop").generation, 1);
        fs::remove_file(dir.join("counter.so")).unwrap();
    }
}

#[test]
fn a_directory_behind_a_link_is_watched_and_so_is_the_exchange_of_the_link() {
    let parent = TempDir::new().unwrap();
    for (version, plugin) in [("v1", "noop"), ("v2", "same-id")] {
        let dir = parent.path().join(version);
        fs::create_dir(&dir).unwrap();
        fs::copy(built(plugin), dir.join("noop.so")).unwrap();
    }
    let link = parent.path().join("plugins.d");
    symlink("v1", &link).unwrap();
    let rig = Rig::with(|builder| slow_to_remove(builder).plugin_dir(&link));
    let watched = Watched::over(rig, &[]);
    assert_eq!(watched.rig.state("noop"), PluginState::Enabled);
    let swapped = parent.path().join("swapped");
    symlink("v2", &swapped).unwrap();
    fs::rename(&swapped, &link).unwrap();
    watched.await_display("noop", "the other noop");
    // What happens in the new one is noticed, too.
    fs::copy(built("noop"), parent.path().join("v2/noop.so")).unwrap();
    watched.await_word("reloaded noop.so", 2);
    let shown = watched.rig.engine.display("noop").unwrap();
    assert_ne!(shown.as_text(), Some("the other noop"));
}

#[test]
fn a_volume_of_links_that_are_exchanged_all_at_once_is_followed() {
    let rig = Rig::with(slow_to_remove);
    let dir = rig.dir().to_owned();
    for (version, plugin) in [("..v1", "noop"), ("..v2", "same-id")] {
        let version = dir.join(version);
        fs::create_dir(&version).unwrap();
        fs::copy(built(plugin), version.join("noop.so")).unwrap();
    }
    symlink("..v1", dir.join("..data")).unwrap();
    symlink("..data/noop.so", dir.join("noop.so")).unwrap();
    let watched = Watched::over(rig, &[]);
    symlink("..v2", dir.join("..data_tmp")).unwrap();
    fs::rename(dir.join("..data_tmp"), dir.join("..data")).unwrap();
    watched.await_display("noop", "the other noop");
    assert_eq!(watched.rig.snapshot("noop").generation, 2);
}
