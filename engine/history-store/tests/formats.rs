//! Every version of the file that there ever was is read, and brought up to date.

mod support;

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{
    CallKind, Cause, Fault, FaultKind, FaultReport, HistoryFilter, PluginState, WallTime,
};
use plugin_engine_history_store::{
    Batch, Change, EngineRecord, Entry, Folded, Gap, HistoryEntry, PluginEntries, PluginRow,
    Reader, Started, Stopped, Store, Update,
};
use support::{Engine, START_NS, id};

fn golden(version: u32) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR"))
        .join(format!("../../fixtures/files/state/history-{version}.db"))
}

fn at(millis: u64) -> WallTime {
    WallTime::from_unix_nanos(START_NS + millis * 1_000_000)
}

/// One of everything, and then enough updates for a row of its own.
fn batches() -> Vec<Batch> {
    let report = FaultReport {
        type_name: "std::io::Error".to_owned(),
        location: "src/lib.rs:7:9".to_owned(),
        ..FaultReport::new(FaultKind::Timeout, "no answer \u{1F980}\n")
    };
    let fault = Fault::new(&report, at(15), Some(CallKind::Update), true, 2);
    let change = |seq, cause, error, duration| {
        Entry::Change(Change {
            seq,
            at: at(seq),
            from: PluginState::Running,
            to: PluginState::Enabled,
            cause,
            error,
            duration,
        })
    };
    let timed_out = change(4, Cause::UpdateTimedOut, Some(Arc::new(fault)), None);
    let completed = change(
        6,
        Cause::UpdateCompleted,
        None,
        Some(Duration::from_nanos(77)),
    );
    let update = |start_seq, end_seq| {
        Entry::Update(Update {
            start_seq,
            end_seq,
            at: at(start_seq),
            duration: Duration::from_nanos(1_234_567),
        })
    };
    let first = Batch {
        first_seq: 1,
        last_seq: 30,
        plugins: vec![
            PluginEntries {
                id: id(1),
                generation: 3,
                version: Some("1.2.3-rc.1".into()),
                entries: vec![update(2, 3), timed_out, completed],
            },
            PluginEntries {
                id: id(2),
                generation: 1,
                version: None,
                entries: vec![
                    update(5, 7),
                    Entry::Folded(Folded {
                        first_seq: 8,
                        last_seq: 17,
                        transitions: 10,
                        updates: 5,
                        first_at: at(8),
                        last_at: at(17),
                        total_duration: Duration::from_nanos(99),
                    }),
                    Entry::Gap(Gap {
                        first_seq: 18,
                        last_seq: 29,
                        count: 12,
                        first_at: at(18),
                        last_at: at(29),
                    }),
                ],
            },
        ],
        engine: vec![
            EngineRecord::Started(Started {
                seq: 1,
                at: at(1),
                pid: 4_242,
                version: "0.1.0".into(),
                lost: None,
            }),
            EngineRecord::Stopped(Stopped {
                seq: 30,
                at: at(30),
            }),
        ],
        rows: vec![PluginRow {
            id: id(1),
            generation: 3,
            off_by_hand: true,
        }],
    };
    let second = Batch {
        first_seq: 1_031,
        last_seq: 1_231,
        plugins: vec![PluginEntries {
            id: id(1),
            generation: 4,
            version: Some("1.2.3".into()),
            entries: (0..100)
                .map(|number| update(1_032 + number * 2, 1_033 + number * 2))
                .collect(),
        }],
        engine: vec![EngineRecord::Started(Started {
            seq: 1_031,
            at: at(1_031),
            pid: 4_243,
            version: "0.1.1".into(),
            lost: Some((31, 1_030)),
        })],
        rows: Vec::new(),
    };
    vec![first, second]
}

fn write(path: &Path) {
    let (mut store, _) = Store::open(path).unwrap();
    for batch in batches() {
        store.append(&batch).unwrap();
    }
    store.close().unwrap();
}

fn everything(path: &Path) -> Vec<HistoryEntry> {
    let mut reader = Reader::open(path).unwrap();
    reader.query(&HistoryFilter::default(), u64::MAX).unwrap()
}

/// How the file of a version is made, once, when that is new: what it writes is then committed and never made again.
#[test]
#[ignore = "makes the golden file of a new version"]
fn make_the_golden_file() {
    let path = golden(1);
    assert!(!path.exists(), "it is there, and is not to change any more");
    write(&path);
}

#[test]
fn a_file_of_version_1_says_what_was_written_into_it() {
    let dir = tempfile::tempdir().unwrap();
    let (old, new) = (dir.path().join("old.db"), dir.path().join("new.db"));
    std::fs::copy(golden(1), &old).unwrap();
    write(&new);
    let (store, opened) = Store::open(&old).unwrap();
    assert!(!opened.created);
    assert_eq!(opened.last_seq, 1_231);
    assert_eq!(opened.plugins.len(), 2);
    assert!(opened.plugins[0].off_by_hand && opened.plugins[0].generation == 3);
    assert_eq!(opened.last_run.unwrap().started.lost, Some((31, 1_030)));
    drop(store);
    let entries = everything(&old);
    assert_eq!(entries.len(), 211);
    assert_eq!(entries, everything(&new));
    let HistoryEntry::Transition(timed_out) = &entries[3] else {
        panic!("{:?}", entries[3]);
    };
    let error = timed_out.error.as_deref().unwrap();
    assert_eq!(
        (&*error.message, error.at),
        ("no answer \u{1F980}\n", at(15))
    );
    assert_eq!(timed_out.version.as_deref(), Some("1.2.3-rc.1"));
}

#[test]
fn a_file_of_version_1_takes_more() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    std::fs::copy(golden(1), &path).unwrap();
    let before = everything(&path);
    let (mut store, opened) = Store::open(&path).unwrap();
    let mut engine = Engine::new(1, 3);
    engine.seq = opened.last_seq;
    let more = engine.some(500);
    store.append(&Batch::of(&more).unwrap()).unwrap();
    store.close().unwrap();
    let after = everything(&path);
    assert!(after.starts_with(&before));
    assert_eq!(after.len(), before.len() + more.len());
}
