//! What a load costs: from a file to a plugin that is Enabled, beside a bare dlopen and dlsym of the same file, in one run.
//!
//! No file is loaded twice: each has other bytes, because the system's loader and the engine both know a file again. Nothing is
//! unmapped, so both sides get slower together as more is mapped.
//!
//! `cargo bench --package plugin-engine-bench --bench loads` runs it. `strip` must be installed: a plugin file as it is shipped has
//! no debug information.

mod rounds;
mod step_shares;

use std::cell::Cell;
use std::path::{Path, PathBuf};
use std::process::Command;

use plugin_engine::{Engine, LoadOutcome, VerifyPolicy};
use plugin_engine_tests::built;
use rounds::{Contestant, Table};
use tempfile::TempDir;

const ROUNDS: usize = 15;
const LOADS: usize = 8;

/// Copies of one plugin file that differ in their id, and so in their bytes.
struct Files {
    paths: Vec<PathBuf>,
    next: Cell<usize>,
}

impl Files {
    /// As many as one contestant needs.
    fn new(dir: &Path, prefix: u8) -> Self {
        let whole = dir.join("whole");
        let stripped = Command::new("strip")
            .arg("-s")
            .arg("-o")
            .arg(&whole)
            .arg(built("noop"))
            .status()
            .expect("strip is installed");
        assert!(stripped.success(), "strip has failed");
        let bytes = std::fs::read(&whole).expect("a file can be read");
        let at = bytes
            .windows(8)
            .position(|window| window == b"\nid=noop")
            .expect("the manifest has an id");
        let count = (ROUNDS + 1) * LOADS;
        let paths = (0..count).map(|n| {
            let mut bytes = bytes.clone();
            // Three digits are enough for all of one contestant.
            bytes[at + 4] = prefix;
            bytes[at + 5..at + 8].copy_from_slice(format!("{n:03x}").as_bytes());
            let path = dir.join(format!("{}{n:03x}.so", prefix as char));
            std::fs::write(&path, bytes).expect("a file can be written");
            path
        });
        Self {
            paths: paths.collect(),
            next: Cell::new(0),
        }
    }

    fn next(&self) -> &Path {
        let n = self.next.get();
        self.next.set(n + 1);
        &self.paths[n]
    }

    fn len(&self) -> u64 {
        std::fs::metadata(&self.paths[0]).map_or(0, |metadata| metadata.len())
    }
}

fn main() {
    let only = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);
    step_shares::listen();
    let dir = TempDir::new().expect("a directory can be made");
    let [bare, engine_files, inspected] = *b"abc";
    let bare = Files::new(dir.path(), bare);
    let engine_files = Files::new(dir.path(), engine_files);
    let inspected = Files::new(dir.path(), inspected);
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

fn dlopen(path: &Path) {
    use libloading::os::unix::{Library, RTLD_LOCAL, RTLD_NOW};
    // SAFETY: the file is a plugin of this workspace, whose constructors do nothing but what Rust's own do.
    let library = unsafe { Library::open(Some(path), RTLD_NOW | RTLD_LOCAL) };
    let library = library.expect("the file can be loaded");
    // SAFETY: the symbol is only looked up, never used.
    let symbol = unsafe { library.get::<*const ()>(plugin_api::HEADER_SYMBOL.as_bytes()) };
    symbol.expect("the symbol is there");
    // Code stays mapped, as the engine's does.
    std::mem::forget(library);
}
