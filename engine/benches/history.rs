//! What it costs to make history durable: beside a plain SQLite table with an index per plugin, in one run; and how long the newest thousand
//! entries of one plugin among a million take.
//!
//! `cargo bench --package plugin-engine-bench --bench history` runs it.

mod plain_table;
mod rounds;

use std::cell::RefCell;
use std::path::Path;
use std::time::{Duration, Instant};

use plain_table::{NEWEST, PLUGINS, PlainTable, transitions};
use plugin_engine_core::{HistoryFilter, PluginId, WallTime};
use plugin_engine_history_store::{Batch, HistoryEntry, Reader, Store};
use rounds::{Contestant, Table};
use tempfile::TempDir;

const ROUNDS: usize = 3;
const TRANSITIONS: usize = 1_000_000;
/// What 200 ms bring at 300,000 a second.
const LARGE_BATCH: usize = 60_000;
/// What 200 ms bring of a thousand plugins that are updated once a second.
const SMALL_BATCH: usize = 400;
const QUESTIONS: u64 = 200;

fn main() {
    let only = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);
    let transitions = transitions(TRANSITIONS);
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
    let plain = PlainTable::again(&dir.path().join("plain"));
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
