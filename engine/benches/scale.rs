//! What becomes of the figures where there are many: a thousand different files, a hundred thousand plugins, workers in any number.
//!
//! `cargo bench --package plugin-engine-bench --bench scale` runs all, for some minutes; a word after `--` runs those parts whose name has it.
//! `strip` and `taskset` must be installed.

mod append;
mod engines;
#[allow(
    dead_code,
    reason = "of what a user would pick, other benchmarks have more"
)]
mod peers;
mod placement;
mod plugin_files;
mod process;
mod rounds;
mod site;
mod step_shares;
/// What the history takes from the engine beside itself.
mod threading {
    pub(crate) use std::sync::atomic;
    pub(crate) use std::thread;
}

use std::path::Path;
use std::process::Command;
use std::time::{Duration, Instant};

use engines::Fleet;
use peers::{RawFleet, RawPlugin};
use plugin_engine::{Engine, HistoryFilter, ManualClock, PluginId};
use plugin_engine_admin::{Admin, AdminOptions};
use plugin_engine_tests::Asked;
use plugin_files::{Files, dlopen};
use process::resident;
use rounds::{Contestant, Table};
use tempfile::TempDir;

/// How many different files there are.
const FILES: usize = 1_000;
/// How many plugins of one file there are.
const PLUGINS: usize = 100_000;
const ROUNDS: usize = 15;
/// Where a round takes long.
const FEW_ROUNDS: usize = 5;
/// By which argument this program loads a directory and nothing else.
const LOADS_BY: &str = "loads-by=";

fn main() {
    let words: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    if let [way, dir] = &words[..]
        && let Some(way) = way.strip_prefix(LOADS_BY)
    {
        return load(way, Path::new(dir));
    }
    let parts: [(&str, fn()); 9] = [
        ("start", start),
        ("files", files),
        ("jitter", jitter),
        ("mixed", mixed),
        ("size", size),
        ("metrics", metrics),
        ("workers", placement::workers),
        ("placement", placement::placement),
        ("append", append::measure),
    ];
    for (name, part) in parts {
        if words.is_empty() || words.iter().any(|word| name.contains(word.as_str())) {
            println!("{name}");
            part();
        }
    }
}

/// Loads all files of a directory, and says how long that took and how much memory. In a process of its own, because the system's loader looks through
/// all that is mapped.
fn load(way: &str, dir: &Path) {
    let before = resident();
    let began = Instant::now();
    if way == "dlopen" {
        let mut paths: Vec<_> = std::fs::read_dir(dir)
            .expect("it can be read")
            .flatten()
            .map(|entry| entry.path())
            .filter(|path| path.extension().is_some_and(|ending| ending == "so"))
            .collect();
        paths.sort();
        assert_eq!(paths.len(), FILES);
        paths.iter().for_each(|path| dlopen(path));
        println!("{} {}", began.elapsed().as_nanos(), resident() - before);
        return;
    }
    if way == "steps" {
        step_shares::listen();
    }
    let builder = Engine::builder().plugin_dir(dir).libraries_max(2 * FILES);
    let engine = site::loaded(builder);
    let took = began.elapsed();
    assert_eq!(engine.usage().plugins, FILES);
    println!("{} {}", took.as_nanos(), resident() - before);
    if way == "steps" {
        step_shares::print(&["copy_us", "digest_us", "checks_us", "map_us", "contract_us"]);
    }
}

/// From a directory of different files to plugins that are all Enabled, beside bare loads of the same files.
fn start() {
    let dir = TempDir::new().expect("a directory can be made");
    let files = Files::new(dir.path(), b'a', FILES);
    println!("{FILES} plugin files of {} bytes, stripped", files.len());
    let run = |way: &str| {
        let program = std::env::current_exe().expect("it is known");
        let ended = Command::new(program)
            .arg(format!("{LOADS_BY}{way}"))
            .arg(dir.path())
            .output()
            .expect("it runs");
        assert!(ended.status.success(), "{ended:?}");
        String::from_utf8(ended.stdout).expect("it is a text")
    };
    let ways = ["dlopen", "engine"];
    let mut samples = [const { Vec::new() }; 2];
    let mut memory = [0; 2];
    for round in 0..=FEW_ROUNDS {
        for (way, (samples, memory)) in ways.iter().zip(samples.iter_mut().zip(&mut memory)) {
            let told = run(way);
            let mut numbers = told.split_whitespace().map(|word| word.parse::<u64>());
            let (Some(Ok(nanos)), Some(Ok(bytes))) = (numbers.next(), numbers.next()) else {
                panic!("{told}");
            };
            *memory = bytes / FILES as u64;
            if round > 0 {
                samples.push(nanos as f64 / FILES as f64);
            }
        }
    }
    let mut table = Table::new(Vec::new());
    let names = [
        "dlopen + dlsym of all, per file",
        "engine, load_all, per file",
    ];
    for (name, samples) in names.iter().zip(samples) {
        table.add(name, samples);
    }
    table.print();
    table.ratio(names[1], names[0], "at most 8");
    if let Some(nanos) = table.median(names[1]) {
        println!(
            "{:>8.3}  s for all of them   at most 1",
            nanos * FILES as f64 / 1e9
        );
    }
    println!("{memory:>8?}  bytes of memory a file\n");
    print!("{}", run("steps"));
    println!();
}

/// A cycle over a thousand different files, of which each has code and data in pages of its own.
fn files() {
    let [bare_dir, dir] = [(); 2].map(|()| TempDir::new().expect("a directory can be made"));
    let [bare_files, files] = [&bare_dir, &dir].map(|dir| Files::new(dir.path(), b'a', FILES));
    let raw = RawPlugin::load();
    let bare_one = RawFleet::new(&raw, FILES);
    let bare = RawFleet::of_files(bare_files.paths());
    let one = Fleet::due(FILES);
    let many = Fleet::of_files(dir, files.paths());
    let cycles = many.cycles;
    let bare_run = |fleet: &RawFleet| (0..cycles).for_each(|_| fleet.update(0..FILES));
    let count = FILES * cycles;
    let mut contestants = [
        Contestant::new("a loop with records, 1,000 of one file", count, || {
            bare_run(&bare_one)
        }),
        Contestant::new("engine, 1,000 of one file", count, || one.run()),
        Contestant::new("a loop with records, 1,000 files", count, || {
            bare_run(&bare)
        }),
        Contestant::new("engine, 1,000 files", count, || many.run()),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, ROUNDS);
    table.print();
    table.ratio(
        "engine, 1,000 files",
        "a loop with records, 1,000 files",
        "at most 1.5",
    );
    table.ratio(
        "engine, 1,000 of one",
        "a loop with records, 1,000 of one",
        "",
    );
    println!();
}

/// Plugins of one file on a clock that is moved by hand.
struct Ticking {
    engine: Engine,
    clock: ManualClock,
    interval: Duration,
    _dir: TempDir,
}

impl Ticking {
    fn new(file: &str, interval: Duration, more: &str) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let keys = format!("interval = \"{}ms\"\n{more}", interval.as_millis());
        let config = site::entries(file, (0..PLUGINS).map(|n| format!("p{n}")), &keys);
        let clock = ManualClock::new(Default::default());
        let builder = site::over(dir.path(), &[file], &config);
        Self {
            engine: site::loaded(builder.clock(clock.clone())),
            clock,
            interval,
            _dir: dir,
        }
    }

    /// Has an interval pass in so many steps; returns how many updates completed.
    fn pass(&self, steps: u32) -> usize {
        let cycle = |_| {
            self.clock.advance(self.interval / steps);
            self.engine.run_cycle().completed
        };
        (0..steps).map(cycle).sum()
    }
}

/// A hundred thousand that are due in small groups, beside as many that are due at once.
fn jitter() {
    const STEPS: u32 = 1_000;
    /// Until the budget of all histories is used up.
    const INTERVALS_BEFORE: usize = 70;
    let mut table = Table::new(Vec::new());
    for interval in [Duration::from_millis(100), Duration::from_secs(10)] {
        let spread = format!("jitter = \"{}ms\"", interval.as_millis());
        let [at_once, spread] = ["", &spread].map(|more| Ticking::new("noop", interval, more));
        for _ in 0..INTERVALS_BEFORE {
            at_once.pass(1);
            spread.pass(STEPS);
        }
        let name = |what: &str| format!("{what}, interval of {interval:?}");
        let mut contestants = [
            Contestant::new(name("100,000 at once"), PLUGINS, || {
                assert_eq!(at_once.pass(1), PLUGINS);
            }),
            Contestant::new(name("with jitter, in 1,000 cycles"), PLUGINS, || {
                assert_eq!(spread.pass(STEPS), PLUGINS);
            }),
        ];
        table.measure(&mut contestants, FEW_ROUNDS);
    }
    table.print();
    for (name, [_, median, _]) in table.rows() {
        if name.starts_with("with jitter") {
            let each = median * PLUGINS as f64 / f64::from(STEPS) / 1e3;
            println!(
                "{each:>8.1}  µs a cycle of {} {name}",
                PLUGINS as u32 / STEPS
            );
        }
    }
    println!();
}

/// All due at once, of which one in a hundred fails and one in a hundred never returns.
fn mixed() {
    const SHARE: usize = PLUGINS / 100;
    let dir = TempDir::new().expect("a directory can be made");
    let keys = "interval = \"100ms\"\ntimeout = \"100ms\"";
    let ids = |kind: &'static str, count| (0..count).map(move |n| format!("{kind}-{n}"));
    let mut config = site::entries("noop", ids("noop", PLUGINS - 2 * SHARE), keys);
    for file in ["fails", "hangs"] {
        let keys = format!(
            "{keys}\nsettings = {{ {} }}",
            if file == "fails" { "every = 1" } else { "" }
        );
        config += &site::entries(file, ids(file, SHARE), &keys);
    }
    let builder = site::over(dir.path(), &["noop", "fails", "hangs"], &config);
    // Each call that hangs keeps a thread, and no others are called once all have one.
    let engine = site::loaded(builder.threads_max(2 * SHARE));
    // The time of the machine passes, so all are due again after each cycle that takes so long, and else soon.
    let mut cycles = Vec::new();
    for _ in 0..=ROUNDS {
        std::thread::sleep(Duration::from_millis(150));
        let began = Instant::now();
        let report = engine.run_cycle();
        cycles.push((began.elapsed(), report));
    }
    for (number, (took, report)) in cycles.iter().enumerate() {
        let usage = engine.usage();
        println!(
            "cycle {number}: {took:.1?} for {} due: {} completed, {} failed, {} timed out, {} skipped; {} threads",
            report.due,
            report.completed,
            report.failed,
            report.timed_out,
            report.skipped,
            usage.threads
        );
    }
    println!();
}

/// How long a hundred thousand take to start, what they take of the memory, and what questions to all of them take.
fn size() {
    const FAILING: usize = PLUGINS / 100;
    const QUESTIONS: usize = 100;
    /// Until the budget of all histories is used up, and all that is there has been made anew.
    const UPDATES: u32 = 200;
    let interval = Duration::from_millis(100);
    // The first engine brings in what is there once.
    let few = Fleet::due(100);
    let before = resident();
    let dir = TempDir::new().expect("a directory can be made");
    let keys = "interval = \"100ms\"";
    let config = site::entries("noop", (FAILING..PLUGINS).map(|n| format!("p{n}")), keys)
        + &site::entries("fails", (0..FAILING).map(|n| format!("p{n}")), keys);
    let clock = ManualClock::new(Default::default());
    let builder = site::over(dir.path(), &["noop", "fails"], &config).clock(clock.clone());
    let began = Instant::now();
    let engine = site::loaded(builder);
    println!(
        "{:>8.2}  s from the configuration to {PLUGINS} plugins that are Enabled",
        began.elapsed().as_secs_f64()
    );
    let each = |bytes: u64| bytes / PLUGINS as u64;
    println!(
        "{:>8}  bytes of memory each, before the first update",
        each(resident() - before)
    );
    for _ in 0..UPDATES {
        clock.advance(interval);
        engine.run_cycle();
    }
    println!(
        "{:>8}  bytes of memory each, after {UPDATES} updates of each",
        each(resident() - before)
    );
    let ids: Vec<_> = (0..PLUGINS)
        .map(|n| PluginId::new(&format!("p{n}")).expect("it is an id"))
        .collect();
    let entries: usize = ids
        .iter()
        .map(|id| engine.snapshot(id.as_str()).history_len)
        .sum();
    let used = engine.usage().history_bytes;
    println!(
        "{:>8.1}  MiB of the history's budget, for {entries} transitions, {:.1} bytes each   at most 256, 64",
        used as f64 / f64::from(1 << 20),
        used as f64 / entries as f64
    );
    let ask = |mut filter: HistoryFilter, limit: usize, errors: bool| {
        (filter.newest_first, filter.limit, filter.errors_only) = (true, Some(limit), errors);
        let found = engine.query(&filter).entries.len();
        assert!((1..=limit).contains(&found), "{found}");
    };
    let mut contestants = [
        Contestant::new("newest 100 of one plugin", QUESTIONS, || {
            for id in ids
                .iter()
                .rev()
                .step_by(PLUGINS / 2 / QUESTIONS)
                .take(QUESTIONS)
            {
                ask(HistoryFilter::of(id.clone()), 100, false);
            }
        }),
        Contestant::new("newest 1,000 of all", 1, || {
            ask(HistoryFilter::default(), 1_000, false)
        }),
        Contestant::new("newest 1,000 errors of all", 1, || {
            ask(HistoryFilter::default(), 1_000, true)
        }),
        Contestant::new("a snapshot of each, per snapshot", PLUGINS, || {
            for id in &ids {
                std::hint::black_box(engine.snapshot(id.as_str()));
            }
        }),
    ];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, FEW_ROUNDS);
    drop(contestants);
    table.print();
    println!();
    drop(few);
}

/// What it takes to ask for the numbers of a hundred thousand.
fn metrics() {
    let dir = TempDir::new().expect("a directory can be made");
    let ids = (0..PLUGINS).map(|n| format!("p{n}"));
    let config = site::entries("noop", ids, "interval = \"365days\"");
    let builder = site::over(dir.path(), &["noop"], &config);
    let engine = site::loaded(builder.state_dir(dir.path().join("state")));
    assert_eq!(engine.run_cycle().completed, PLUGINS);
    let admin = Admin::serve(&engine, AdminOptions::default()).expect("it can be served");
    let asked = Asked::Socket(admin.socket().expect("there is one").to_owned());
    let mut body = 0;
    let mut contestants = [Contestant::new("/metrics, per plugin", PLUGINS, || {
        body = asked.get("/metrics").body.len();
    })];
    let mut table = Table::new(Vec::new());
    table.measure(&mut contestants, FEW_ROUNDS);
    drop(contestants);
    table.print();
    println!("{:>8.1}  MB of metrics\n", body as f64 / 1e6);
}
