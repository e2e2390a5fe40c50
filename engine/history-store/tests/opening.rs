//! Files that are not there, not ours, not whole, or not free.

mod support;

use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::path::Path;
use std::time::Duration;

use plugin_engine_core::{HistoryFilter, WallTime};
use plugin_engine_history_store::{
    Batch, EngineRecord, EngineRun, Entry, PluginRow, Reader, Started, Stopped, Store,
    StoreErrorKind, StoreOptions, set_aside,
};
use rusqlite::Connection;
use support::{Engine, START_NS, id, transitions};
use tempfile::TempDir;

fn directory() -> (TempDir, std::path::PathBuf) {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    (dir, path)
}

fn impatient(path: &Path) -> Store {
    let options = StoreOptions {
        busy_timeout: Duration::ZERO,
        ..StoreOptions::default()
    };
    Store::open_with(path, &options).unwrap().0
}

fn kind_of_opening(path: &Path) -> StoreErrorKind {
    Store::open(path).unwrap_err().kind()
}

#[test]
fn a_new_file_and_those_beside_it_are_for_their_owner_alone() {
    let (dir, path) = directory();
    let (mut store, opened) = Store::open(&path).unwrap();
    assert!(opened.created && opened.last_seq == 0 && opened.last_run.is_none());
    let mut engine = Engine::new(1, 2);
    store.append(&Batch::of(&engine.some(10)).unwrap()).unwrap();
    let mut names = Vec::new();
    for file in fs::read_dir(dir.path()).unwrap() {
        let file = file.unwrap();
        assert_eq!(file.metadata().unwrap().permissions().mode() & 0o777, 0o600);
        names.push(file.file_name());
    }
    names.sort();
    assert_eq!(names, ["history.db", "history.db-shm", "history.db-wal"]);
    store.close().unwrap();
    assert_eq!(
        fs::read_dir(dir.path()).unwrap().count(),
        1,
        "nothing is left beside it"
    );
}

#[test]
fn what_is_remembered_is_there_at_the_next_start() {
    let (_dir, path) = directory();
    let (mut store, _) = Store::open(&path).unwrap();
    let at = |seconds: u64| WallTime::from_unix_nanos(START_NS + seconds * 1_000_000_000);
    let started = |seq, lost| Started {
        seq,
        at: at(seq),
        pid: 77,
        version: "0.1.0".into(),
        lost,
    };
    let of_engine = |first_seq, records: Vec<EngineRecord>| Batch {
        first_seq,
        last_seq: records.last().unwrap().seq(),
        plugins: Vec::new(),
        engine: records,
        rows: vec![PluginRow {
            id: id(3),
            generation: first_seq as u32,
            off_by_hand: first_seq > 1,
        }],
    };
    let stopped = Stopped { seq: 2, at: at(9) };
    let records = vec![
        EngineRecord::Started(started(1, None)),
        EngineRecord::Stopped(stopped),
    ];
    store.append(&of_engine(1, records)).unwrap();
    let run = Store::open(&path).unwrap().1.last_run.unwrap();
    assert_eq!(
        run,
        EngineRun {
            started: started(1, None),
            stopped: Some(stopped)
        }
    );
    let second = started(1_001, Some((3, 1_000)));
    store
        .append(&of_engine(
            1_001,
            vec![EngineRecord::Started(second.clone())],
        ))
        .unwrap();
    drop(store);
    let opened = Store::open(&path).unwrap().1;
    assert!(!opened.created && opened.migrated_from.is_none());
    assert_eq!(opened.last_seq, 1_001);
    assert_eq!(
        opened.last_run,
        Some(EngineRun {
            started: second,
            stopped: None
        })
    );
    assert_eq!(
        opened.plugins,
        [PluginRow {
            id: id(3),
            generation: 1_001,
            off_by_hand: true
        }]
    );
}

#[test]
fn a_last_number_that_nobody_can_have_reached_is_damage() {
    let (_dir, path) = directory();
    drop(Store::open(&path).unwrap());
    for (number, is_good) in [
        (-1, false),
        (i64::MAX, false),
        ((1 << 61) + 1, false),
        (1 << 61, true),
    ] {
        let connection = Connection::open(&path).unwrap();
        connection
            .execute("UPDATE state SET last_seq = ?1", [number])
            .unwrap();
        drop(connection);
        let opened = Store::open(&path).map(|(_, opened)| opened.last_seq);
        match opened {
            Ok(last) => assert!(is_good && last == 1 << 61, "{number}"),
            Err(error) => {
                assert!(!is_good, "{number}: {error}");
                assert_eq!(error.kind(), StoreErrorKind::Corrupt);
                assert!(error.to_string().contains(&number.to_string()), "{error}");
            }
        }
    }
}

#[test]
fn what_does_not_fit_together_is_refused_and_nothing_of_it_is_there() {
    let (_dir, path) = directory();
    let (mut store, _) = Store::open(&path).unwrap();
    let mut engine = Engine::new(4, 3);
    let all = engine.some(30);
    let whole = Batch::of(&all[..20]).unwrap();
    let with = |change: fn(&mut Batch)| {
        let mut batch = whole.clone();
        change(&mut batch);
        batch
    };
    let bad = [
        with(|batch| batch.last_seq += 1),
        with(|batch| batch.first_seq += 1),
        with(|batch| drop(batch.plugins.pop())),
        with(|batch| batch.plugins.push(batch.plugins[0].clone())),
        with(|batch| {
            batch.last_seq += 1;
            let at = WallTime::default();
            batch.engine = vec![EngineRecord::Stopped(Stopped { seq: 21, at })];
        }),
        // Twice the same numbers, and as many others not at all.
        with(|batch| {
            let entries = batch.plugins[0].entries.clone();
            let transitions = |entry: &Entry| {
                if matches!(entry, Entry::Update(_)) {
                    2
                } else {
                    1
                }
            };
            batch.last_seq += entries.iter().map(transitions).sum::<u64>();
            batch.plugins[0].entries.extend(entries);
        }),
    ];
    for batch in bad {
        let error = store.append(&batch).unwrap_err();
        assert_eq!(error.kind(), StoreErrorKind::Invalid, "{error}");
    }
    store.append(&whole).unwrap();
    let again = store.append(&whole).unwrap_err();
    assert_eq!(again.kind(), StoreErrorKind::Invalid, "{again}");
    store.append(&Batch::of(&all[20..]).unwrap()).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert!(transitions(&mut reader, &HistoryFilter::default(), u64::MAX) == all);
}

#[test]
fn a_locked_file_takes_the_same_batch_when_it_is_free() {
    let (_dir, path) = directory();
    let mut store = impatient(&path);
    let other = Connection::open(&path).unwrap();
    other.execute_batch("BEGIN IMMEDIATE").unwrap();
    let all = Engine::new(5, 3).some(50);
    let batch = Batch::of(&all).unwrap();
    let error = store.append(&batch).unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Locked, "{error}");
    assert_eq!(store.last_seq(), 0);
    other.execute_batch("COMMIT").unwrap();
    store.append(&batch).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    assert!(transitions(&mut reader, &HistoryFilter::default(), u64::MAX) == all);
}

#[test]
fn a_damaged_file_is_set_aside_and_a_new_one_takes_its_place() {
    let (dir, path) = directory();
    let bytes = b"this was a history once, and is none any more".repeat(200);
    fs::write(&path, &bytes).unwrap();
    assert_eq!(kind_of_opening(&path), StoreErrorKind::Corrupt);
    fs::write(dir.path().join("history.db-wal"), b"its log").unwrap();
    let now = WallTime::from_unix_nanos(START_NS);
    let name = set_aside(&path, now).unwrap();
    assert_eq!(
        name,
        dir.path()
            .join("history.db.damaged-2026-01-01T00-00-00.000Z")
    );
    assert_eq!(fs::read(&name).unwrap(), bytes);
    assert!(!dir.path().join("history.db-wal").exists());
    assert!(Store::open(&path).unwrap().1.created);
    fs::write(&path, &bytes).unwrap();
    let second = set_aside(&path, now).unwrap();
    assert_ne!(second, name, "what was set aside before is still there");
    assert_eq!(fs::read(&name).unwrap(), bytes);
}

#[test]
fn damage_in_the_middle_is_told_from_other_trouble() {
    let (_dir, path) = directory();
    let (mut store, _) = Store::open(&path).unwrap();
    let mut engine = Engine::new(6, 3);
    store
        .append(&Batch::of(&engine.some(4_000)).unwrap())
        .unwrap();
    store.close().unwrap();
    let mut bytes = fs::read(&path).unwrap();
    for page in 8..bytes.len() / 4096 {
        bytes[page * 4096..page * 4096 + 64].fill(0xee);
    }
    fs::write(&path, &bytes).unwrap();
    let asked = Reader::open(&path)
        .and_then(|mut reader| reader.query(&HistoryFilter::default(), u64::MAX));
    let error = asked.unwrap_err();
    assert_eq!(error.kind(), StoreErrorKind::Corrupt, "{error}");
}

#[test]
fn a_file_of_another_program_is_left_as_it_is() {
    let (_dir, path) = directory();
    let other = Connection::open(&path).unwrap();
    other
        .execute_batch("CREATE TABLE theirs (a); INSERT INTO theirs VALUES (1)")
        .unwrap();
    drop(other);
    let before = fs::read(&path).unwrap();
    assert_eq!(kind_of_opening(&path), StoreErrorKind::Foreign);
    assert_eq!(
        Reader::open(&path).unwrap_err().kind(),
        StoreErrorKind::Foreign
    );
    assert!(fs::read(&path).unwrap() == before);
}

#[test]
fn a_file_of_a_newer_version_is_refused_in_words() {
    let (_dir, path) = directory();
    drop(Store::open(&path).unwrap());
    let newer = Connection::open(&path).unwrap();
    newer.pragma_update(None, "user_version", 99).unwrap();
    drop(newer);
    for error in [
        Store::open(&path).unwrap_err(),
        Reader::open(&path).unwrap_err(),
    ] {
        assert_eq!(error.kind(), StoreErrorKind::NewerVersion);
        assert!(error.to_string().contains("version 99"), "{error}");
    }
}

#[test]
fn a_directory_that_is_not_there_is_named() {
    let (dir, _) = directory();
    let path = dir.path().join("none/history.db");
    let error = Store::open(&path).unwrap_err();
    assert!(error.to_string().contains("none/history.db"), "{error}");
    assert_eq!(
        Reader::open(&path).unwrap_err().kind(),
        StoreErrorKind::Missing
    );
}
