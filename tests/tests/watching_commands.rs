//! What persons have said by command, beside what changes in the directory and in the configurations.

use std::time::Duration;

use plugin_engine::{Cause, Code, LoadOutcome, PluginState};
use plugin_engine_tests::{Rig, Watched, quick_to_remove, slow_to_remove, wait_for};
use tempfile::TempDir;

fn interval(watched: &Watched, id: &str) -> u64 {
    watched.rig.snapshot(id).interval().as_secs()
}

#[test]
fn a_plugin_that_was_switched_off_stays_so_whatever_happens_to_its_file() {
    let watched = Watched::quick(&["noop"]);
    watched.rig.engine.disable("noop").unwrap();
    watched.copy("same-id", "noop.so");
    watched.await_looks(2);
    assert_eq!(watched.rig.state("noop"), PluginState::Disabled);
    watched.write("noop.toml", "interval = \"7s\"\n");
    watched.await_looks(2);
    assert_eq!(watched.rig.state("noop"), PluginState::Disabled);
    watched.remove("noop.so");
    watched.await_word("unloaded noop.so", 1);
    watched.copy("same-id", "noop.so");
    wait_for("the file to be loaded again", || {
        watched.rig.state("noop") == PluginState::Disabled
    });
    watched.rig.engine.enable("noop").unwrap();
    let shown = watched.rig.engine.display("noop").unwrap();
    assert_eq!(shown.as_text(), Some("the other noop"));
    assert_eq!(interval(&watched, "noop"), 7);
}

#[test]
fn a_plugin_that_was_unloaded_by_hand_stays_so_until_its_bytes_change() {
    let watched = Watched::with(&["noop"]);
    watched.rig.engine.unload("noop").unwrap();
    watched.copy("noop", "noop.so");
    watched.await_looks(2);
    assert_eq!(watched.rig.state("noop"), PluginState::Unloaded);
    watched.write("noop.toml", "interval = \"7s\"\n");
    watched.await_looks(2);
    assert_eq!(watched.rig.state("noop"), PluginState::Unloaded);
    watched.copy("same-id", "noop.so");
    watched.await_word("enabled noop.so", 1);
    watched.await_display("noop", "the other noop");
}

#[test]
fn a_plugin_that_was_unloaded_by_hand_is_loaded_when_its_file_was_removed_and_is_dropped_in_again()
{
    let watched = Watched::quick(&["noop"]);
    watched.rig.engine.unload("noop").unwrap();
    watched.remove("noop.so");
    watched.await_looks(2);
    watched.copy("noop", "noop.so");
    watched.await_word("enabled noop.so", 1);
}

#[test]
fn a_plugin_that_was_unloaded_by_hand_and_loaded_again_is_reloaded_like_any_other() {
    let watched = Watched::with(&["noop"]);
    watched.rig.engine.unload("noop").unwrap();
    watched.rig.engine.load("noop").unwrap();
    watched.copy("same-id", "noop.so");
    watched.await_display("noop", "the other noop");
}

#[test]
fn a_configuration_beside_a_file_is_applied_to_that_plugin_alone() {
    let watched = Watched::quick(&["noop", "counter"]);
    assert_eq!(interval(&watched, "noop"), 1);
    for (text, seconds) in [("interval = \"3s\"\n", 3), ("interval = \"4s\"\n", 4)] {
        watched.write("noop.toml", text);
        wait_for("the interval", || interval(&watched, "noop") == seconds);
    }
    watched.remove("noop.toml");
    wait_for("the interval", || interval(&watched, "noop") == 1);
    let neighbour = watched.rig.history("counter");
    assert_eq!(neighbour.len(), 2, "{neighbour:?}");
}

#[test]
fn a_bad_configuration_beside_a_file_is_told_once_and_keeps_what_runs() {
    let watched = Watched::with(&["noop"]);
    watched.write("noop.toml", "intervall = \"3s\"\n");
    watched.await_word("kept noop.so", 1);
    watched.await_looks(3);
    watched.await_word("kept noop.so", 1);
    let snapshot = watched.rig.snapshot("noop");
    assert_eq!(
        (snapshot.state, snapshot.generation),
        (PluginState::Enabled, 1)
    );
    watched.write("noop.toml", "interval = \"3s\"\n");
    wait_for("the interval", || interval(&watched, "noop") == 3);
}

#[test]
fn a_failed_plugin_is_tried_again_when_its_configuration_changes() {
    let watched = Watched::with(&["counter"]);
    watched.write("settings.toml", "[settings]\ngreeting = 1\n");
    watched.copy("settings", "settings.so");
    wait_for("the failure", || {
        watched.rig.state("settings") == PluginState::Error
    });
    watched.await_looks(2);
    let tried = watched.rig.history("settings").len();
    watched.await_looks(1);
    assert_eq!(watched.rig.history("settings").len(), tried);
    watched.write("settings.toml", "[settings]\ngreeting = \"hello\"\n");
    watched.await_display("settings", "hello");
    assert_eq!(watched.rig.history("counter").len(), 2);
}

/// An engine with a file of its own, and that file.
fn configured(text: &str, files: &[&str]) -> (Watched, impl Fn(&str) + use<>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("engine.toml");
    std::fs::write(&path, text).unwrap();
    let rig = Rig::with(|builder| quick_to_remove(slow_to_remove(builder)).config_file(&path));
    let write = move |text: &str| std::fs::write(dir.path().join("engine.toml"), text).unwrap();
    (Watched::over(rig, files), write)
}

fn entry(id: &str, interval: u64) -> String {
    format!("[[plugin]]\nid = \"{id}\"\ninterval = \"{interval}s\"\n")
}

#[test]
fn the_engines_file_is_applied_to_the_plugins_of_which_it_says_something_else() {
    let both = |noop, counter| entry("noop", noop) + &entry("counter", counter);
    let (watched, write) = configured(&both(3, 3), &["noop", "counter"]);
    write(&both(4, 3));
    wait_for("the interval", || interval(&watched, "noop") == 4);
    watched.await_looks(1);
    assert_eq!(watched.rig.history("counter").len(), 2);
    assert_eq!(interval(&watched, "counter"), 3);
}

#[test]
fn an_entry_that_speaks_of_no_plugin_is_told_when_it_is_written() {
    let (watched, write) = configured("", &["noop"]);
    write(&entry("nopo", 3));
    watched.await_word("misconfigured engine.toml", 1);
    let told = watched.told();
    assert_eq!(told[0].code(), Some(Code::CONFIG_NO_SUCH_PLUGIN));
    assert!(told[0].to_string().contains("did you mean \"noop\"?"));
}

#[test]
fn a_bad_file_of_the_engine_is_told_once_and_what_held_before_goes_on() {
    let (watched, write) = configured(&entry("noop", 3), &["noop"]);
    write("no toml");
    watched.await_word("misconfigured engine.toml", 1);
    watched.copy("same-id", "noop.so");
    watched.await_display("noop", "the other noop");
    assert_eq!(interval(&watched, "noop"), 3);
    watched.copy("counter", "counter.so");
    watched.await_word("enabled counter.so", 1);
    watched.await_looks(2);
    watched.await_word("misconfigured engine.toml", 1);
    write(&entry("noop", 5));
    wait_for("the interval", || interval(&watched, "noop") == 5);
}

#[test]
fn a_plugin_that_the_engines_file_no_longer_makes_is_unloaded_and_a_new_one_is_loaded() {
    let made = |id: &str| format!("[[plugin]]\nfile = \"noop.so\"\nid = \"{id}\"\n");
    let (watched, write) = configured(&(made("one") + &made("two")), &["noop"]);
    write(&(made("two") + &made("three")));
    wait_for("the change", || {
        watched.rig.state("one") == PluginState::Unloaded
            && watched.rig.state("three") == PluginState::Enabled
    });
    assert_eq!(watched.rig.snapshot("two").generation, 1);
}

#[test]
fn of_two_plugins_of_one_file_the_one_that_was_unloaded_by_hand_stays_so_until_the_file_changes() {
    let made = |id: &str| format!("[[plugin]]\nfile = \"noop.so\"\nid = \"{id}\"\n");
    let (watched, _write) = configured(&(made("one") + &made("two")), &["noop"]);
    watched.rig.engine.unload("two").unwrap();
    watched.write("noop.toml", "interval = \"3s\"\n");
    wait_for("the interval", || interval(&watched, "one") == 3);
    watched.await_looks(1);
    assert_eq!(watched.rig.state("two"), PluginState::Unloaded);
    watched.copy("same-id", "noop.so");
    watched.await_display("two", "the other noop");
    watched.await_display("one", "the other noop");
}

#[test]
fn a_file_that_was_refused_by_the_lock_is_tried_again_when_the_lock_changes() {
    let rig = Rig::with(slow_to_remove);
    std::fs::write(rig.dir().join("plugins.lock"), "format = 1\n").unwrap();
    let watched = Watched::over(rig, &[]);
    watched.copy("noop", "noop.so");
    watched.write("bad.so", "no library");
    watched.await_word("refused noop.so", 1);
    watched.await_word("refused bad.so", 1);
    let lock = plugin_engine::lock_directory(watched.rig.dir(), &Default::default()).unwrap();
    lock.write().unwrap();
    watched.await_word("enabled noop.so", 1);
    // For the other one nothing has changed.
    watched.await_word("refused bad.so", 1);
    assert_eq!(watched.words().len(), 3);
}

#[test]
fn what_is_synced_by_hand_is_told_there_and_not_by_the_watch_again() {
    let rig = Rig::with(|builder| {
        slow_to_remove(builder)
            .watch_settle(Duration::from_secs(60))
            .watch_rescan(Duration::from_millis(10))
    });
    let watched = Watched::over(rig, &["counter"]);
    watched.copy("noop", "noop.so");
    watched.write("bad.so", "no library");
    watched.remove("counter.so");
    let sync = || {
        let mut told = Vec::new();
        let synced = watched.rig.engine.sync(|outcome| told.push(outcome));
        synced.unwrap();
        told
    };
    let told = sync();
    assert_eq!(told.len(), 3, "{told:?}");
    assert_eq!(watched.rig.state("noop"), PluginState::Enabled);
    assert_eq!(
        watched.rig.causes("counter").last(),
        Some(&Cause::FileRemoved)
    );
    // Asked again, what was refused is tried again, and nothing else is told.
    let told = sync();
    assert!(
        matches!(&told[..], [LoadOutcome::Refused { .. }]),
        "{told:?}"
    );
    assert_eq!(watched.words(), [""; 0]);
}

#[test]
fn a_sync_of_an_engine_that_was_shut_down_is_an_error() {
    let rig = Rig::new();
    rig.engine.shutdown(Duration::from_secs(1)).unwrap();
    let error = rig.engine.sync(|_| ()).unwrap_err();
    assert_eq!(error.code(), Code::SHUT_DOWN);
}

#[test]
fn a_sync_without_a_directory_is_an_error_and_changes_nothing() {
    let parent = TempDir::new().unwrap();
    let dir = parent.path().join("plugins.d");
    std::fs::create_dir(&dir).unwrap();
    std::fs::copy(plugin_engine_tests::built("noop"), dir.join("noop.so")).unwrap();
    let rig = Rig::with(|builder| builder.plugin_dir(&dir));
    rig.load();
    for empty in [false, true] {
        std::fs::rename(&dir, parent.path().join("away")).unwrap();
        if empty {
            std::fs::create_dir(&dir).unwrap();
        }
        let error = rig.engine.sync(|_| ()).unwrap_err();
        assert_eq!(error.code(), Code::DIRECTORY_UNREADABLE, "{error}");
        assert_eq!(rig.state("noop"), PluginState::Enabled);
        if empty {
            std::fs::remove_dir(&dir).unwrap();
        }
        std::fs::rename(parent.path().join("away"), &dir).unwrap();
    }
    rig.engine.sync(|outcome| panic!("{outcome}")).unwrap();
}

#[test]
fn an_engine_without_a_directory_has_nothing_to_watch() {
    let engine = plugin_engine::Engine::builder().build().unwrap();
    let _watch = engine.watch(|_| ()).unwrap();
    engine.sync(|_| ()).unwrap();
}
