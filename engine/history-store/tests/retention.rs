//! The oldest go, a little at a time, and what is gone is told.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::time::Duration;

use plugin_engine_core::{HistoryFilter, PluginId, Transition, WallTime};
use plugin_engine_history_store::{Batch, PluginRow, Reader, Retained, Store};
use support::{Engine, Random, filter, id, transitions};

const FOR_EVER: Duration = Duration::from_secs(1 << 33);

/// Retains until nothing is left to be done; how often that took, and what was done together.
fn retain_all(store: &mut Store, max_age: Duration, max_bytes: u64, now: WallTime) -> Retained {
    let mut sum = Retained::default();
    for _ in 0..10_000 {
        let step = store.retain(max_age, max_bytes, now).unwrap();
        sum.transitions += step.transitions;
        sum.last_seq = sum.last_seq.max(step.last_seq);
        sum.bytes += step.bytes;
        if step.done {
            sum.done = true;
            return sum;
        }
    }
    panic!("it never ends: {sum:?}");
}

fn filled(path: &Path, engine: &mut Engine, batches: u64, batch: u64) -> (Store, Vec<Transition>) {
    let (mut store, _) = Store::open(path).unwrap();
    let mut all = Vec::new();
    for _ in 0..batches {
        let some = engine.some(batch);
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
    }
    (store, all)
}

fn everything(reader: &mut Reader) -> Vec<Transition> {
    transitions(reader, &HistoryFilter::default(), u64::MAX)
}

/// That what is left of each plugin is the newest part of what it had.
fn only_the_oldest_are_gone(left: &[Transition], all: &[Transition]) {
    let by_plugin = |list: &[Transition]| {
        let mut by_plugin: BTreeMap<PluginId, Vec<u64>> = BTreeMap::new();
        for one in list {
            by_plugin.entry(one.id.clone()).or_default().push(one.seq);
        }
        by_plugin
    };
    let (left, all) = (by_plugin(left), by_plugin(all));
    for (id, seqs) in left {
        assert!(all[&id].ends_with(&seqs), "{id}");
    }
}

/// Those that are not left, by their numbers.
fn gone(left: &[Transition], all: &[Transition]) -> Vec<Transition> {
    let left: BTreeSet<u64> = left.iter().map(|one| one.seq).collect();
    all.iter()
        .filter(|one| !left.contains(&one.seq))
        .cloned()
        .collect()
}

#[test]
fn what_is_too_large_shrinks_and_the_newest_stay() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut engine = Engine::new(1, 20);
    let (mut store, all) = filled(&path, &mut engine, 15, 3_000);
    let before = store.bytes().unwrap();
    let max_bytes = 1_100_000;
    assert!(before > max_bytes * 5 / 4, "{before}");
    let now = WallTime::from_unix_nanos(engine.at);
    let retained = retain_all(&mut store, FOR_EVER, max_bytes, now);
    assert!(store.bytes().unwrap() <= max_bytes);
    assert!(
        store.bytes().unwrap() > max_bytes / 2,
        "no more than had to"
    );
    let mut reader = Reader::open(&path).unwrap();
    let left = everything(&mut reader);
    assert_eq!(left.len() as u64 + retained.transitions, all.len() as u64);
    only_the_oldest_are_gone(&left, &all);
    // Over all plugins, too: what is left begins at about the same number everywhere.
    let newest_gone = retained.last_seq;
    assert!(
        left.first().unwrap().seq + 6_000 > newest_gone,
        "{newest_gone}"
    );
    assert_eq!(
        reader.lost(&HistoryFilter::default()).unwrap(),
        retained.transitions
    );
    drop(reader);
    store.close().unwrap();
    let len = std::fs::metadata(&path).unwrap().len();
    assert!(len <= max_bytes, "the file is {len} bytes");
    let (mut store, opened) = Store::open(&path).unwrap();
    assert_eq!(opened.last_seq, all.len() as u64);
    let more = engine.some(100);
    store.append(&Batch::of(&more).unwrap()).unwrap();
}

#[test]
fn what_is_too_old_goes_and_what_is_not_stays() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    // Small batches, so that the rows have waited for being merged.
    let mut engine = Engine::new(2, 5);
    let (mut store, mut all) = filled(&path, &mut engine, 60, 20);
    engine.at += 3_600_000_000_000;
    let middle = engine.at;
    let first_new = engine.seq + 1;
    for _ in 0..60 {
        let some = engine.some(20);
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
    }
    let now = WallTime::from_unix_nanos(middle + 600_000_000_000);
    let retained = retain_all(&mut store, Duration::from_secs(1_800), u64::MAX, now);
    let mut reader = Reader::open(&path).unwrap();
    let left = everything(&mut reader);
    assert!(gone(&left, &all).iter().all(|one| one.seq < first_new));
    // Rows that are merged hold what is old and new together, at most one of them for each plugin and generation.
    assert!(retained.transitions > 600, "{retained:?}");
    assert_eq!(left.len() as u64 + retained.transitions, all.len() as u64);
    only_the_oldest_are_gone(&left, &all);
    let again = retain_all(&mut store, Duration::from_secs(1_800), u64::MAX, now);
    assert_eq!(again.transitions, 0);
}

#[test]
fn who_asks_for_what_is_gone_is_told_how_much_that_is() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut engine = Engine::new(3, 7);
    let (mut store, all) = filled(&path, &mut engine, 12, 4_000);
    let now = WallTime::from_unix_nanos(engine.at);
    retain_all(&mut store, FOR_EVER, 1_100_000, now);
    let mut reader = Reader::open(&path).unwrap();
    let left = everything(&mut reader);
    let gone: Vec<_> = all
        .iter()
        .filter(|one| !left.contains(one))
        .cloned()
        .collect();
    let mut random = Random(99);
    for _ in 0..60 {
        let mut filter = filter(&mut random, &all);
        filter.limit = None;
        let wanted = gone.iter().filter(|one| filter.takes(one)).count() as u64;
        let lost = reader.lost(&filter).unwrap();
        assert!(lost >= wanted, "{filter}: {lost} instead of {wanted}");
        let wanted: Vec<_> = left
            .iter()
            .filter(|one| filter.takes(one))
            .cloned()
            .collect();
        let mut found = transitions(&mut reader, &filter, u64::MAX);
        found.sort_by_key(|one| one.seq);
        assert!(found == wanted, "{filter}");
    }
    let of_new = HistoryFilter {
        after: Some(engine.seq - 10),
        ..HistoryFilter::default()
    };
    assert_eq!(reader.lost(&of_new).unwrap(), 0);
}

#[test]
fn a_forgotten_plugin_is_gone_at_once_and_its_space_later() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    let mut engine = Engine::new(4, 3);
    let (mut store, mut all) = filled(&path, &mut engine, 4, 3_000);
    let before = store.bytes().unwrap();
    store.forget(&id(1)).unwrap();
    let mut reader = Reader::open(&path).unwrap();
    all.retain(|transition| transition.id != id(1));
    assert!(everything(&mut reader) == all);
    let remembered = |reader: &mut Reader| {
        let plugins = reader.plugins().unwrap();
        plugins.into_iter().map(|row| row.id).collect::<Vec<_>>()
    };
    assert_eq!(remembered(&mut reader), [id(0), id(2)]);
    let now = WallTime::from_unix_nanos(engine.at);
    retain_all(&mut store, FOR_EVER, u64::MAX, now);
    assert!(store.bytes().unwrap() < before * 4 / 5);
    // Whoever takes the id is somebody else.
    let some = engine.some(300);
    let mut batch = Batch::of(&some).unwrap();
    batch.rows.push(PluginRow {
        id: id(1),
        generation: 1,
        off_by_hand: false,
    });
    store.append(&batch).unwrap();
    all.extend(some);
    assert!(everything(&mut reader) == all);
    drop(reader);
    store.close().unwrap();
    assert!(everything(&mut Reader::open(&path).unwrap()) == all);
}

#[test]
fn a_sweep_goes_on_where_it_was_while_others_are_appended() {
    let dir = tempfile::tempdir().unwrap();
    let path = dir.path().join("history.db");
    // Many more plugins than one step gets through in its time.
    let mut engine = Engine::new(5, 9_000);
    let (mut store, mut all) = filled(&path, &mut engine, 3, 18_000);
    let later = WallTime::from_unix_nanos(engine.at).saturating_add(Duration::from_secs(3_600));
    let mut steps = 0;
    loop {
        let step = store
            .retain(Duration::from_secs(60), u64::MAX, later)
            .unwrap();
        steps += 1;
        if step.done {
            break;
        }
        engine.at += 3_600_000_000_000;
        let some = engine.some(50);
        store.append(&Batch::of(&some).unwrap()).unwrap();
        all.extend(some);
    }
    assert!(steps > 1, "one step was enough");
    let mut reader = Reader::open(&path).unwrap();
    let left = everything(&mut reader);
    only_the_oldest_are_gone(&left, &all);
    let lost = reader.lost(&HistoryFilter::default()).unwrap();
    assert_eq!(left.len() as u64 + lost, all.len() as u64);
}
