//! Plugin files that are changed, cut, replaced and removed while their plugins run: what runs is a copy that nobody can reach.

use std::fs::{self, OpenOptions};
use std::os::unix::fs::FileExt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::thread;
use std::time::{Duration, Instant};

use plugin_engine::{Cause, LoadOutcome, PluginState};
use plugin_engine_tests::{Rig, built};

/// How many things are done to the files. `PLUGIN_ENGINE_TEST_SECONDS=60` goes on for a minute instead.
const OPERATIONS: u64 = 600;
const PLUGINS: usize = 6;

/// A generator of numbers that anybody can repeat from its seed (xorshift, 64 bits).
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 7;
        self.0 ^= self.0 << 17;
        self.0 % limit
    }
}

/// Does one thing to one file. Whether it succeeds does not matter: the file may be gone.
fn disturb(numbers: &mut Numbers, files: &[PathBuf]) {
    let file = &files[numbers.below(files.len() as u64) as usize];
    let open = || OpenOptions::new().write(true).open(file);
    match numbers.below(7) {
        0 => {
            // In place, as `cp` does it.
            let _ = fs::copy(built("noop"), file);
        }
        1 => {
            let len = numbers.below(8 << 20);
            let _ = open().and_then(|file| file.set_len(len));
        }
        2 => {
            let (at, byte) = (numbers.below(4 << 20), numbers.below(256) as u8);
            let _ = open().and_then(|file| file.write_all_at(&[byte; 4_096], at));
        }
        3 => {
            let _ = fs::remove_file(file);
        }
        4 => {
            // Another file in its place, as package managers do it.
            let other = file.with_extension("new");
            let _ = fs::copy(built("counter"), &other).and_then(|_| fs::rename(&other, file));
        }
        5 => {
            let other = &files[numbers.below(files.len() as u64) as usize];
            let _ = fs::rename(file, other);
        }
        _ => {
            let _ = fs::write(file, b"no library at all");
        }
    }
}

#[test]
fn whatever_happens_to_the_files_the_plugins_go_on() {
    let seed = std::env::var("PLUGIN_ENGINE_TEST_SEED")
        .ok()
        .and_then(|seed| seed.parse().ok())
        .unwrap_or(0x5eed);
    println!("PLUGIN_ENGINE_TEST_SEED={seed}");
    let seconds = std::env::var("PLUGIN_ENGINE_TEST_SECONDS")
        .ok()
        .and_then(|seconds| seconds.parse().ok())
        .map(Duration::from_secs);

    let rig = Rig::new();
    let ids: Vec<_> = (0..PLUGINS).map(|n| format!("p{n}")).collect();
    for id in &ids {
        rig.drop_as("noop", id, "");
    }
    rig.load();
    let files: Vec<_> = ids
        .iter()
        .map(|id| rig.dir().join(format!("{id}.so")))
        .collect();

    let done = AtomicBool::new(false);
    let cycles = AtomicU64::new(0);
    thread::scope(|scope| {
        // The load: every plugin due in every cycle, one cycle after the other.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                rig.advance(1_000);
                assert_eq!(rig.engine.run_cycle().completed, PLUGINS);
                cycles.fetch_add(1, Ordering::Relaxed);
            }
        });
        // Somebody who looks at the directory again and again, and finds half of it broken.
        scope.spawn(|| {
            while !done.load(Ordering::Relaxed) {
                for outcome in rig.load_any() {
                    match outcome {
                        LoadOutcome::AlreadyLoaded { state, .. } => {
                            assert!(matches!(state, PluginState::Enabled | PluginState::Running));
                        }
                        LoadOutcome::Refused { .. } => {}
                        outcome => panic!("{outcome}"),
                    }
                }
                // And who inspects the files while they change.
                for file in &files {
                    let _ = plugin_engine::inspect(file, &plugin_engine::VerifyPolicy::default());
                }
            }
        });
        let began = Instant::now();
        let mut numbers = Numbers(seed);
        let mut operations = 0;
        while seconds.map_or(operations < OPERATIONS, |seconds| began.elapsed() < seconds) {
            disturb(&mut numbers, &files);
            operations += 1;
        }
        done.store(true, Ordering::Relaxed);
        println!("{operations} operations");
    });

    let cycles = cycles.load(Ordering::Relaxed);
    assert!(cycles > 0);
    for id in &ids {
        let snapshot = rig.snapshot(id);
        assert_eq!(
            (snapshot.state, snapshot.error.as_ref()),
            (PluginState::Enabled, None),
            "{id}"
        );
        assert_eq!(
            (snapshot.counts.updates, snapshot.counts.successes),
            (cycles, cycles + 1),
            "{id}"
        );
        let starts = rig
            .causes(id)
            .iter()
            .filter(|cause| **cause == Cause::Created)
            .count();
        assert_eq!(starts, 1, "{id}");
        let shown = rig.engine.display(id).unwrap();
        assert_eq!(shown.as_text(), Some(&*cycles.to_string()), "{id}");
    }
}
