//! What a reload costs, and what of it the plugin notices: beside unloading and loading it again, in one run; and whether a plugin that is due
//! every millisecond misses an update over it.
//!
//! `cargo bench --package plugin-engine-bench --bench reloads` runs it.

mod replacements;
mod rounds;
mod step_shares;

use std::path::{Path, PathBuf};
use std::time::Duration;

use plugin_engine::{Cause, Engine, LoadOutcome};
use replacements::Replacements;
use rounds::{Contestant, Table};
use tempfile::TempDir;

const ROUNDS: usize = 15;
const RELOADS: usize = 4;
/// Reloads of a plugin that is updated all the while.
const RELOADS_WHILE_RUNNING: usize = 100;

/// The file of a plugin, with its configuration beside it.
fn plugin(dir: &Path, id: &str, more: &str) -> PathBuf {
    std::fs::write(
        dir.join(format!("{id}.toml")),
        format!("id = \"{id}\"\n{more}"),
    )
    .expect("a file can be written");
    dir.join(format!("{id}.so"))
}

fn load(engine: &Engine, file: &Path) {
    let outcomes = engine.load_file(file);
    assert!(
        matches!(outcomes.as_deref(), Ok([LoadOutcome::Enabled { .. }])),
        "{outcomes:?}"
    );
}

fn main() {
    let only = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);
    step_shares::listen();
    let dir = TempDir::new().expect("a directory can be made");
    let builds = Replacements::written(
        dir.path(),
        2 * (ROUNDS + 1) * RELOADS + RELOADS_WHILE_RUNNING + 4,
    );
    let engine = Engine::builder().build().expect("an engine can be built");
    let (one, other) = (
        plugin(dir.path(), "one", ""),
        plugin(dir.path(), "other", ""),
    );
    for file in [&one, &other] {
        builds.put(file);
        load(&engine, file);
    }
    let mut contestants = vec![
        Contestant::new("reload, from file to taken over", RELOADS, || {
            for _ in 0..RELOADS {
                builds.put(&one);
                let outcomes = engine.reload_file(&one);
                assert!(
                    matches!(outcomes.as_deref(), Ok([LoadOutcome::Reloaded { .. }])),
                    "{outcomes:?}"
                );
            }
        }),
        Contestant::new("unload, and load again", RELOADS, || {
            for _ in 0..RELOADS {
                builds.put(&other);
                engine.unload("other").expect("it is loaded");
                let outcome = engine.load("other");
                assert!(
                    matches!(outcome, Ok(LoadOutcome::Enabled { .. })),
                    "{outcome:?}"
                );
            }
        }),
    ];
    table.measure(&mut contestants, ROUNDS);
    table.print();
    println!();
    table.ratio(
        "reload, from file",
        "unload, and load",
        "about 1: nothing is done twice",
    );
    println!();
    println!("the steps of a reload; the plugin cannot be called during `switch` alone");
    step_shares::print(&[
        "copy_us",
        "digest_us",
        "checks_us",
        "map_us",
        "contract_us",
        "create_us",
        "trial_us",
        "wait_us",
        "switch_us",
        "destroy_us",
    ]);
    println!();
    while_running(dir.path(), &builds);
}

/// Reloads a plugin that is due every millisecond, and counts what it and its neighbour have missed.
fn while_running(dir: &Path, builds: &Replacements) {
    let engine = Engine::builder().build().expect("an engine can be built");
    let reloaded = plugin(dir, "reloaded", "interval = \"1ms\"");
    let neighbour = plugin(dir, "neighbour", "interval = \"1ms\"");
    for file in [&reloaded, &neighbour] {
        builds.put(file);
        load(&engine, file);
    }
    let runner = engine.clone();
    let runner = std::thread::spawn(move || runner.run());
    std::thread::sleep(Duration::from_secs(1));
    let skipped = |id: &str| engine.snapshot(id).counts.skipped;
    let before = ["reloaded", "neighbour"].map(skipped);
    std::thread::sleep(Duration::from_secs(1));
    let quiet = ["reloaded", "neighbour"].map(skipped);
    let began = std::time::Instant::now();
    for _ in 0..RELOADS_WHILE_RUNNING {
        builds.put(&reloaded);
        let outcomes = engine.reload_file(&reloaded);
        assert!(
            matches!(outcomes.as_deref(), Ok([LoadOutcome::Reloaded { .. }])),
            "{outcomes:?}"
        );
        std::thread::sleep(Duration::from_millis(7));
    }
    let took = began.elapsed();
    let after = ["reloaded", "neighbour"].map(skipped);
    engine.stop();
    runner.join().expect("the run ends");
    let took_over = engine.history("reloaded").cause(Cause::Reloaded);
    println!(
        "{} reloads in {took:.1?} of a plugin that is due every millisecond; updates skipped:",
        took_over.into_iter().count()
    );
    for (at, id) in ["reloaded", "neighbour"].into_iter().enumerate() {
        println!(
            "  {id:<12} {} in a second without reloads, {} meanwhile",
            quiet[at] - before[at],
            after[at] - quiet[at]
        );
    }
}
