//! What a person does to a plugin that a history on disk remembers: switching it off, and having it forgotten.

use std::time::Duration;

use plugin_engine::{Cause, HistoryFilter, HistoryMark, PluginState};
use plugin_engine_tests::{DurableSite, wait_for};

const BUDGET: Duration = Duration::from_secs(30);

#[test]
fn what_a_person_has_switched_off_stays_off_after_a_restart() {
    let site = DurableSite::of(&[("noop", "p"), ("noop", "q")]);
    let first = site.loaded();
    first.disable("p").unwrap();
    first.shutdown(BUDGET).unwrap();
    drop(first);
    let second = site.engine();
    second.load_all();
    assert_eq!(second.snapshot("p").state, PluginState::Disabled);
    assert_eq!(second.snapshot("q").state, PluginState::Enabled);
    second.enable("p").unwrap();
    second.shutdown(BUDGET).unwrap();
    drop(second);
    let third = site.loaded();
    assert_eq!(third.snapshot("p").state, PluginState::Enabled);
}

#[test]
fn a_plugin_is_forgotten_in_memory_and_on_disk_when_it_is_unloaded() {
    let site = DurableSite::of(&[("noop", "p"), ("noop", "q")]);
    let engine = site.loaded();
    site.cycles(&engine, 3);
    let refused = engine.forget("p").unwrap_err().to_string();
    assert!(
        refused.contains("forget is not possible in the state Enabled"),
        "{refused}"
    );
    engine.unload("p").unwrap();
    engine.forget("p").unwrap();
    assert_eq!(engine.history("p").into_iter().count(), 0);
    assert!(engine.history("q").into_iter().count() > 6);
    engine.load("p").unwrap();
    let causes: Vec<_> = engine
        .history("p")
        .into_iter()
        .map(|entry| entry.cause)
        .collect();
    assert_eq!(
        causes,
        [Cause::Mapped, Cause::Created],
        "only what came since"
    );
    engine.shutdown(BUDGET).unwrap();
    drop(engine);
    let second = site.engine();
    let before: Vec<_> = second
        .history("p")
        .into_iter()
        .map(|entry| entry.cause)
        .collect();
    assert_eq!(before, [Cause::Mapped, Cause::Created, Cause::ShutDown]);
}

#[test]
fn what_could_not_be_written_before_a_plugin_is_forgotten_does_not_come_back() {
    let site = DurableSite::of(&[("noop", "p"), ("noop", "q")]);
    let engine = site.loaded();
    site.cycles(&engine, 3);
    assert!(engine.flush_history(BUDGET));
    let locked = site.lock();
    site.cycles(&engine, 3);
    engine.unload("p").unwrap();
    wait_for("the problem", || {
        let _ = engine.flush_history(BUDGET);
        engine.history_status().unwrap().problem.is_some()
    });
    let refused = engine.forget("p").unwrap_err().to_string();
    assert!(
        refused.contains("cannot be written at present"),
        "{refused}"
    );
    assert!(engine.history("p").into_iter().count() > 6);
    locked.execute_batch("ROLLBACK").unwrap();
    drop(locked);
    engine.forget("p").unwrap();
    assert!(engine.flush_history(BUDGET));
    assert_eq!(engine.history("p").into_iter().count(), 0);
    engine.shutdown(BUDGET).unwrap();
    drop(engine);
    let second = site.engine();
    assert_eq!(second.history("p").into_iter().count(), 0);
    assert!(second.history("q").into_iter().count() > 6);
}

#[test]
fn a_plugin_that_was_switched_off_stays_off_after_a_kill_once_the_entry_of_that_is_written() {
    let site = DurableSite::of(&[("slow-destroy", "p"), ("noop", "q")]);
    let engine = site.loaded();
    let disabled = {
        let engine = engine.clone();
        std::thread::spawn(move || engine.disable("p"))
    };
    // Its instance is still being destroyed, and nothing else happens afterwards.
    wait_for("the entry", || {
        engine.snapshot("p").state == PluginState::Disabled
    });
    assert!(engine.flush_history(BUDGET));
    let reader = rusqlite::Connection::open(site.file()).unwrap();
    let is_off: bool = reader
        .query_row("SELECT off_by_hand FROM plugin WHERE id = 'p'", [], |row| {
            row.get(0)
        })
        .unwrap();
    assert!(is_off, "whoever is killed now has it off at the next start");
    drop(reader);
    let _ = disabled.join().unwrap();
    engine.shutdown(BUDGET).unwrap();
}

#[test]
fn what_a_person_has_switched_off_outlives_a_file_that_is_damaged_while_the_engine_runs() {
    let site = DurableSite::of(&[("noop", "p"), ("noop", "q")]);
    let first = site.loaded();
    first.disable("p").unwrap();
    let generation = first.snapshot("p").generation;
    assert!(first.flush_history(BUDGET));
    // Somebody else writes to it, so that the engine has to read it again.
    let other = rusqlite::Connection::open(site.file()).unwrap();
    other.busy_timeout(BUDGET).unwrap();
    other
        .execute_batch("CREATE TABLE other (a); PRAGMA wal_checkpoint(TRUNCATE);")
        .unwrap();
    std::fs::write(site.file(), vec![b'x'; 100_000]).unwrap();
    drop(other);
    // Nothing is entered of `p` any more.
    site.cycles(&first, 3);
    wait_for("a new file", || {
        let is_written = first.flush_history(Duration::from_millis(100));
        let len = site.file().metadata().map_or(0, |file| file.len());
        is_written && first.history_status().unwrap().problem.is_none() && len != 100_000
    });
    first.shutdown(BUDGET).unwrap();
    let status = first.history_status().unwrap();
    assert_eq!((status.held, status.problem), (0, None));
    drop(first);
    let second = site.engine();
    let marks = second.query(&HistoryFilter::default()).marks;
    let [
        HistoryMark::Started { seq: 1, lost, .. },
        HistoryMark::Stopped { .. },
        HistoryMark::Started { lost: None, .. },
    ] = &marks[..]
    else {
        panic!("{marks:?}");
    };
    let lost = lost.expect("it is named what the damaged file took along");
    assert!(lost.0 == 2 && lost.1 > 4, "{lost:?}");
    second.load_all();
    assert_eq!(second.snapshot("p").state, PluginState::Disabled);
    assert_eq!(second.snapshot("p").generation, generation + 1);
    assert_eq!(second.snapshot("q").state, PluginState::Enabled);
}

#[test]
fn what_a_history_remembers_that_could_not_be_read_at_the_start_holds_as_soon_as_it_can() {
    let site = DurableSite::of(&[
        ("noop", "off"),
        ("noop", "on"),
        ("noop", "later"),
        ("noop", "q"),
    ]);
    let first = site.loaded();
    for id in ["off", "on", "later"] {
        first.disable(id).unwrap();
    }
    first.unload("q").unwrap();
    first.load("q").unwrap();
    assert_eq!(first.snapshot("q").generation, 2);
    first.shutdown(BUDGET).unwrap();
    drop(first);
    // A directory is in its place.
    let aside = site.file().with_extension("aside");
    std::fs::rename(site.file(), &aside).unwrap();
    std::fs::create_dir(site.file()).unwrap();
    let later = site.dir.path().join("plugins").join("later.so");
    let elsewhere = site.dir.path().join("plugins").join("later.aside");
    std::fs::rename(&later, &elsewhere).unwrap();

    let second = site.engine();
    second.load_all();
    assert!(second.history_status().unwrap().problem.is_some());
    site.cycles(&second, 2);
    for id in ["off", "on", "q"] {
        assert_eq!(second.snapshot(id).state, PluginState::Enabled, "{id}");
        assert_eq!(second.snapshot(id).generation, 1, "{id}");
    }
    // Decided by somebody who did not know either.
    second.disable("on").unwrap();
    second.enable("on").unwrap();
    std::fs::remove_dir(site.file()).unwrap();
    std::fs::rename(&aside, site.file()).unwrap();
    wait_for("the file", || {
        site.cycles(&second, 1);
        second.flush_history(BUDGET) && second.snapshot("off").state == PluginState::Disabled
    });
    assert_eq!(second.snapshot("on").state, PluginState::Enabled);
    let calls = |id| second.snapshot(id).counts.calls;
    wait_for("its destroy", || {
        site.cycles(&second, 1);
        second.snapshot("off").in_flight.is_none() && calls("off") > 1
    });
    let before = calls("off");
    site.cycles(&second, 3);
    assert_eq!(calls("off"), before, "nothing of it is called any more");
    second.unload("q").unwrap();
    second.load("q").unwrap();
    assert_eq!(
        second.snapshot("q").generation,
        3,
        "two were counted before"
    );
    std::fs::rename(&elsewhere, &later).unwrap();
    second.load_all();
    assert_eq!(second.snapshot("later").state, PluginState::Disabled);
    second.shutdown(BUDGET).unwrap();
    drop(second);

    let third = site.engine();
    third.load_all();
    let states = ["off", "on", "later", "q"].map(|id| third.snapshot(id).state);
    use PluginState::{Disabled, Enabled};
    assert_eq!(states, [Disabled, Enabled, Disabled, Enabled]);
    let generations = ["off", "on", "later", "q"].map(|id| third.snapshot(id).generation);
    assert_eq!(generations, [2, 2, 3, 4]);
}
