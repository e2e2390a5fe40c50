//! How many workers there should be, on which processor each should run, and which of them should call which plugin.

use std::process::Command;

use crate::engines::{Fleet, Made};
use crate::process::threads_named;
use crate::rounds::{Contestant, Table};

/// How many plugins are due.
const DUE: usize = 10_000;
const ROUNDS: usize = 15;
/// Where a round takes long.
const FEW_ROUNDS: usize = 5;

/// Plugins that compute for so long.
fn computing(due: usize, keys: &str, workers: usize) -> Fleet {
    let made = Made {
        file: "computes",
        keys,
        workers: Some(workers),
        updates_before: 4 * due,
        ..Made::default()
    };
    Fleet::made(due, made)
}

/// Whether as many workers as there are processors is the best number of them.
pub(crate) fn workers() {
    let mut table = Table::new(Vec::new());
    for (ns, what) in [(200, "0.2"), (5_000, "5"), (50_000, "50")] {
        let keys = format!("settings = {{ ms = 0, ns = {ns} }}");
        let fleets = [1, 2, 3, 4].map(|workers| computing(DUE, &keys, workers));
        let contestants = fleets.iter().zip(1..).map(|(fleet, workers): (_, u32)| {
            let name = format!("updates of {what} µs, workers: {workers}");
            Contestant::new(name, DUE * fleet.cycles, || fleet.run())
        });
        table.measure(&mut contestants.collect::<Vec<_>>(), FEW_ROUNDS);
        let threads = fleets.map(|fleet| fleet.engine().usage().threads);
        println!("updates of {what} µs: {threads:?} threads in the end");
    }
    table.print();
    println!();
}

/// A fleet whose workers each stay on one processor.
fn pinned(fleet: impl FnOnce() -> Fleet) -> Fleet {
    const WORKERS: &str = "plugin-worker";
    let before = threads_named(WORKERS);
    let fleet = fleet();
    let mine = threads_named(WORKERS).into_iter();
    let processors = std::thread::available_parallelism().map_or(1, usize::from);
    for (number, thread) in mine.filter(|thread| !before.contains(thread)).enumerate() {
        let processor = number % processors;
        let pinned = Command::new("taskset")
            .args(["-p", "-c", &processor.to_string(), &thread])
            .output()
            .expect("taskset is installed");
        assert!(pinned.status.success(), "{pinned:?}");
    }
    fleet
}

/// Two fleets of one worker each, whose cycles run beside each other: each plugin is called by the same worker always.
struct Halves([Fleet; 2]);

impl Halves {
    fn run(&self) {
        for _ in 0..self.0[0].cycles / 2 {
            self.0.iter().for_each(Fleet::skip);
            let cycles = [0, 1].map(|half| self.0[half].engine().start_cycle());
            for cycle in cycles {
                assert_eq!(cycle.wait().completed, self.0[0].due);
            }
        }
    }
}

/// Whether it pays that a worker stays on one processor, and that a plugin is called by the same worker always.
pub(crate) fn placement() {
    let mut table = Table::new(Vec::new());
    for (due, keys, what) in [
        (DUE, "settings = { ms = 0 }", "10,000 that do nothing"),
        (DUE, "settings = { ms = 0, ns = 5000 }", "10,000 of 5 µs"),
        (
            100,
            "settings = { ms = 0, kib = 16 }",
            "100 with 16 KiB each",
        ),
        (
            100,
            "settings = { ms = 0, ns = 5000, kib = 16 }",
            "100 of 5 µs with 16 KiB each",
        ),
    ] {
        let made = |count| computing(count, keys, 2);
        let [free, stays] = [made(due), pinned(|| made(due))];
        let one = || computing(due / 2, keys, 1);
        let same = Halves([one(), one()]);
        let name = |how: &str| format!("{what}: {how}");
        let count = due * free.cycles;
        let mut contestants = [
            Contestant::new(name("workers not pinned"), count, || free.run()),
            Contestant::new(name("workers pinned"), count, || stays.run()),
            Contestant::new(name("each by the same worker"), count, || same.run()),
        ];
        table.measure(&mut contestants, ROUNDS);
    }
    table.print();
    println!();
}
