//! What an update costs: the engine beside what a user would pick instead, in one run.
//!
//! Every contestant is measured in rounds, one after another within each round, and the median over the rounds is printed, so
//! that a machine whose speed drifts does not favour anybody. What counts are the ratios.
//!
//! `cargo bench --package plugin-engine-bench` runs all; a word after `--` runs those whose name has it.

mod engines;
#[allow(
    dead_code,
    reason = "of what a user would pick, the comparison has more"
)]
mod peers;
mod rounds;
mod site;
/// The very code that an update runs, without the engine around it.
#[allow(
    dead_code,
    unreachable_pub,
    unused_imports,
    reason = "the part of the engine that is measured by itself, of which the benchmark needs the half"
)]
#[path = "../src/usage/wall.rs"]
mod wall;

use engines::Fleet;
use rounds::{Contestant, Table};

/// What the record of wall times costs, which is a part of every update.
const USAGE: &str = "wall time added up, with the histogram, 1,000 plugins";

fn main() {
    let only: Vec<String> = std::env::args()
        .skip(1)
        .filter(|arg| !arg.starts_with('-'))
        .collect();
    let mut table = Table::new(only);

    let raw = peers::RawPlugin::load();
    let records = peers::Records::default();
    let blocking = peers::SpawnBlocking::new();
    let pool = peers::HandWrittenPool::new(2);
    let fleets: Vec<_> = [1, 10, 1_000, 10_000].map(Fleet::due).into();
    let measured = Fleet::due_and_measured(1_000);
    let mut used: Vec<_> = (0..1_000)
        .map(|_| Box::new(wall::SpreadWall::default()))
        .collect();
    used.iter_mut().for_each(|used| used.spread_from_now_on());
    let recorded = Fleet::recorded(1_000);
    let beside_idle = Fleet::due_beside_idle(10, 100_000);

    let mut contestants = vec![
        Contestant::new("raw call through the library", 20_000, || raw.calls(20_000)),
        Contestant::new("raw call + two clock reads", 20_000, || {
            raw.calls_with_clock(20_000);
        }),
        Contestant::new(
            "raw call + two clock reads + records, one thread",
            20_000,
            || {
                raw.calls_with_records(20_000, &records);
            },
        ),
        Contestant::new(
            "hand-written pool of 2 and a channel, same records",
            10_000,
            || {
                pool.updates(10_000, &raw);
            },
        ),
        Contestant::new("spawn_blocking + timeout, same records", 1_000, || {
            blocking.updates(1_000, &raw);
        }),
        Contestant::new(
            "a thread per call + recv_timeout, same records",
            200,
            || {
                peers::thread_per_call(200, &raw);
            },
        ),
    ];
    for fleet in &fleets {
        let name = format!("engine, cycle of {} due, per update", fleet.due);
        contestants.push(Contestant::new(name, fleet.due * fleet.cycles, || {
            fleet.run()
        }));
    }
    // Next to the one without, because a machine drifts.
    let name = "engine, the same with a record of calls, per update";
    contestants.insert(
        contestants.len() - 1,
        Contestant::new(name, recorded.due * recorded.cycles, || recorded.run()),
    );
    let name = "engine, cycle of 10 due beside 100,000 idle, per update";
    contestants.push(Contestant::new(name, 10 * beside_idle.cycles, || {
        beside_idle.run()
    }));
    let name = "engine, cycle of 1000 due, each measured with care";
    contestants.push(Contestant::new(name, 1_000 * measured.cycles, || {
        measured.run()
    }));
    contestants.push(Contestant::new(USAGE, 100_000, || {
        for n in 0..100 {
            for used in &mut used {
                used.add(std::hint::black_box(50 + n));
            }
        }
    }));
    let name = "snapshot read, engine at rest";
    contestants.push(Contestant::new(name, 10_000, || {
        fleets[2].read_snapshots(10_000)
    }));
    table.measure(&mut contestants, 15);

    let busy = fleets[2].busy(|| {
        let mut reader = [Contestant::new(
            "snapshot read beside the engine at full speed",
            10_000,
            || fleets[2].read_snapshots(10_000),
        )];
        table.measure(&mut reader, 15);
    });
    println!("(beside {busy} updates while it was measured)");

    table.print();
    println!();
    let base = "raw call + two clock reads";
    table.ratio("engine, cycle of 1000 due", base, "at most 3");
    table.ratio(
        "spawn_blocking + timeout",
        "engine, cycle of 1000 due",
        "at least 40",
    );
    table.ratio("hand-written pool", "engine, cycle of 1000 due", "");
    table.ratio(
        "engine, cycle of 10 due beside",
        "engine, cycle of 10 due,",
        "at most 1.5",
    );
    limit(&table, USAGE, 10.0);
    difference(
        &table,
        "engine, the same with a record of calls",
        "engine, cycle of 1000 due",
        3.0,
    );
    limit(&table, "snapshot read, engine at rest", 60.0);
    limit(&table, "snapshot read beside", 150.0);
}

fn difference(table: &Table, name: &str, base: &str, at_most: f64) {
    if let (Some(median), Some(base_median)) = (table.median(name), table.median(base)) {
        let more = median - base_median;
        println!("{more:>8.1}  ns: {name}, more than {base}   at most {at_most}");
    }
}

fn limit(table: &Table, name: &str, nanos: f64) {
    if let Some(median) = table.median(name) {
        println!("{median:>8.1}  ns: {name}   at most {nanos}");
    }
}
