//! What is done a number of times, and nothing else, so that `tests/instructions.sh` can count the instructions of it: those of a run with many
//! less those of one with few. Time stands still between the steps, so that nothing depends on how fast the machine is.
//!
//! `cargo bench --package plugin-engine-bench --bench instructions -- updates 50`

mod site;

use std::process::ExitCode;
use std::time::Duration;

use plugin_engine::{Engine, ManualClock, WallTime};
use tempfile::TempDir;

/// How many plugins make a cycle.
const PLUGINS: usize = 1_000;
/// So short that hardly any update is one of those that are measured with care, of which there is one a second at most.
const INTERVAL: Duration = Duration::from_millis(1);
/// Until every ring of the history has its full length.
const CYCLES_BEFORE: usize = 600;
/// How many events an update publishes.
const BURST: usize = 1_000;
/// How many entries are asked for.
const NEWEST: usize = 1_000;

/// An engine with a directory, a clock that is moved by hand, and one worker, so that it is always the same thread that calls.
struct Site {
    engine: Engine,
    clock: ManualClock,
    _dir: TempDir,
}

impl Site {
    fn new(crate_name: &str, plugins: usize, more: &str) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let keys = format!("interval = \"{}ms\"\n{more}", INTERVAL.as_millis());
        let config = site::entries(crate_name, (0..plugins).map(|n| format!("p{n}")), &keys);
        let clock = ManualClock::new(WallTime::from_unix_nanos(1_767_225_600_000_000_000));
        let builder = site::over(dir.path(), &[crate_name], &config);
        let engine = site::loaded(builder.clock(clock.clone()).workers(1));
        assert_eq!(engine.run_cycle().completed, plugins);
        Self {
            engine,
            clock,
            _dir: dir,
        }
    }

    fn cycles(&self, count: usize) {
        for _ in 0..count {
            self.clock.advance(INTERVAL);
            std::hint::black_box(self.engine.run_cycle());
        }
    }
}

/// One plugin after the other is updated.
fn updates(cycles: usize) {
    let site = Site::new("noop", PLUGINS, "");
    site.cycles(CYCLES_BEFORE + cycles);
}

fn snapshots(count: usize) {
    let site = Site::new("noop", 1, "");
    for _ in 0..count {
        std::hint::black_box(site.engine.snapshot("p0"));
    }
}

/// A plugin publishes, and one subscriber takes what it has published; or nobody has subscribed.
fn events(updates: usize, is_heard: bool) {
    let site = Site::new("publishes", 1, &format!("settings.burst = {BURST}"));
    let subscription = is_heard.then(|| site.engine.subscribe("plugin.p0.tick"));
    for _ in 0..updates {
        site.cycles(1);
        if let Some(subscription) = &subscription {
            let taken = std::iter::from_fn(|| subscription.try_next()).count();
            assert_eq!(taken, BURST);
        }
    }
}

fn queries(count: usize) {
    let site = Site::new("noop", 1, "");
    let newest = || site.engine.history("p0").newest_first().limit(NEWEST);
    // Good updates have a ring of their own, so the rest is filled with what is kept apart from them.
    while newest().into_iter().count() < NEWEST {
        site.cycles(8);
        for _ in 0..8 {
            site.engine.disable("p0").expect("it is switched off");
            site.engine.enable("p0").expect("it is switched on");
        }
    }
    for _ in 0..count {
        let mut seen = 0;
        newest().visit(|entry| seen += usize::from(std::hint::black_box(entry).seq > 0));
        assert_eq!(seen, NEWEST);
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|word| !word.starts_with('-'))
        .collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    let [what, count] = words[..] else {
        // As one of all benchmarks it has nothing to say.
        println!("tests/instructions.sh runs it");
        return ExitCode::SUCCESS;
    };
    let Ok(count) = count.parse() else {
        eprintln!("{count} is no number");
        return ExitCode::from(2);
    };
    match what {
        "updates" => updates(count),
        "snapshots" => snapshots(count),
        "events" => events(count, true),
        "events-unheard" => events(count, false),
        "queries" => queries(count),
        _ => {
            eprintln!("{what}: updates, snapshots, events, events-unheard or queries");
            return ExitCode::from(2);
        }
    }
    ExitCode::SUCCESS
}
