//! The engine under measurement: real plugin files, real clock, everything on.

#![allow(dead_code, reason = "what benchmarks share, of which each uses a part")]

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::Duration;

use plugin_engine::{Clock, Engine, Moment, SystemClock, WallTime};
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

impl Fleet {
    /// `due` plugins of one file.
    pub(crate) fn due(due: usize) -> Self {
        Self::due_beside_idle(due, 0)
    }

    /// The same, with as many workers as are said, instead of one for each processor.
    pub(crate) fn due_with_workers(due: usize, workers: usize) -> Self {
        Self::new(due, 0, INTERVAL, false, Some(workers))
    }

    /// The same, with each update measured with care.
    pub(crate) fn due_and_measured(due: usize) -> Self {
        Self::new(due, 0, LONG_INTERVAL, false, None)
    }

    /// The same as the first beside plugins that are not due for a year.
    pub(crate) fn due_beside_idle(due: usize, idle: usize) -> Self {
        Self::new(due, idle, INTERVAL, false, None)
    }

    /// [`Fleet::due`], with a record of calls that outlives the process.
    pub(crate) fn recorded(due: usize) -> Self {
        Self::new(due, 0, INTERVAL, true, None)
    }

    fn new(
        due: usize,
        idle: usize,
        interval: Duration,
        recorded: bool,
        workers: Option<usize>,
    ) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let ids = |from, to| (from..to).map(|n| format!("p{n}"));
        let keys = format!("interval = \"{}ms\"", interval.as_millis());
        let config = site::entries("noop", ids(0, due), &keys)
            + &site::entries("noop", ids(due, due + idle), "interval = \"365days\"");
        let clock = SkippingClock::default();
        let mut builder = site::over(dir.path(), &["noop"], &config).clock(clock.clone());
        if recorded {
            builder = builder.state_dir(dir.path().join("state"));
        }
        if let Some(workers) = workers {
            builder = builder.workers(workers);
        }
        let engine = site::loaded(builder);
        let fleet = Self {
            due,
            // About the same number of updates in each round.
            cycles: (10_000 / due).clamp(1, 500),
            interval,
            engine,
            clock,
            _dir: dir,
        };
        assert_eq!(fleet.engine.run_cycle().completed, due + idle);
        // History rings grow first, to their full length or until their budget is used up: growing is no part of an update.
        for _ in 0..(6_000_000 / due).min(600) {
            fleet.cycle();
        }
        fleet
    }

    fn cycle(&self) {
        self.clock
            .skipped_ns
            .fetch_add(self.interval.as_nanos() as u64, Ordering::Relaxed);
        let report = self.engine.run_cycle();
        assert_eq!(report.completed, self.due);
    }

    pub(crate) fn run(&self) {
        for _ in 0..self.cycles {
            self.cycle();
        }
    }

    pub(crate) fn read_snapshots(&self, count: usize) {
        for _ in 0..count {
            std::hint::black_box(self.engine.snapshot("p0"));
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
