//! What an engine does in operation: how soon a deadline is noticed, how late a fast plugin is beside slow ones, what a panic costs, and what
//! plugins cost that have nothing to do.
//!
//! `cargo bench --package plugin-engine-bench --bench operation` runs all, for a minute and a half on a machine that has nothing else to do; a word
//! after `--` runs those whose name has it.

mod process;
mod rounds;
mod site;

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Engine, HistoryFilter, PluginId};
use process::{cpu_ns, resident};
use rounds::{Contestant, Table, micros_at};
use tempfile::TempDir;

const DEADLINES: usize = 300;
const TIMEOUT: Duration = Duration::from_millis(10);
const STARTS: usize = 1_000;
const INTERVAL: Duration = Duration::from_millis(10);
const SLOW: usize = 10;
const IDLE_FOR: Duration = Duration::from_secs(30);
const IDLE: usize = 1_000;
const MANY: usize = 10_000;
const MIXED: Duration = Duration::from_secs(1);
const IN_MEMORY: usize = 10_000;

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let parts: [(&str, fn()); 6] = [
        ("deadlines", deadlines),
        ("slow", beside_slow_ones),
        ("mixed", mixed),
        ("panics", panics),
        ("idle", idle),
        ("memory", memory),
    ];
    for (name, part) in parts {
        if only.is_empty() || only.iter().any(|word| name.contains(word.as_str())) {
            part();
        }
    }
}

/// An engine over plugin files, configured by a text.
struct Rig {
    engine: Engine,
    _dir: TempDir,
}

impl Rig {
    fn new(files: &[&str], config: &str) -> Self {
        Self::with(files, config, true)
    }

    fn with(files: &[&str], config: &str, backtraces: bool) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let builder = site::over(dir.path(), files, config);
        let engine = site::loaded(builder.backtraces(backtraces));
        Self { engine, _dir: dir }
    }

    /// Runs cycles on the real clock until `until` says that it is enough.
    fn run_until(&self, until: impl Fn(&Engine) -> bool) {
        std::thread::scope(|scope| {
            scope.spawn(|| self.engine.run());
            while !until(&self.engine) {
                std::thread::sleep(Duration::from_millis(100));
            }
            self.engine.stop();
        });
    }

    /// The times of the newest transitions of these causes, oldest first.
    fn times(&self, id: &str, causes: &[Cause], limit: usize) -> Vec<(Cause, u64)> {
        let mut filter = HistoryFilter::of(PluginId::new(id).expect("it is an id"));
        filter.causes = causes.to_vec();
        (filter.newest_first, filter.limit) = (true, Some(limit));
        let found = self.engine.query(&filter);
        let mut times: Vec<_> = found
            .entries
            .iter()
            .map(|entry| (entry.cause, entry.at.as_unix_nanos()))
            .collect();
        times.reverse();
        times
    }
}

/// `count` plugins of one file.
fn plugins(file: &str, count: usize, keys: &str) -> String {
    site::entries(
        file,
        (0..count).map(|number| format!("{file}-{number}")),
        keys,
    )
}

/// How long after its deadline a call is recorded as one that has passed it.
fn deadlines() {
    let keys = format!(
        "interval = \"50ms\"\ntimeout = \"{}ms\"\nsettings = {{ ms = 30 }}",
        TIMEOUT.as_millis()
    );
    let rig = Rig::new(&["hangs-awhile"], &plugins("hangs-awhile", 1, &keys));
    let id = "hangs-awhile-0";
    let enough = DEADLINES as u64;
    rig.run_until(|engine| engine.snapshot(id).counts.timeouts >= enough);
    // Those that have not left the memory.
    let times = rig.times(
        id,
        &[Cause::UpdateStarted, Cause::UpdateTimedOut],
        2 * DEADLINES,
    );
    let after: Vec<_> = times
        .windows(2)
        .filter(|pair| pair[0].0 == Cause::UpdateStarted && pair[1].0 == Cause::UpdateTimedOut)
        .map(|pair| (pair[1].1 - pair[0].1).saturating_sub(TIMEOUT.as_nanos() as u64))
        .collect();
    print("deadline noticed", after, "median 150 µs, p99 1 ms");
}

/// How late a plugin of a short interval starts, alone and beside others whose calls take five times that.
fn beside_slow_ones() {
    let fast = plugins(
        "noop",
        1,
        &format!("interval = \"{}ms\"", INTERVAL.as_millis()),
    );
    let slow = "interval = \"60ms\"\ntimeout = \"1s\"\nsettings = { ms = 50 }";
    let both = format!("{fast}{}", plugins("hangs-awhile", SLOW, slow));
    let alone = Rig::new(&["noop"], &fast);
    print("start of a fast plugin, alone", lateness(&alone), "");
    let beside = Rig::new(&["noop", "hangs-awhile"], &both);
    print(
        "the same beside ten slow ones",
        lateness(&beside),
        "p99 1 ms",
    );
}

/// Ten thousand plugins that are due once a second, alone and with as many failing and as many hanging ones as are a hundredth of them.
fn mixed() {
    let keys = "interval = \"1s\"\njitter = \"1s\"\ntimeout = \"100ms\"";
    let good = plugins("noop", MANY, keys);
    let bad = plugins("fails", MANY / 100, keys) + &plugins("hangs", MANY / 100, keys);
    for (name, files, config) in [
        ("starts of 10,000", &["noop"][..], good.clone()),
        (
            "beside 1 % failing, 1 % hanging",
            &["noop", "fails", "hangs"],
            good + &bad,
        ),
    ] {
        let rig = Rig::new(files, &config);
        let enough = 10;
        rig.run_until(|engine| engine.snapshot("noop-0").counts.updates >= enough);
        let late = (0..MANY).map(|number| late(&rig, &format!("noop-{number}"), MIXED));
        let late: Vec<_> = late.collect();
        // Nobody knows yet who hangs; and much is done for the first time.
        let first = late.iter().filter_map(|late| late.first()).copied();
        print(&format!("{name}, first"), first.collect(), "");
        let later = late.iter().flat_map(|late| late.iter().skip(1)).copied();
        print(&format!("{name}, later"), later.collect(), "");
    }
}

/// How late a plugin started that is updated until it has been often enough.
fn lateness(rig: &Rig) -> Vec<u64> {
    let enough = STARTS as u64;
    rig.run_until(|engine| engine.snapshot("noop-0").counts.updates >= enough);
    late(rig, "noop-0", INTERVAL)
}

/// How long after its tick each update started. Ticks are exactly one interval apart, and the next one is known.
fn late(rig: &Rig, id: &str, interval: Duration) -> Vec<u64> {
    /// A moment is told as a time of day to the nanosecond or so: what seems to be so little too early is in time.
    const EARLY: u64 = 1_000;
    let next = rig.engine.snapshot(id).next_update;
    let next = next.expect("it is due again").as_unix_nanos();
    let interval = interval.as_nanos() as u64;
    let times = rig.times(id, &[Cause::UpdateStarted], STARTS);
    times
        .iter()
        .map(|(_, at)| (at + EARLY + interval - next % interval) % interval)
        .map(|late| late.saturating_sub(EARLY))
        .collect()
}

/// An update that panics and the instance that is made anew for the next one, beside one that does neither.
fn panics() {
    let rig = |every: u64, backtraces| {
        let keys = format!(
            "interval = \"1ms\"\npanic_limit = 1000000\non_unhealthy = \"none\"\nsettings = {{ every = {every} }}"
        );
        Rig::with(&["panics"], &plugins("panics", 1, &keys), backtraces)
    };
    let [calm, brief, traced] = [rig(0, true), rig(1, false), rig(1, true)];
    let update = |rig: &Rig| {
        for _ in 0..200 {
            let _ = std::hint::black_box(rig.engine.update("panics-0"));
        }
    };
    let mut table = Table::new(Vec::new());
    let mut contestants = vec![
        Contestant::new("update by command", 200, || update(&calm)),
        Contestant::new("one that panics, and a new instance", 200, || {
            update(&brief);
        }),
        Contestant::new("the same with a backtrace", 200, || update(&traced)),
    ];
    table.measure(&mut contestants, 15);
    table.print();
    for rig in [&brief, &traced] {
        let counts = rig.engine.snapshot("panics-0").counts;
        assert_eq!(counts.panics, counts.updates, "{counts:?}");
    }
    if let (Some(one), Some(other)) = (table.median("one that"), table.median("update by")) {
        println!(
            "{:>8.1}  µs for the panic, its record and the new instance   at most 20 without the panic",
            (one - other) / 1e3
        );
    }
    println!();
}

/// What an engine takes of a processor whose plugins are due once a minute.
fn idle() {
    let config = plugins("noop", IDLE, "interval = \"60s\"\njitter = \"60s\"");
    let rig = Rig::new(&["noop"], &config);
    std::thread::scope(|scope| {
        scope.spawn(|| rig.engine.run());
        // The first updates are spread over the first minute, as are all that follow.
        std::thread::sleep(Duration::from_secs(2));
        let (began, before) = (Instant::now(), cpu_ns());
        std::thread::sleep(IDLE_FOR);
        let used = (cpu_ns() - before) as f64 / began.elapsed().as_nanos() as f64;
        println!(
            "{:>8.3}  % of a core, {IDLE} plugins that are due once a minute   at most 0.1\n",
            used * 100.0
        );
        rig.engine.stop();
    });
}

/// What a plugin takes of the memory that is not called for a year.
fn memory() {
    let keys = "interval = \"365days\"";
    // The first engine brings in what is there once.
    let few = Rig::new(&["noop"], &plugins("noop", 100, keys));
    let config = plugins("noop", IN_MEMORY, keys);
    let before = resident();
    let many = Rig::new(&["noop"], &config);
    let each = (resident() - before) / IN_MEMORY as u64;
    println!(
        "{each:>8}  bytes for each of {IN_MEMORY} plugins that are not called   at most 1,024"
    );
    drop((few, many));
}

fn print(name: &str, mut nanos: Vec<u64>, budget: &str) {
    nanos.sort_unstable();
    let at = |share| micros_at(&nanos, share);
    println!(
        "{name:<40}{:>6} times, in µs: median {:.1}, p99 {:.1}, most {:.1}   {budget}\n",
        nanos.len(),
        at(0.5),
        at(0.99),
        at(1.0)
    );
}
