//! What instances leave behind when they are destroyed: threads, descriptors, memory.

use std::collections::BTreeMap;
use std::time::{Duration, Instant};

use plugin_engine::Code;

use super::bench::{Bench, number};
use super::process;
use crate::validate::check::{Check, Outcome};

/// How many instances are made before anything is measured: the first ones fill what is filled once.
const FIRST_ROUNDS: u64 = 10;
/// How many are made between two measurements.
const ROUNDS: u64 = 50;
/// A thread that was told to end may take a moment.
const GRACE: Duration = Duration::from_secs(2);
/// What may have been added over each of two measurements: allocators and the system's own tables come and go.
const GROWTH_MAX: u64 = 1024 * 1024;

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    bench.begin(Check::Threads);
    let before = process::strange_threads();
    bench.start("")?;
    bench.update_some();
    destroy(bench)?;
    bench.end(of_threads(bench, &before));

    bench.begin(Check::Descriptors);
    let until = Instant::now() + bench.task.limit();
    rounds(bench, FIRST_ROUNDS, until)?;
    let (open, memory) = (process::descriptors(), process::resident_bytes());
    let made = rounds(bench, ROUNDS, until)?;
    settle(bench, &before);
    bench.end(of_descriptors(&open, &process::descriptors(), made));

    bench.begin(Check::Memory);
    let half = process::resident_bytes();
    let more = rounds(bench, ROUNDS, until)?;
    let last = process::resident_bytes();
    bench.end(of_memory([memory, half, last], made + more));
    Ok(())
}

fn destroy(bench: &Bench<'_>) -> Result<(), String> {
    let destroyed = bench.engine.disable(bench.id());
    destroyed.map_err(|error| format!("the instance could not be destroyed: {error}"))
}

/// Makes instances and destroys them again. How many.
fn rounds(bench: &Bench<'_>, count: u64, until: Instant) -> Result<u64, String> {
    for made in 0..count {
        if Instant::now() >= until {
            return Ok(made);
        }
        let created = bench.engine.enable(bench.id());
        created.map_err(|error| format!("instance {} could not be created: {error}", made + 2))?;
        bench.update_some();
        destroy(bench)?;
    }
    Ok(count)
}

/// Waits until the threads of instances that were destroyed have ended, if they do.
fn settle(bench: &Bench<'_>, before: &[String]) -> bool {
    let grace = GRACE.min(bench.task.limit());
    bench.wait_until(grace, || process::strange_threads().len() <= before.len())
}

fn of_threads(bench: &Bench<'_>, before: &[String]) -> Outcome {
    let check = Check::Threads;
    if settle(bench, before) {
        return Outcome::passed(check, "none is left after the destroy");
    }
    let mut left = process::strange_threads();
    for one in before {
        if let Some(at) = left.iter().position(|name| name == one) {
            left.remove(at);
        }
    }
    let count = left.len() as u64;
    left.dedup();
    left.truncate(4);
    let are = if count == 1 {
        "thread lives"
    } else {
        "threads live"
    };
    let text = format!("{count} {are} on after the destroy: {}", left.join(", "));
    Outcome::failed(check, Code::VALIDATE_THREADS, text).measured("left", count)
}

fn of_descriptors(
    before: &BTreeMap<String, u64>,
    after: &BTreeMap<String, u64>,
    rounds: u64,
) -> Outcome {
    let check = Check::Descriptors;
    let grown = after.iter().filter_map(|(what, count)| {
        let before = before.get(what).copied().unwrap_or(0);
        let more = count.checked_sub(before).filter(|more| *more > 0)?;
        Some((what, more))
    });
    let grown: Vec<_> = grown.collect();
    let left: u64 = grown.iter().map(|(_, more)| more).sum();
    let total = |of: &BTreeMap<String, u64>| of.values().sum::<u64>();
    // One that is closed while another is opened is no leak.
    if rounds == 0 || left == 0 || total(after) <= total(before) {
        let text = format!("none is left after {} instances", number(rounds));
        return Outcome::passed(check, text).measured("left", 0);
    }
    let named: Vec<_> = grown
        .iter()
        .take(4)
        .map(|(what, _)| what.as_str())
        .collect();
    let text = format!(
        "{} more are open after {} instances: {}",
        number(left),
        number(rounds),
        named.join(", ")
    );
    Outcome::failed(check, Code::VALIDATE_DESCRIPTORS, text).measured("left", left)
}

/// What is only filled once has grown in the first half, and not in the second.
fn of_memory([first, half, last]: [u64; 3], rounds: u64) -> Outcome {
    let check = Check::Memory;
    let grown = last.saturating_sub(first);
    let steady = half.saturating_sub(first).min(last.saturating_sub(half));
    let after = format!("after {} instances", number(rounds));
    let outcome = if steady > GROWTH_MAX {
        let text = format!("{} KiB more {after}", number(grown / 1024));
        Outcome::failed(check, Code::VALIDATE_MEMORY, text)
    } else {
        Outcome::passed(check, format!("no more than is tolerated {after}"))
    };
    outcome
        .measured("grown_bytes", grown)
        .measured("instances", rounds)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::validate::check::Verdict;

    const MIB: u64 = 1024 * 1024;

    #[test]
    fn memory_that_grows_once_is_none_that_is_left() {
        for (measured, verdict) in [
            ([10, 10, 10], Verdict::Passed),
            ([10, 30, 30], Verdict::Passed),
            ([10, 30, 50], Verdict::Failed),
            ([30, 20, 10], Verdict::Passed),
        ] {
            let outcome = of_memory(measured.map(|mib| mib * MIB), 100);
            assert_eq!(outcome.verdict, verdict, "{measured:?}");
        }
    }

    #[test]
    fn a_descriptor_that_took_the_place_of_another_is_none_that_is_left() {
        let open = |names: &[&str]| names.iter().map(|name| ((*name).to_owned(), 1)).collect();
        let before = open(&["socket", "/a"]);
        for (after, verdict) in [
            (open(&["socket", "/a"]), Verdict::Passed),
            (open(&["socket", "/b"]), Verdict::Passed),
            (open(&["socket", "/a", "/b"]), Verdict::Failed),
        ] {
            assert_eq!(of_descriptors(&before, &after, 50).verdict, verdict);
        }
    }
}
