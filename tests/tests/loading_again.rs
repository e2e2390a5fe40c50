//! Loading more than once: the same directory again, a file that has changed, an id that was let go.

use std::os::unix::fs::PermissionsExt;
use std::time::Duration;

use plugin_engine::{Code, Error, LoadOutcome, PluginState};
use plugin_engine_tests::{Gate, Rig, built, wait_for};
use tempfile::TempDir;

fn codes(outcomes: &[LoadOutcome]) -> Vec<Option<Code>> {
    outcomes.iter().map(LoadOutcome::code).collect()
}

fn put(rig: &Rig, fixture: &str, file: &str) {
    std::fs::copy(built(fixture), rig.dir().join(file)).unwrap();
}

/// How many sealed copies of files of this name the process holds.
fn sealed(name: &str) -> usize {
    let begin = format!("/memfd:{name}");
    let links = std::fs::read_dir("/proc/self/fd").unwrap();
    links
        .filter_map(|entry| std::fs::read_link(entry.unwrap().path()).ok())
        .filter(|link| link.to_string_lossy().starts_with(&begin))
        .count()
}

#[test]
fn a_file_that_is_refused_once_it_was_mapped_is_mapped_once_however_often_it_is_loaded() {
    let rig = Rig::new();
    put(&rig, "schema-is-none", "mapped-once.so");
    for _ in 0..4 {
        let outcomes = rig.load_any();
        assert_eq!(codes(&outcomes), [Some(Code::CONFIG_BAD_SCHEMA)]);
        assert!(outcomes[0].to_string().contains("mapped-once.so"));
        assert_eq!(sealed("mapped-once.so"), 1);
    }
    assert_eq!(rig.engine.usage().libraries, 1);
}

/// A rig with an engine's file, and that file.
fn configured(text: &str) -> (Rig, impl Fn(&str) + use<>) {
    let dir = TempDir::new().unwrap();
    let path = dir.path().join("engine.toml");
    let write = move |text: &str| std::fs::write(dir.path().join("engine.toml"), text).unwrap();
    write(text);
    (Rig::with(|builder| builder.config_file(path)), write)
}

#[test]
fn two_entries_that_make_one_plugin_of_a_file_are_told_and_the_first_holds() {
    let entry = |interval| format!("[[plugin]]\nfile = \"a.so\"\ninterval = \"{interval}\"\n");
    let (rig, _write) = configured(&(entry("3s") + &entry("2s")));
    put(&rig, "noop", "a.so");
    let outcomes = rig.load_any();
    assert_eq!(codes(&outcomes), [Some(Code::CONFIG_DUPLICATE_ID), None]);
    assert!(
        outcomes[0].to_string().contains("engine.toml:4"),
        "{outcomes:?}"
    );
    assert_eq!(rig.snapshot("noop").interval(), Duration::from_secs(3));
}

#[test]
fn a_file_of_the_plugin_directory_is_the_same_one_whichever_way_it_is_named() {
    let entry = "[[plugin]]\nfile = \"a.so\"\nid = \"quiet\"\nenabled = false\n";
    let (rig, _write) = configured(entry);
    put(&rig, "noop", "a.so");
    let name = rig.dir().file_name().unwrap();
    rig.engine
        .load_file(rig.dir().join("..").join(name).join("a.so"))
        .unwrap();
    assert_eq!(rig.state("quiet"), PluginState::Disabled);
    assert_eq!(rig.engine.snapshots().len(), 1);
    let again = rig.load_any();
    assert!(
        matches!(again[..], [LoadOutcome::AlreadyLoaded { .. }]),
        "{again:?}"
    );
}

#[test]
fn an_entry_that_was_added_for_a_loaded_file_becomes_a_plugin_at_the_next_load() {
    let entry = |id| format!("[[plugin]]\nfile = \"a.so\"\nid = \"{id}\"\n");
    let (rig, write) = configured(&entry("one"));
    put(&rig, "noop", "a.so");
    rig.load();
    write(&(entry("one") + &entry("two")));
    let again = rig.load_any();
    let states = ["one", "two"].map(|id| rig.state(id));
    assert_eq!(states, [PluginState::Enabled; 2], "{again:?}");
    assert_eq!(rig.snapshot("one").generation, 1);
}

#[test]
fn a_plugin_that_was_unloaded_by_hand_keeps_its_id_for_as_long_as_its_file_is_there() {
    for mode in [0o644, 0o666] {
        let rig = Rig::new();
        put(&rig, "noop", "m.so");
        rig.load();
        rig.engine.unload("noop").unwrap();
        put(&rig, "same-id", "a.so");
        let other = rig.dir().join("a.so");
        std::fs::set_permissions(&other, std::fs::Permissions::from_mode(mode)).unwrap();
        rig.load_any();
        assert_eq!(rig.state("noop"), PluginState::Unloaded, "{mode:o}");
        assert_eq!(rig.engine.refused().len(), 1);
        rig.engine.load("noop").unwrap();
        let shown = rig.engine.display("noop").unwrap();
        assert_ne!(shown.as_text(), Some("the other noop"));
    }
}

#[test]
fn the_id_of_a_plugin_that_was_unloaded_is_free_for_a_file_that_somebody_names_or_once_its_own_is_gone()
 {
    for named in [true, false] {
        let rig = Rig::new();
        put(&rig, "noop", "m.so");
        rig.load();
        rig.engine.unload("noop").unwrap();
        put(&rig, "same-id", "a.so");
        if named {
            rig.engine.load_file(rig.dir().join("a.so")).unwrap();
        } else {
            std::fs::remove_file(rig.dir().join("m.so")).unwrap();
            rig.load();
        }
        let shown = rig.engine.display("noop").unwrap();
        assert_eq!(shown.as_text(), Some("the other noop"), "{named}");
    }
}

#[test]
fn a_plugin_that_was_unloaded_says_so_where_its_file_is_loaded_again() {
    let rig = Rig::new();
    put(&rig, "noop", "a.so");
    rig.load();
    let told = |outcomes: &[LoadOutcome]| outcomes[0].to_string();
    assert_eq!(
        told(&rig.engine.load_all()),
        "noop: is loaded already, Enabled"
    );
    rig.engine.unload("noop").unwrap();
    let file = rig.dir().join("a.so");
    for outcomes in [rig.engine.load_all(), rig.engine.load_file(file).unwrap()] {
        assert_eq!(
            told(&outcomes),
            "noop: was unloaded, and stays so until its file changes or it is loaded by its id"
        );
        assert_eq!(rig.state("noop"), PluginState::Unloaded);
    }
    rig.engine.load("noop").unwrap();
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_plugin_is_not_loaded_again_from_a_file_that_is_another_plugin_by_now() {
    let rig = Rig::new();
    put(&rig, "noop", "a.so");
    rig.load();
    rig.engine.unload("noop").unwrap();
    put(&rig, "counter", "a.so");
    let error = rig.engine.load("noop").unwrap_err();
    assert_eq!(error.code(), Code::ANOTHER_PLUGIN, "{error}");
    assert_eq!(rig.state("noop"), PluginState::Error);
    rig.load();
    assert_eq!(rig.state("counter"), PluginState::Enabled);
    put(&rig, "noop", "a.so");
    rig.engine.reset("noop").unwrap();
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_file_whose_configuration_is_bad_is_among_the_refused_until_that_is_mended() {
    let rig = Rig::new();
    put(&rig, "noop", "a.so");
    let beside = rig.dir().join("a.toml");
    std::fs::write(&beside, "intervall = \"3s\"\n").unwrap();
    let told = codes(&rig.load_any());
    assert_eq!(told, [Some(Code::CONFIG_UNKNOWN_KEY)]);
    let refused: Vec<_> = rig.engine.refused();
    assert_eq!(refused.len(), 1);
    assert_eq!(Some(refused[0].code()), told[0]);
    assert!(
        refused[0].to_string().contains("a.toml:1:1"),
        "{}",
        refused[0]
    );
    std::fs::write(&beside, "interval = \"3s\"\n").unwrap();
    rig.load();
    assert!(rig.engine.refused().is_empty());
    // What runs is not among the refused, whatever is said of it since.
    std::fs::write(&beside, "intervall = \"3s\"\n").unwrap();
    assert_eq!(codes(&rig.load_any()), told);
    assert!(rig.engine.refused().is_empty());
    assert_eq!(rig.state("noop"), PluginState::Enabled);
}

#[test]
fn a_load_that_meets_a_shutdown_loads_no_further_file() {
    let rig = Rig::new();
    std::fs::write(rig.dir().join("a.so"), "no library").unwrap();
    put(&rig, "noop", "b.so");
    let mut told = 0;
    let ended = rig.engine.load_each(|_| {
        told += 1;
        rig.engine.shutdown(Duration::from_secs(1)).unwrap();
    });
    assert!(matches!(ended, Err(Error::ShutDown)), "{ended:?}");
    assert_eq!((told, rig.engine.usage().libraries), (1, 0));
}

#[test]
fn what_was_wrong_with_the_settings_of_an_earlier_load_does_not_make_a_reset_load_anew() {
    let rig = Rig::new();
    rig.drop_as("quotes-settings", "mended", "[settings]\ntoken = 1\n");
    let outcomes = rig.load_any();
    assert_eq!(codes(&outcomes), [Some(Code::CONFIG_SETTINGS)]);
    rig.engine.unload("mended").unwrap();
    rig.drop_as(
        "quotes-settings",
        "mended",
        "[settings]\ntoken = \"good\"\n",
    );
    rig.engine.load("mended").unwrap();
    // A reset needs neither the file nor what is said of it.
    std::fs::remove_file(rig.dir().join("mended.so")).unwrap();
    rig.engine.reset("mended").unwrap();
    let snapshot = rig.snapshot("mended");
    assert_eq!(
        (snapshot.state, snapshot.error),
        (PluginState::Enabled, None)
    );
}

#[test]
fn of_two_files_that_wait_for_one_id_the_slower_is_refused_with_both_paths() {
    let (rig, gate) = (Rig::new(), Gate::new());
    let waits = gate.settings("in_call = \"destroy\"");
    rig.drop_as("gated", "one", &waits);
    rig.load();
    std::thread::scope(|scope| {
        // Holds the turn of the id until its destroy is let go, with the id unloaded.
        let unload = scope.spawn(|| rig.engine.unload("one"));
        gate.await_entry(1);
        let load = |fixture: &str| {
            put(&rig, fixture, &format!("{fixture}.so"));
            let beside = rig.dir().join(format!("{fixture}.toml"));
            std::fs::write(beside, "id = \"one\"\n").unwrap();
            let file = rig.dir().join(format!("{fixture}.so"));
            let engine = rig.engine.clone();
            scope.spawn(move || engine.load_file(file).unwrap())
        };
        let loads = ["noop", "counter"].map(load);
        wait_for("both files to be mapped", || {
            rig.engine.usage().libraries == 3
        });
        gate.open(1);
        unload.join().unwrap().unwrap();
        let outcomes: Vec<_> = loads
            .into_iter()
            .flat_map(|load| load.join().unwrap())
            .collect();
        let mut codes = codes(&outcomes);
        codes.sort_by_key(Option::is_some);
        assert_eq!(codes, [None, Some(Code::ID_TAKEN)], "{outcomes:?}");
    });
    assert_eq!(rig.engine.refused().len(), 1);
}
