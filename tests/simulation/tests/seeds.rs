//! Runs seeds: those that once failed, then as many as there is time for.
//!
//! `SIMULATION_SEED=N` runs one, `SIMULATION_SEEDS=N` so many from 0 on.

use std::num::NonZero;

use plugin_engine_simulation::hunt;

/// How many seeds are run without being asked for: some thirteen milliseconds of a processor each.
const SEEDS: u64 = 10_000;

fn asked(name: &str) -> Option<u64> {
    let text = std::env::var(name).ok()?;
    Some(
        text.parse()
            .unwrap_or_else(|_| panic!("{name} is {text:?}, not a number")),
    )
}

/// Seeds that once failed. One a line; what comes after it says why.
fn kept() -> Vec<u64> {
    include_str!("../seeds.txt")
        .lines()
        .filter(|line| !line.starts_with('#') && !line.trim().is_empty())
        .map(|line| {
            let number = line.split_whitespace().next().unwrap_or_default();
            number.parse().unwrap_or_else(|_| panic!("no seed: {line}"))
        })
        .collect()
}

#[test]
fn every_promise_is_kept_by_every_seed() {
    let seeds: Vec<u64> = match asked("SIMULATION_SEED") {
        Some(seed) => vec![seed],
        None => {
            let count = asked("SIMULATION_SEEDS").unwrap_or(SEEDS);
            kept().into_iter().chain(0..count).collect()
        }
    };
    // Each run has one thread, so that several go side by side.
    let threads = std::thread::available_parallelism().map_or(1, NonZero::get);
    let transitions: u64 = std::thread::scope(|scope| {
        let hunts: Vec<_> = (0..threads)
            .map(|first| {
                let seeds = seeds.iter().copied().skip(first).step_by(threads);
                scope.spawn(move || hunt(seeds).unwrap_or_else(|found| panic!("{found}")))
            })
            .collect();
        hunts
            .into_iter()
            .map(|hunt| match hunt.join() {
                Ok(report) => report.transitions,
                Err(found) => std::panic::resume_unwind(found),
            })
            .sum()
    });
    assert!(transitions > 0, "nothing was simulated");
}

#[test]
fn a_run_is_the_same_again() {
    for seed in [3, 11, 205] {
        let steps = plugin_engine_simulation::steps_of(seed);
        let of = |report: plugin_engine_simulation::Report| {
            (report.simulated, report.transitions, report.calls)
        };
        let first = plugin_engine_simulation::run(seed, &steps, None).map(of);
        let again = plugin_engine_simulation::run(seed, &steps, None).map(of);
        let shown = |run: Result<_, plugin_engine_simulation::Failure>| {
            run.map_err(|failure| failure.to_string())
        };
        assert_eq!(shown(first), shown(again), "seed {seed}");
    }
}
