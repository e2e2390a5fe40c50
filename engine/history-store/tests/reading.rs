//! Who reads changes nothing, waits for nobody, and sees one moment.

mod support;

use std::fs;
use std::path::Path;
use std::time::Duration;

use plugin_engine_core::{Cause, HistoryFilter, PluginState, WallTime};
use plugin_engine_history_store::{
    Batch, Change, EngineRecord, Entry, Folded, Gap, HistoryEntry, PluginEntries, Reader, Started,
    Stopped, Store, Update,
};
use support::{Engine, START_NS, id, transitions};

fn names(dir: &Path) -> Vec<String> {
    let mut names: Vec<_> = fs::read_dir(dir)
        .unwrap()
        .map(|file| file.unwrap().file_name().into_string().unwrap())
        .collect();
    names.sort();
    names
}

#[test]
fn a_file_at_rest_is_read_without_a_trace() {
    let dir = tempfile::tempdir().unwrap();
    // Characters that mean something in an address.
    let path = dir.path().join("a history?mode=rwc#%41.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let all = Engine::new(1, 3).some(100);
    store.append(&Batch::of(&all).unwrap()).unwrap();
    store.close().unwrap();
    let before = (fs::read(&path).unwrap(), names(dir.path()));
    let mut reader = Reader::open(&path).unwrap();
    assert!(transitions(&mut reader, &HistoryFilter::default(), u64::MAX) == all);
    assert_eq!(names(dir.path()), before.1, "while it is open");
    drop(reader);
    assert!((fs::read(&path).unwrap(), names(dir.path())) == before);
}

#[test]
fn a_reader_that_came_first_sees_what_is_written_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    drop(Store::open(&path).unwrap());
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 0);
    let mut engine = Engine::new(2, 3);
    let mut all = Vec::new();
    for _ in 0..3 {
        // Opened, written and closed while nobody asked, so that no file beside it tells of it.
        let (mut store, _) = Store::open(&path).unwrap();
        let some = engine.some(500);
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
        store.close().unwrap();
        assert!(transitions(&mut reader, &HistoryFilter::default(), u64::MAX) == all);
        assert_eq!(reader.last_seq().unwrap(), all.len() as u64);
    }
}

#[test]
fn a_question_that_takes_long_does_not_hold_up_the_writer() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let mut engine = Engine::new(3, 3);
    store
        .append(&Batch::of(&engine.some(100)).unwrap())
        .unwrap();
    let slow = rusqlite::Connection::open(&path).unwrap();
    slow.execute_batch("BEGIN; SELECT count(*) FROM run;")
        .unwrap();
    for _ in 0..50 {
        store
            .append(&Batch::of(&engine.some(300)).unwrap())
            .unwrap();
    }
    let mut reader = Reader::open(&path).unwrap();
    assert_eq!(reader.last_seq().unwrap(), 15_100);
}

#[test]
fn what_stands_for_several_entries_is_told_to_who_may_want_one_of_them() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let at = |seconds: u64| WallTime::from_unix_nanos(START_NS + seconds * 1_000_000_000);
    let folded = Folded {
        first_seq: 2,
        last_seq: 41,
        transitions: 40,
        updates: 20,
        first_at: at(1),
        last_at: at(20),
        total_duration: std::time::Duration::from_millis(3),
    };
    let gap = Gap {
        first_seq: 42,
        last_seq: 50,
        count: 9,
        first_at: at(21),
        last_at: at(30),
    };
    let started = Started {
        seq: 1,
        at: at(0),
        pid: 1,
        version: "0.1.0".into(),
        lost: None,
    };
    let stopped = Stopped {
        seq: 51,
        at: at(40),
    };
    let (mut store, _) = Store::open(&path).unwrap();
    store
        .append(&Batch {
            first_seq: 1,
            last_seq: 51,
            plugins: vec![PluginEntries {
                id: id(1),
                generation: 4,
                version: None,
                entries: vec![Entry::Folded(folded), Entry::Gap(gap)],
            }],
            engine: vec![
                EngineRecord::Started(started.clone()),
                EngineRecord::Stopped(stopped),
            ],
            rows: Vec::new(),
        })
        .unwrap();
    let all = [
        HistoryEntry::Started(started),
        HistoryEntry::Folded {
            id: id(1),
            generation: 4,
            folded,
        },
        HistoryEntry::Gap { id: id(1), gap },
        HistoryEntry::Stopped(stopped),
    ];
    let mut reader = Reader::open(&path).unwrap();
    let mut found = |pairs: &[(&str, &str)]| {
        let mut filter = HistoryFilter::default();
        for (key, value) in pairs {
            filter.set(key, value, at(100)).unwrap();
        }
        let found = reader.query(&filter, u64::MAX).unwrap();
        let places = found
            .iter()
            .map(|entry| all.iter().position(|other| other == entry));
        places
            .map(|place| place.expect("it is one of them"))
            .collect::<Vec<_>>()
    };
    assert_eq!(found(&[]), [0, 1, 2, 3]);
    assert_eq!(found(&[("order", "newest"), ("limit", "3")]), [3, 2, 1]);
    assert_eq!(found(&[("id", "plugin-1")]), [1, 2]);
    assert_eq!(found(&[("id", "plugin-2")]), [0; 0]);
    assert_eq!(
        found(&[("errors", "true")]),
        [2],
        "nobody knows what was in the gap"
    );
    assert_eq!(found(&[("cause", "update_completed")]), [1, 2]);
    assert_eq!(found(&[("cause", "reloaded")]), [2]);
    assert_eq!(found(&[("generation", "3")]), [2]);
    assert_eq!(found(&[("after", "41")]), [2, 3]);
    assert_eq!(found(&[("since", "2026-01-01T00:00:15Z")]), [1, 2, 3]);
    assert_eq!(found(&[("until", "2026-01-01T00:00:15Z")]), [0, 1]);
}

#[test]
fn what_happened_during_an_update_stands_between_its_start_and_its_completion() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (mut store, _) = Store::open(&path).unwrap();
    let at = WallTime::from_unix_nanos(START_NS);
    let meanwhile = Change {
        seq: 2,
        at,
        from: PluginState::Running,
        to: PluginState::Running,
        cause: Cause::LimitPassed,
        error: None,
        duration: None,
    };
    let update = Update {
        start_seq: 1,
        end_seq: 3,
        at,
        duration: Duration::from_millis(5),
    };
    for entries in [
        vec![Entry::Change(meanwhile.clone()), Entry::Update(update)],
        vec![Entry::Update(update), Entry::Change(meanwhile)],
    ] {
        let first_seq = store.last_seq() + 1;
        let later = |entry: &Entry| match entry.clone() {
            Entry::Update(mut update) => {
                update.start_seq += first_seq - 1;
                update.end_seq += first_seq - 1;
                Entry::Update(update)
            }
            Entry::Change(mut change) => {
                change.seq += first_seq - 1;
                Entry::Change(change)
            }
            other => other,
        };
        store
            .append(&Batch {
                first_seq,
                last_seq: first_seq + 2,
                plugins: vec![PluginEntries {
                    id: id(1),
                    generation: 1,
                    version: None,
                    entries: entries.iter().map(later).collect(),
                }],
                engine: Vec::new(),
                rows: Vec::new(),
            })
            .unwrap();
    }
    let mut reader = Reader::open(&path).unwrap();
    let found = transitions(&mut reader, &HistoryFilter::default(), u64::MAX);
    let found: Vec<_> = found.iter().map(|one| (one.seq, one.cause)).collect();
    use Cause::{LimitPassed, UpdateCompleted, UpdateStarted};
    let causes = [UpdateStarted, LimitPassed, UpdateCompleted];
    let wanted: Vec<_> = (1..).zip([causes, causes].concat()).collect();
    assert_eq!(found, wanted);
}
