//! From a file to a plugin that can be called, and to one that has taken over.

use std::path::Path;

use plugin_engine::{Engine, LoadOutcome};
use tempfile::TempDir;

use crate::child::Child;
use crate::plugin_files::{Files, dlopen};
use crate::replacements::Replacements;
use crate::report::{Does, Report};
use crate::rounds::{Contestant, Table};
use crate::wasm::{Extism, load_with_wasmtime};

pub(crate) const GROUP: &str = "one load";
const LOADS: usize = 4;

const BARE: &str = "dlopen and dlsym, nothing verified";
const LOAD: &str = "the engine: from file to Enabled";
const RELOAD: &str = "the engine: reload, from file to taken over";

fn no_call(_: &str) -> Option<Does> {
    None
}

fn load(engine: &Engine, file: &Path) {
    let outcomes = engine.load_file(file);
    assert!(
        matches!(outcomes.as_deref(), Ok([LoadOutcome::Enabled { .. }])),
        "{outcomes:?}"
    );
}

pub(crate) fn measure(report: &mut Report, rounds: usize) {
    let dir = TempDir::new().expect("a directory can be made");
    let files = b"ab".map(|prefix| Files::new(dir.path(), prefix, (rounds + 1) * LOADS));
    println!("a plugin file of {} bytes", files[0].len());
    let engine = Engine::builder().build().expect("an engine can be built");
    let replacements = Replacements::written(dir.path(), (rounds + 1) * LOADS + 1);
    let reloaded = dir.path().join("reloaded.so");
    std::fs::write(reloaded.with_extension("toml"), "id = \"reloaded\"\n")
        .expect("a file can be written");
    replacements.put(&reloaded);
    load(&engine, &reloaded);
    let mut contestants = [
        Contestant::new(BARE, LOADS, || {
            (0..LOADS).for_each(|_| dlopen(files[0].next()));
        }),
        Contestant::new(LOAD, LOADS, || {
            (0..LOADS).for_each(|_| load(&engine, files[1].next()));
        }),
        Contestant::new(RELOAD, LOADS, || {
            for _ in 0..LOADS {
                replacements.put(&reloaded);
                let outcomes = engine.reload_file(&reloaded);
                assert!(
                    matches!(outcomes.as_deref(), Ok([LoadOutcome::Reloaded { .. }])),
                    "{outcomes:?}"
                );
            }
        }),
        Contestant::new(
            "wasmtime: compiled, instantiated, called once",
            LOADS,
            || {
                (0..LOADS).for_each(|_| load_with_wasmtime());
            },
        ),
        Contestant::new("extism: compiled, instantiated, called once", LOADS, || {
            (0..LOADS).for_each(|_| drop(Extism::new()));
        }),
        Contestant::new("a child process: started, called once", LOADS, || {
            (0..LOADS).for_each(|_| drop(Child::start()));
        }),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, rounds);
    report.take(GROUP, &table, no_call);
    report.judge_ratio("load / bare dlopen and dlsym", LOAD, BARE, 8.0);
    report.judge_ratio("reload / load", RELOAD, LOAD, 1.0);
}
