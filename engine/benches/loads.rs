//! What a load costs: from a file to a plugin that is Enabled, beside a bare dlopen and dlsym of the same file, in one run.
//!
//! No file is loaded twice: each has other bytes, because the system's loader and the engine both know a file again. Nothing is
//! unmapped, so both sides get slower together as more is mapped.
//!
//! `cargo bench --package plugin-engine-bench --bench loads` runs it. `strip` must be installed: a plugin file as it is shipped has
//! no debug information.

mod plugin_files;
mod rounds;
mod step_shares;

use plugin_engine::{Engine, LoadOutcome, VerifyPolicy};
use plugin_files::{Files, dlopen};
use rounds::{Contestant, Table};
use tempfile::TempDir;

const ROUNDS: usize = 15;
const LOADS: usize = 8;

fn main() {
    let only = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);
    step_shares::listen();
    let dir = TempDir::new().expect("a directory can be made");
    let [bare, engine_files, inspected] = *b"abc";
    let bare = Files::new(dir.path(), bare, (ROUNDS + 1) * LOADS);
    let engine_files = Files::new(dir.path(), engine_files, (ROUNDS + 1) * LOADS);
    let inspected = Files::new(dir.path(), inspected, (ROUNDS + 1) * LOADS);
    println!("a plugin file of {} bytes, stripped", bare.len());
    let engine = Engine::builder().build().expect("an engine can be built");
    let policy = VerifyPolicy::default();

    let mut contestants = vec![
        Contestant::new("bare dlopen + dlsym", LOADS, || {
            for _ in 0..LOADS {
                dlopen(bare.next());
            }
        }),
        Contestant::new("engine, from file to Enabled", LOADS, || {
            for _ in 0..LOADS {
                let outcomes = engine.load_file(engine_files.next());
                assert!(
                    matches!(outcomes.as_deref(), Ok([LoadOutcome::Enabled { .. }])),
                    "{outcomes:?}"
                );
            }
        }),
        Contestant::new("engine, inspection alone", LOADS, || {
            for _ in 0..LOADS {
                assert!(plugin_engine::inspect(inspected.next(), &policy).is_good());
            }
        }),
    ];
    table.measure(&mut contestants, ROUNDS);
    table.print();
    println!();
    table.ratio("engine, from file to Enabled", "bare dlopen", "at most 12");
    println!();
    step_shares::print(&["copy_us", "digest_us", "checks_us", "map_us", "contract_us"]);
}
