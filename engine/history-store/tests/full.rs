//! No room is left, and then there is some again.

mod support;

use std::path::Path;
use std::process::Command;

use plugin_engine_core::{HistoryFilter, Transition};
use plugin_engine_history_store::{Batch, Reader, Store, StoreErrorKind};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use support::{Engine, transitions};

const BATCH: u64 = 700;

/// Appends until there is no room, and returns what was taken and the batch that was not.
fn append_until_full(
    store: &mut Store,
    engine: &mut Engine,
    kinds: &[StoreErrorKind],
) -> (Vec<Transition>, Vec<Transition>) {
    let mut taken = Vec::new();
    loop {
        let some = engine.some(BATCH);
        match store.append(&Batch::of(&some).unwrap()) {
            Ok(()) => taken.extend(some),
            Err(error) => {
                assert!(kinds.contains(&error.kind()), "{error}");
                return (taken, some);
            }
        }
        assert!(taken.len() < 1_000_000, "there was room for all of it");
    }
}

fn everything(path: &Path) -> Vec<Transition> {
    let mut reader = Reader::open(path).unwrap();
    transitions(&mut reader, &HistoryFilter::default(), u64::MAX)
}

#[test]
fn a_batch_that_finds_no_room_leaves_nothing_and_is_taken_when_there_is_some() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let (mut store, _) = Store::open(&path).unwrap();
    store.limit(Some(300 * 1024)).unwrap();
    let mut engine = Engine::new(1, 20);
    let (mut taken, refused) = append_until_full(&mut store, &mut engine, &[StoreErrorKind::Full]);
    assert!(!taken.is_empty());
    let batch = Batch::of(&refused).unwrap();
    for _ in 0..3 {
        assert_eq!(
            store.append(&batch).unwrap_err().kind(),
            StoreErrorKind::Full
        );
    }
    assert_eq!(store.last_seq(), taken.len() as u64);
    assert!(
        everything(&path) == taken,
        "nothing of what was refused is there"
    );
    store.limit(None).unwrap();
    store.append(&batch).unwrap();
    taken.extend(refused);
    assert!(everything(&path) == taken);
}

/// Where the child writes; it is one if this is set.
const PATH: &str = "HISTORY_STORE_FULL_PATH";

/// Not a test of its own: the child of the test below, in which SIGXFSZ is ignored.
#[test]
fn child_that_may_write_no_more() {
    let Ok(path) = std::env::var(PATH) else {
        return;
    };
    let path = Path::new(&path);
    let (mut store, _) = Store::open(path).unwrap();
    let before = getrlimit(Resource::Fsize);
    let little = Rlimit {
        current: Some(600 * 1024),
        maximum: before.maximum,
    };
    setrlimit(Resource::Fsize, little).unwrap();
    let mut engine = Engine::new(2, 20);
    // A limit of the process is no full disk to the system, but meets SQLite at the same places.
    let kinds = [StoreErrorKind::Full, StoreErrorKind::Io];
    let (mut taken, refused) = append_until_full(&mut store, &mut engine, &kinds);
    let batch = Batch::of(&refused).unwrap();
    store.append(&batch).unwrap_err();
    assert!(
        everything(path) == taken,
        "nothing of what was refused is there"
    );
    setrlimit(Resource::Fsize, before).unwrap();
    store.append(&batch).unwrap();
    taken.extend(refused);
    let more = engine.some(BATCH);
    store.append(&Batch::of(&more).unwrap()).unwrap();
    taken.extend(more);
    store.close().unwrap();
    assert!(everything(path) == taken);
}

#[test]
fn a_system_that_refuses_to_write_takes_nothing_away_and_the_next_append_succeeds() {
    let dir = tempfile::tempdir().unwrap();
    let status = Command::new("sh")
        .args(["-c", "trap '' XFSZ; exec \"$@\"", "sh"])
        .arg(std::env::current_exe().unwrap())
        .args(["child_that_may_write_no_more", "--exact", "--nocapture"])
        .env(PATH, dir.path().join("history.db"))
        .status()
        .unwrap();
    assert!(status.success());
    assert!(
        dir.path().join("history.db").exists(),
        "the child did its part"
    );
}
