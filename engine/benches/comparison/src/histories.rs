//! The history: a row appended to it on disk and its newest thousand of one plugin, beside SQLite and redb as one would use them.

use std::cell::{Cell, RefCell};
use std::path::PathBuf;

use plugin_engine_core::{HistoryFilter, PluginId, Transition};
use plugin_engine_history_store::{Batch, Reader, Store};
use tempfile::TempDir;

use crate::plain_table::{NEWEST, PLUGINS, PlainTable, transitions};
use crate::redb_table::RedbTable;
use crate::report::{Does, Report};
use crate::rounds::{Contestant, Table};
use crate::site;

pub(crate) const APPEND: &str = "one transition appended to a file";
pub(crate) const QUERY: &str = "the newest 1,000 of one plugin";

/// A thousand of each plugin, so that a question finds as many as it asks for.
const TRANSITIONS: usize = 1_000_000;
const LARGE_BATCH: usize = 60_000;
/// What 200 ms bring of a thousand plugins that are updated once a second.
const SMALL_BATCH: usize = 400;
/// How many of them are enough where each is a transaction.
const SINGLE: usize = 4_000;
const QUESTIONS: u64 = 20;
/// Each writes whole files; the median of three says enough.
const APPEND_ROUNDS: usize = 3;

const IN_MEMORY: &str = "the engine, in memory: visited";
const COPIED: &str = "the engine, in memory: copied";

/// A new file at each call.
struct Fresh {
    dir: TempDir,
    count: Cell<usize>,
}

impl Fresh {
    fn next(&self) -> PathBuf {
        let count = self.count.get() + 1;
        self.count.set(count);
        self.dir.path().join(count.to_string())
    }
}

fn no_call(_: &str) -> Option<Does> {
    None
}

pub(crate) fn measure_append(report: &mut Report, rounds: usize) {
    let all = transitions(TRANSITIONS / 5);
    let fresh = Fresh {
        dir: TempDir::new().expect("a directory can be made"),
        count: Cell::new(0),
    };
    let store = |len: usize| {
        let (mut store, _) = Store::open(&fresh.next()).expect("it opens");
        for some in all.chunks(len) {
            let batch = Batch::of(some).expect("there are some");
            store.append(&batch).expect("it is taken");
        }
    };
    let plain = |some: &[Transition], len: usize| {
        let mut table = PlainTable::open(&fresh.next());
        some.chunks(len).for_each(|some| table.append(some));
    };
    let redb = |some: &[Transition], len: usize, sync_each: usize| {
        let mut table = RedbTable::open(&fresh.next());
        table.append(some, len, sync_each);
    };
    let single = &all[..SINGLE];
    let mut contestants = [
        Contestant::new("the engine's store: 60,000 at once", all.len(), || {
            store(LARGE_BATCH);
        }),
        Contestant::new("the engine's store: 400 at once", all.len(), || {
            store(SMALL_BATCH);
        }),
        Contestant::new(
            "SQLite, index by plugin: 60,000 rows a transaction",
            all.len(),
            || {
                plain(&all, LARGE_BATCH);
            },
        ),
        Contestant::new(
            "SQLite, index by plugin: 400 rows a transaction",
            all.len(),
            || {
                plain(&all, SMALL_BATCH);
            },
        ),
        Contestant::new(
            "SQLite, index by plugin: one row a transaction",
            SINGLE,
            || {
                plain(single, 1);
            },
        ),
        Contestant::new(
            "redb, key of plugin and number: 60,000 rows a transaction",
            all.len(),
            || {
                redb(&all, LARGE_BATCH, 1);
            },
        ),
        Contestant::new(
            "redb: 400 rows a transaction, synced every 10th",
            all.len(),
            || {
                redb(&all, SMALL_BATCH, 10);
            },
        ),
        Contestant::new(
            "redb: one row a transaction, synced every 400th",
            SINGLE,
            || {
                redb(single, 1, SMALL_BATCH);
            },
        ),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds.min(APPEND_ROUNDS));
    report.take(APPEND, &table, no_call);
}

pub(crate) fn measure_query(report: &mut Report, rounds: usize) {
    let dir = TempDir::new().expect("a directory can be made");
    let engine = site::remembering(dir.path(), NEWEST);
    let all = transitions(TRANSITIONS);
    let file = |name: &str| dir.path().join(name);
    let (mut store, _) = Store::open(&file("store")).expect("it opens");
    let mut plain = PlainTable::open(&file("plain"));
    let mut redb = RedbTable::open(&file("redb"));
    for some in all.chunks(LARGE_BATCH) {
        let batch = Batch::of(some).expect("there are some");
        store.append(&batch).expect("it is taken");
        plain.append(some);
        redb.append(some, LARGE_BATCH, 1);
    }
    drop(store);
    drop(all);
    let reader = RefCell::new(Reader::open(&file("store")).expect("it opens"));
    let ids: Vec<_> = (0..QUESTIONS)
        .map(|number| PluginId::new(&format!("plugin-{}", number * 7 % PLUGINS)))
        .map(|id| id.expect("it is an id"))
        .collect();
    let newest = || engine.history("noop").newest_first().limit(NEWEST);
    let asked = ids.len();
    let mut contestants = [
        Contestant::new(IN_MEMORY, asked, || {
            for _ in 0..asked {
                let mut count = 0;
                newest().visit(|entry| count += usize::from(std::hint::black_box(entry).seq > 0));
                assert_eq!(count, NEWEST);
            }
        }),
        Contestant::new(COPIED, asked, || {
            for _ in 0..asked {
                assert_eq!(
                    newest().into_iter().map(std::hint::black_box).count(),
                    NEWEST
                );
            }
        }),
        Contestant::new("the engine's store, of a million in a file", asked, || {
            for id in &ids {
                let mut filter = HistoryFilter::of(id.clone());
                (filter.newest_first, filter.limit) = (true, Some(NEWEST));
                let found = reader.borrow_mut().query(&filter, u64::MAX);
                assert_eq!(found.expect("it answers").len(), NEWEST);
            }
        }),
        Contestant::new("SQLite, index by plugin, of a million", asked, || {
            for id in &ids {
                assert_eq!(plain.newest(id), NEWEST);
            }
        }),
        Contestant::new(
            "redb, key of plugin and number, of a million",
            asked,
            || {
                for id in &ids {
                    assert_eq!(redb.newest(id), NEWEST);
                }
            },
        ),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds);
    report.take(QUERY, &table, no_call);
    report.judge_nanos("newest 1,000 in memory, visited", IN_MEMORY, None, 6_000.0);
}
