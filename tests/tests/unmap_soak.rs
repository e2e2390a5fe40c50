//! Builds of a plugin that come and go, thousands of times in one process: neither memory nor descriptors nor keys grow. A process of
//! its own, whose memory nobody else uses.
//!
//! `SOAK_CYCLES` says how often; by default a few hundred, which is enough to see anything that a cycle leaves behind.

use std::fs;
use std::path::PathBuf;

use plugin_engine::{LoadOutcome, PluginState};
use plugin_engine_tests::{Builds, Rig, ThreadHooks, is_mapped, wait_for};

/// How often the build of each plugin is replaced, each way.
const CYCLES: u64 = 300;
/// Until here everything that grows once has grown.
const WARM: u64 = 100;
/// What may come and go with the moment at which is looked, in KiB.
const SLACK_KIB: u64 = 4_096;
/// What a cycle may leave, in bytes: `tracing` keeps lists that nothing takes back, see `release` of `plugin-api`.
const LEFT_MAX: u64 = 512;

fn cycles() -> u64 {
    let wanted = std::env::var("SOAK_CYCLES").ok();
    wanted.map_or(CYCLES, |wanted| wanted.parse().expect("a number of cycles"))
}

/// What the process uses.
#[derive(Debug, Clone, Copy)]
struct Use {
    resident_kib: u64,
    descriptors: usize,
    mappings: usize,
    keys: usize,
}

fn used() -> Use {
    let status = fs::read_to_string("/proc/self/status").unwrap();
    let line = status.lines().find(|line| line.starts_with("VmRSS:"));
    let kib = line.and_then(|line| line.split_whitespace().nth(1));
    Use {
        resident_kib: kib.unwrap().parse().unwrap(),
        descriptors: fs::read_dir("/proc/self/fd").unwrap().count(),
        mappings: fs::read_to_string("/proc/self/maps")
            .unwrap()
            .lines()
            .count(),
        keys: plugin_engine_thread_hooks::keys().len(),
    }
}

/// A plugin whose builds come and go, beside a neighbour that must not notice.
struct Soak {
    rig: Rig,
    fixture: &'static str,
    builds: Builds,
    warm: Use,
}

impl Soak {
    fn new(fixture: &'static str) -> Self {
        let rig = Rig::with(|builder| builder.thread_census(ThreadHooks));
        let config = "id = \"soaked\"\nunmap = \"when-safe\"\n";
        fs::write(rig.dir().join("soaked.toml"), config).unwrap();
        rig.drop_as("noop", "neighbour", "");
        let soak = Self {
            rig,
            fixture,
            builds: Builds::of(fixture),
            warm: used(),
        };
        soak.put(0);
        soak.rig.load();
        soak
    }

    fn file(&self) -> PathBuf {
        self.rig.dir().join("soaked.so")
    }

    /// Puts one of the two builds there.
    fn put(&self, cycle: u64) {
        self.builds.write(cycle % 2, &self.file());
    }

    fn update(&mut self, cycle: u64) {
        let report = self.rig.engine.run_cycle();
        assert_eq!(report.completed, 2, "{}, {cycle}", self.fixture);
        self.rig.advance(1_000);
        if cycle == WARM {
            self.warm = used();
        }
    }

    /// Waits until so many files are mapped.
    fn await_mapped(&self, count: usize) {
        wait_for("the unmap", || self.rig.engine.usage().libraries == count);
    }

    fn end(self, what: &str, cycles: u64) {
        let (warm, now) = (self.warm, used());
        println!(
            "{} {what}: after {WARM} {warm:?}, after {cycles} {now:?}",
            self.fixture
        );
        assert_eq!(now.descriptors, warm.descriptors);
        assert!(now.keys <= warm.keys, "{warm:?} {now:?}");
        assert!(now.mappings <= warm.mappings + 20, "{warm:?} {now:?}");
        let allowed = SLACK_KIB + cycles.saturating_sub(WARM) * LEFT_MAX / 1_024;
        assert!(
            now.resident_kib <= warm.resident_kib + allowed,
            "{warm:?} {now:?}"
        );
        let neighbour = self.rig.snapshot("neighbour");
        assert_eq!(neighbour.state, PluginState::Enabled);
        // Its create is one of its successes.
        let calls = (neighbour.counts.successes, neighbour.counts.skipped);
        assert_eq!(calls, (cycles + 2, 0));
        let soaked = self.rig.snapshot("soaked");
        assert_eq!(u64::from(soaked.generation), cycles + 1);
        assert_eq!((soaked.counts.skipped, soaked.counts.failures), (0, 0));
        // An engine that ends leaves mapped what it has not unmapped by then, and the next one's file has the same name.
        self.rig.engine.unload("soaked").unwrap();
        self.await_mapped(1);
    }
}

const FIXTURES: [&str; 3] = ["versioned-1-1", "current-thread", "thread-locals"];

/// One after the other: they look at what the whole process uses.
#[test]
fn builds_that_come_and_go_leave_neither_memory_nor_descriptors_nor_keys_behind() {
    for fixture in FIXTURES {
        unload_and_load(fixture);
    }
    for fixture in FIXTURES {
        reload(fixture);
    }
}

fn unload_and_load(fixture: &'static str) {
    let mut soak = Soak::new(fixture);
    soak.update(0);
    for cycle in 1..=cycles() {
        soak.rig.engine.unload("soaked").unwrap();
        soak.await_mapped(1);
        assert!(!is_mapped("soaked.so"));
        soak.put(cycle);
        soak.rig.engine.load("soaked").unwrap();
        soak.update(cycle);
    }
    soak.end("unloads", cycles());
}

fn reload(fixture: &'static str) {
    let mut soak = Soak::new(fixture);
    soak.update(0);
    for cycle in 1..=cycles() {
        soak.put(cycle);
        let outcomes = soak.rig.engine.reload_file(soak.file()).unwrap();
        let reloaded = matches!(outcomes[..], [LoadOutcome::Reloaded { .. }]);
        assert!(reloaded, "{outcomes:?}");
        soak.await_mapped(2);
        soak.update(cycle);
    }
    soak.end("reloads", cycles());
}
