//! What history on disk costs the plugins: how late their updates start with it and without, once a second each; and how long the newest thousand
//! entries take that one plugin has in memory.
//!
//! `cargo bench --package plugin-engine-bench --bench durable` runs it, for a minute; with `-- newest` or `-- lateness` the one part.

mod rounds;
mod site;

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Engine, HistoryFilter, HistoryQuery, PluginId};
use rounds::micros_at;
use tempfile::TempDir;

const PLUGINS: usize = 1_000;
/// How long both engines run beside each other.
const RUNS_FOR: Duration = Duration::from_secs(40);
/// What is looked at in the end: as many starts of each plugin.
const STARTS: usize = 30;
const NEWEST: usize = 1_000;
const QUESTIONS: usize = 10_000;

/// Plugins of one file, spread over a second, of which each is updated once a second.
struct Fleet {
    engine: Engine,
    _dir: TempDir,
}

impl Fleet {
    fn new(is_durable: bool) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let ids = (0..PLUGINS).map(|number| format!("p{number}"));
        let config = site::entries("noop", ids, "interval = \"1s\"\njitter = \"1s\"");
        let mut builder = site::over(dir.path(), &["noop"], &config);
        if is_durable {
            builder = builder.state_dir(dir.path().join("state"));
        }
        let engine = site::loaded(builder);
        Self { engine, _dir: dir }
    }

    /// By how much each update of the last ones started later than a plugin's earliest, in nanoseconds, in order. A plugin's ticks are exactly a second
    /// apart, so what differs is how late it was.
    fn lateness(&self) -> Vec<u64> {
        let mut all = Vec::with_capacity(PLUGINS * STARTS);
        for number in 0..PLUGINS {
            let id = PluginId::new(&format!("p{number}")).expect("it is an id");
            let mut filter = HistoryFilter::of(id);
            filter.causes = vec![Cause::UpdateStarted];
            (filter.newest_first, filter.limit) = (true, Some(STARTS));
            let phases: Vec<_> = self
                .engine
                .query(&filter)
                .entries
                .iter()
                .map(|entry| entry.at.as_unix_nanos() % 1_000_000_000)
                .collect();
            let Some(&first) = phases.first() else {
                continue;
            };
            // Around the first one, so that none lies beyond the end of its second.
            let around = |phase: u64| (phase + 1_500_000_000 - first) % 1_000_000_000;
            let earliest = phases.iter().map(|&phase| around(phase)).min();
            all.extend(
                phases
                    .iter()
                    .map(|&phase| around(phase) - earliest.unwrap_or_default()),
            );
        }
        all.sort_unstable();
        all
    }
}

fn print(name: &str, sorted: &[u64]) {
    let at = |share| micros_at(sorted, share);
    println!(
        "{name:<40}{:>9} starts{:>12.1}{:>12.1}{:>12.1}{:>12.1}",
        sorted.len(),
        at(0.5),
        at(0.99),
        at(0.999),
        at(1.0)
    );
}

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let wanted =
        |part: &str| only.is_empty() || only.iter().any(|word| part.contains(word.as_str()));
    if wanted("lateness") {
        lateness();
    }
    if wanted("newest") {
        newest_in_memory();
    }
}

/// A thousand plugins with a history on disk, and as many without.
fn lateness() {
    let fleets = [Fleet::new(false), Fleet::new(true)];
    std::thread::scope(|scope| {
        for fleet in &fleets {
            scope.spawn(|| fleet.engine.run());
        }
        std::thread::sleep(RUNS_FOR);
        for fleet in &fleets {
            fleet.engine.stop();
        }
    });
    println!(
        "{:<40}{:>16}{:>12}{:>12}{:>12}{:>12}",
        "later than at the earliest, in µs", "", "median", "p99", "p99.9", "most"
    );
    print("history in memory", &fleets[0].lateness());
    print("history on disk, too", &fleets[1].lateness());
}

/// One plugin whose history in memory is full, and who is asked for the newest of it.
fn newest_in_memory() {
    let dir = TempDir::new().expect("a directory can be made");
    let engine = site::remembering(dir.path(), NEWEST);
    newest("copied", &engine, |found| {
        let entries = found.into_iter();
        entries
            .filter(|entry| std::hint::black_box(entry).seq > 0)
            .count()
    });
    newest("visited", &engine, |found| {
        let mut count = 0;
        found.visit(|entry| count += usize::from(std::hint::black_box(entry).seq > 0));
        count
    });
}

fn newest(how: &str, engine: &Engine, look_at: impl Fn(HistoryQuery) -> usize) {
    let mut took: Vec<_> = (0..QUESTIONS)
        .map(|_| {
            let asked = Instant::now();
            let found = engine.history("noop").newest_first().limit(NEWEST);
            assert_eq!(look_at(found), NEWEST);
            asked.elapsed()
        })
        .collect();
    took.sort_unstable();
    println!(
        "newest {NEWEST} of one plugin in memory, {how}: {:.1?} in the median, {:.1?} at least",
        took[QUESTIONS / 2],
        took[0]
    );
}
