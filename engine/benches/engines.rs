//! The engine under measurement: real plugin files, real clock, everything on.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{Clock, Engine, Moment, Snapshot, SystemClock, WallTime};
use tempfile::TempDir;

use crate::site;

/// The machine's clock with time left out: it runs as fast and costs as much as the machine's, and jumps to the next tick.
#[derive(Clone, Default)]
struct SkippingClock {
    system: Arc<SystemClock>,
    skipped_ns: Arc<AtomicU64>,
}

impl Clock for SkippingClock {
    fn now(&self) -> Moment {
        let skipped = self.skipped_ns.load(Ordering::Relaxed);
        Moment::from_nanos(self.system.now().as_nanos() + skipped)
    }

    fn wall(&self) -> WallTime {
        self.system.wall()
    }

    fn real_time_until(&self, moment: Moment) -> Option<Duration> {
        Some(moment.saturating_since(self.now()))
    }
}

/// An engine with plugins that are all due whenever an interval is left out.
pub(crate) struct Fleet {
    pub(crate) due: usize,
    pub(crate) cycles: usize,
    interval: Duration,
    engine: Engine,
    clock: SkippingClock,
    _dir: TempDir,
}

/// So short that hardly any update is one of those that are measured with care, of which there is one a second at most.
const INTERVAL: Duration = Duration::from_millis(1);
/// So long that every update is.
const LONG_INTERVAL: Duration = Duration::from_secs(1);
/// More plugin files than any of these has.
const LIBRARIES_MAX: usize = 4_096;
/// How many updates there are before anything is measured: history rings grow to their full length, or until their budget is used up, and growing
/// is no part of an update.
const UPDATES_BEFORE: usize = 6_000_000;

/// What a fleet is, beside how many are due.
#[derive(Clone, Copy)]
pub(crate) struct Made<'a> {
    /// The file that all plugins are of.
    pub(crate) file: &'a str,
    /// What is said of those that are due, beside their interval.
    pub(crate) keys: &'a str,
    pub(crate) interval: Duration,
    /// How many plugins there are that are not due for a year.
    pub(crate) idle: usize,
    /// Whether there is a record of calls that outlives the process.
    pub(crate) recorded: bool,
    /// As many as the machine has processors if nothing is said.
    pub(crate) workers: Option<usize>,
    pub(crate) updates_before: usize,
}

impl Default for Made<'_> {
    fn default() -> Self {
        Self {
            file: "noop",
            keys: "",
            interval: INTERVAL,
            idle: 0,
            recorded: false,
            workers: None,
            updates_before: UPDATES_BEFORE,
        }
    }
}

impl Fleet {
    /// `due` plugins of one file.
    pub(crate) fn due(due: usize) -> Self {
        Self::made(due, Made::default())
    }

    /// The same, with as many workers as are said, instead of one for each processor.
    pub(crate) fn due_with_workers(due: usize, workers: usize) -> Self {
        let workers = Some(workers);
        let made = Made::default();
        Self::made(due, Made { workers, ..made })
    }

    /// The same, with each update measured with care.
    pub(crate) fn due_and_measured(due: usize) -> Self {
        let interval = LONG_INTERVAL;
        let made = Made::default();
        Self::made(due, Made { interval, ..made })
    }

    /// The same as the first beside plugins that are not due for a year.
    pub(crate) fn due_beside_idle(due: usize, idle: usize) -> Self {
        let made = Made::default();
        Self::made(due, Made { idle, ..made })
    }

    /// [`Fleet::due`], with a record of calls that outlives the process.
    pub(crate) fn recorded(due: usize) -> Self {
        let recorded = true;
        let made = Made::default();
        Self::made(due, Made { recorded, ..made })
    }

    /// `due` plugins of one file, which are otherwise as is said.
    pub(crate) fn made(due: usize, made: Made<'_>) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let ids = |from, to| (from..to).map(|n| format!("p{n}"));
        let keys = format!(
            "interval = \"{}ms\"\n{}",
            made.interval.as_millis(),
            made.keys
        );
        let idle = ids(due, due + made.idle);
        let config = site::entries(made.file, ids(0, due), &keys)
            + &site::entries(made.file, idle, "interval = \"365days\"");
        Self::over(dir, &[made.file], &config, due, made)
    }

    /// One plugin of each plugin file in a directory, all of which are due.
    pub(crate) fn of_files(dir: TempDir, files: &[PathBuf]) -> Self {
        let made = Made::default();
        let keys = format!("interval = \"{}ms\"", made.interval.as_millis());
        let names = files.iter().filter_map(|file| file.file_stem()?.to_str());
        let entries = names.map(|name| site::entries(name, [name.to_owned()], &keys));
        let config: String = entries.collect();
        Self::over(dir, &[], &config, files.len(), made)
    }

    fn over(dir: TempDir, files: &[&str], config: &str, due: usize, made: Made<'_>) -> Self {
        let clock = SkippingClock::default();
        let mut builder = site::over(dir.path(), files, config)
            .libraries_max(LIBRARIES_MAX)
            .clock(clock.clone());
        if made.recorded {
            builder = builder.state_dir(dir.path().join("state"));
        }
        if let Some(workers) = made.workers {
            builder = builder.workers(workers);
        }
        let fleet = Self {
            due,
            // About the same number of updates in each round.
            cycles: (10_000 / due).clamp(1, 500),
            interval: made.interval,
            engine: site::loaded(builder),
            clock,
            _dir: dir,
        };
        assert_eq!(fleet.engine.run_cycle().completed, due + made.idle);
        for _ in 0..(made.updates_before / due).min(600) {
            fleet.cycle();
        }
        fleet
    }

    /// Has everything come due.
    pub(crate) fn skip(&self) {
        self.clock
            .skipped_ns
            .fetch_add(self.interval.as_nanos() as u64, Ordering::Relaxed);
    }

    pub(crate) fn engine(&self) -> &Engine {
        &self.engine
    }

    fn cycle(&self) {
        self.skip();
        let report = self.engine.run_cycle();
        assert_eq!(report.completed, self.due);
    }

    pub(crate) fn run(&self) {
        for _ in 0..self.cycles {
            self.cycle();
        }
    }

    /// So many snapshots, to be kept.
    pub(crate) fn snapshots(&self, count: usize) -> Vec<Snapshot> {
        (0..count).map(|_| self.engine.snapshot("p0")).collect()
    }

    pub(crate) fn read_snapshots(&self, count: usize) {
        for _ in 0..count {
            // Where it is, not a copy of it that only the benchmark would make.
            std::hint::black_box(&self.engine.snapshot("p0"));
        }
    }

    /// Runs cycles without a pause while `work` goes on; returns how many updates there were.
    pub(crate) fn busy(&self, work: impl FnOnce()) -> usize {
        let stop = AtomicBool::new(false);
        let mut cycles = 0;
        std::thread::scope(|scope| {
            let runner = scope.spawn(|| {
                while !stop.load(Ordering::Relaxed) {
                    self.cycle();
                    cycles += 1;
                }
            });
            work();
            stop.store(true, Ordering::Relaxed);
            runner.join().expect("the cycles run");
        });
        cycles * self.due
    }
}
