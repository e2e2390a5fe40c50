//! What it costs to make history durable: beside a plain SQLite table with an index per plugin, in one run; and how long the newest thousand
//! entries of one plugin among a million take.
//!
//! `cargo bench --package plugin-engine-bench --bench history` runs it.

mod rounds;

use std::cell::RefCell;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use plugin_engine_core::{Cause, HistoryFilter, PluginId, PluginState, Transition, WallTime};
use plugin_engine_history_store::{Batch, HistoryEntry, Reader, Store};
use rounds::{Contestant, Table};
use rusqlite::{Connection, params};
use tempfile::TempDir;

const ROUNDS: usize = 3;
const PLUGINS: u64 = 1_000;
const TRANSITIONS: usize = 1_000_000;
/// What 200 ms bring at 300,000 a second.
const LARGE_BATCH: usize = 60_000;
/// What 200 ms bring of a thousand plugins that are updated once a second.
const SMALL_BATCH: usize = 400;
const NEWEST: usize = 1_000;
const QUESTIONS: u64 = 200;

/// Plain updates of all plugins in turn, 1 µs apart.
fn transitions() -> Vec<Transition> {
    let ids: Vec<_> = (0..PLUGINS)
        .map(|number| PluginId::new(&format!("plugin-{number}")).expect("it is an id"))
        .collect();
    let version: Arc<str> = "1.0.0".into();
    let made = (0..TRANSITIONS as u64).map(|number| {
        let ends = number % 2 == 1;
        let mut transition = Transition {
            seq: number + 1,
            at: WallTime::from_unix_nanos(1_767_225_600_000_000_000 + number * 3_333),
            id: ids[(number / 2 % PLUGINS) as usize].clone(),
            generation: 1,
            version: Some(Arc::clone(&version)),
            from: PluginState::Enabled,
            to: PluginState::Running,
            cause: Cause::UpdateStarted,
            error: None,
            duration: None,
        };
        if ends {
            (transition.from, transition.to) = (transition.to, transition.from);
            transition.cause = Cause::UpdateCompleted;
            transition.duration = Some(Duration::from_nanos(3_333));
        }
        transition
    });
    made.collect()
}

/// The table that one would write: a row a transition, and an index by plugin.
struct PlainTable(Connection);

impl PlainTable {
    fn open(path: &Path) -> Self {
        let connection = Connection::open(path).expect("a file can be made");
        connection
            .execute_batch(
                "PRAGMA journal_mode = WAL; PRAGMA synchronous = NORMAL; PRAGMA wal_autocheckpoint = 4000; PRAGMA cache_size = -16384;
                 CREATE TABLE transitions (seq INTEGER PRIMARY KEY, at INTEGER, plugin TEXT, generation INTEGER, version TEXT,
                     from_state INTEGER, to_state INTEGER, cause INTEGER, duration INTEGER, error TEXT);
                 CREATE INDEX by_plugin ON transitions (plugin, seq);",
            )
            .expect("tables can be made");
        Self(connection)
    }

    fn append(&mut self, transitions: &[Transition]) {
        let transaction = self.0.transaction().expect("it begins");
        {
            let mut insert = transaction
                .prepare_cached(
                    "INSERT INTO transitions VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10)",
                )
                .expect("it is SQL");
            for transition in transitions {
                insert
                    .execute(params![
                        transition.seq as i64,
                        transition.at.as_unix_nanos() as i64,
                        transition.id.as_str(),
                        transition.generation,
                        transition.version.as_deref(),
                        transition.from as u8,
                        transition.to as u8,
                        transition.cause as u8,
                        transition
                            .duration
                            .map(|duration| duration.as_nanos() as i64),
                        transition.error.as_ref().map(ToString::to_string),
                    ])
                    .expect("it is taken");
            }
        }
        transaction.commit().expect("it is taken");
    }

    fn newest(&self, id: &PluginId) -> usize {
        let mut select = self
            .0
            .prepare_cached(
                "SELECT * FROM transitions WHERE plugin = ?1 ORDER BY seq DESC LIMIT ?2",
            )
            .expect("it is SQL");
        let rows = select
            .query_map(params![id.as_str(), NEWEST as i64], |row| {
                Ok((
                    row.get::<_, i64>(0)?,
                    row.get::<_, i64>(1)?,
                    row.get::<_, String>(2)?,
                ))
            })
            .expect("it answers");
        rows.inspect(|row| assert!(row.is_ok(), "it answers"))
            .count()
    }
}

fn main() {
    let only = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);
    let transitions = transitions();
    let dir = TempDir::new().expect("a directory can be made");
    let fresh = |name: &str| {
        let path = dir.path().join(name);
        for end in ["", "-wal", "-shm"] {
            // What is not there need not be removed.
            let _ = std::fs::remove_file(dir.path().join(format!("{name}{end}")));
        }
        path
    };
    let longest = RefCell::new(Duration::ZERO);
    let batches: Vec<Batch> = transitions
        .chunks(LARGE_BATCH)
        .filter_map(Batch::of)
        .collect();
    let mut contestants = vec![
        Contestant::new("append, large batches", TRANSITIONS, || {
            let (mut store, _) = Store::open(&fresh("store")).expect("it opens");
            for batch in &batches {
                let began = Instant::now();
                store.append(batch).expect("it is taken");
                longest.replace_with(|longest| began.elapsed().max(*longest));
            }
        }),
        Contestant::new(
            "append, large batches, grouped on the way",
            TRANSITIONS,
            || {
                let (mut store, _) = Store::open(&fresh("grouped")).expect("it opens");
                for some in transitions.chunks(LARGE_BATCH) {
                    let batch = Batch::of(some).expect("there are some");
                    store.append(&batch).expect("it is taken");
                }
            },
        ),
        Contestant::new(
            "append, small batches, grouped on the way",
            TRANSITIONS,
            || {
                let (mut store, _) = Store::open(&fresh("small")).expect("it opens");
                for some in transitions.chunks(SMALL_BATCH) {
                    let batch = Batch::of(some).expect("there are some");
                    store.append(&batch).expect("it is taken");
                }
            },
        ),
        Contestant::new(
            "plain table with an index, large batches",
            TRANSITIONS,
            || {
                let mut plain = PlainTable::open(&fresh("plain"));
                for some in transitions.chunks(LARGE_BATCH) {
                    plain.append(some);
                }
            },
        ),
        Contestant::new(
            "plain table with an index, small batches",
            TRANSITIONS,
            || {
                let mut plain = PlainTable::open(&fresh("plain-small"));
                for some in transitions.chunks(SMALL_BATCH) {
                    plain.append(some);
                }
            },
        ),
    ];
    table.measure(&mut contestants, ROUNDS);
    drop(contestants);
    if ["store", "small", "plain"]
        .iter()
        .any(|name| !dir.path().join(name).exists())
    {
        // Not all of them were asked for, and what follows needs their files.
        table.print();
        return;
    }
    let plain = PlainTable(Connection::open(dir.path().join("plain")).expect("it opens"));
    let ids: Vec<_> = (0..QUESTIONS)
        .map(|number| {
            PluginId::new(&format!("plugin-{}", number * 7 % PLUGINS)).expect("it is an id")
        })
        .collect();
    let ask = |name: &str| {
        let mut reader = Reader::open(&dir.path().join(name)).expect("it opens");
        let ids = &ids;
        move || {
            for id in ids {
                let mut filter = HistoryFilter::of(id.clone());
                (filter.newest_first, filter.limit) = (true, Some(NEWEST));
                let found = reader.query(&filter, u64::MAX).expect("it answers");
                assert_eq!(found.len(), NEWEST);
                assert!(matches!(found[0], HistoryEntry::Transition(_)));
            }
        }
    };
    let mut questions = vec![
        Contestant::new(
            "newest 1,000 of one plugin, large batches",
            QUESTIONS as usize,
            ask("store"),
        ),
        Contestant::new(
            "newest 1,000 of one plugin, small batches",
            QUESTIONS as usize,
            ask("small"),
        ),
        Contestant::new(
            "newest 1,000 of one plugin, plain table",
            QUESTIONS as usize,
            || {
                for id in &ids {
                    assert_eq!(plain.newest(id), NEWEST);
                }
            },
        ),
    ];
    table.measure(&mut questions, ROUNDS);
    table.print();
    println!();
    table.ratio(
        "plain table with an index, large",
        "append, large batches",
        "at least 4",
    );
    table.ratio(
        "plain table with an index, small",
        "append, small batches",
        "above 1: one update a row",
    );
    println!();
    for name in [
        "append, large batches",
        "append, large batches, grouped",
        "append, small batches",
    ] {
        if let Some(nanos) = table.median(name) {
            println!("{name}: {:.0} transitions a second", 1e9 / nanos);
        }
    }
    println!(
        "longest append of {LARGE_BATCH}: {:.1?}",
        longest.into_inner()
    );
    for name in ["store", "small", "plain"] {
        let len = std::fs::metadata(dir.path().join(name)).map_or(0, |file| file.len());
        println!(
            "{name}: {:.1} bytes a transition",
            len as f64 / TRANSITIONS as f64
        );
    }
    retain(&dir.path().join("store"));
}

/// Takes half of a history away, and says how long a step of that held up the one who writes.
fn retain(path: &Path) {
    let (mut store, _) = Store::open(path).expect("it opens");
    let max_bytes = store.bytes().expect("it answers") / 2;
    let (mut longest, mut steps) = (Duration::ZERO, 0);
    let began = Instant::now();
    loop {
        let step = Instant::now();
        let retained = store
            .retain(Duration::MAX, max_bytes, WallTime::default())
            .expect("it is taken away");
        longest = longest.max(step.elapsed());
        steps += 1;
        if retained.done {
            break;
        }
    }
    println!(
        "half of it taken away: {:.1?} in {steps} steps, the longest {longest:.1?}",
        began.elapsed()
    );
}
