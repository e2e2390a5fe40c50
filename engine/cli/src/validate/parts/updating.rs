//! Many updates, one after another: whether they complete, how long they take, what they say.

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Code, Error, Fault, FaultKind, PluginState, Subscription};

use super::bench::{Bench, in_words, micros, number, time};
use super::log_count;
use crate::validate::check::{Check, Outcome};

/// Panics and errors after which more of them say nothing new.
const PANICS_MAX: u64 = 5;
/// More events in one update than a subscriber keeps are lost to it.
const EVENTS_MAX: u64 = 1_024;
/// More lines of log in one update hide those of everybody else.
const LINES_MAX: u64 = 1_000;
/// What is longer is cut by the engine, in bytes.
const LINE_LEN_MAX: u64 = 8 * 1024;
/// An error of about that length that ends in an ellipsis was cut.
const MESSAGE_LEN_MAX: usize = 1_000;
/// An update that takes longer should say that it is getting on.
const LONG: Duration = Duration::from_secs(1);

/// What came of all updates.
#[derive(Default)]
struct Sum {
    made: u64,
    completed: u64,
    failed: u64,
    panicked: u64,
    /// The first error that was no panic.
    first: Option<String>,
    first_panic: Option<String>,
    /// Whether an error had to be cut.
    is_cut: bool,
    /// The last word of an update after which no other is made.
    ended_by: Option<Ended>,
    /// How many events the subscription had lost when it was looked at last.
    lost: u64,
    events_max: u64,
    payload_max: u64,
    lines_max: u64,
}

enum Ended {
    TimedOut,
    ForGood(String),
    Refused(String),
}

pub(super) fn check(bench: &Bench<'_>) -> Result<(), String> {
    bench.begin(Check::Updates);
    bench.start("")?;
    let sum = update(bench);
    let usage = bench.engine.plugin_usage(bench.id());
    let (mean, max) = usage.map_or((0.0, 0.0), |usage| {
        (usage.updates.wall_mean_us, usage.updates.wall_max_us)
    });
    let (mean, max) = (of_micros(mean), of_micros(max));
    bench.end(of_updates(bench, &sum));
    bench.end(of_duration(bench, mean, max));
    bench.end(of_panics(bench, &sum));
    bench.end(of_output(&sum));
    bench.end(of_progress(bench, max));
    Ok(())
}

fn of_micros(micros: f64) -> Duration {
    Duration::try_from_secs_f64(micros / 1e6).unwrap_or_default()
}

fn update(bench: &Bench<'_>) -> Sum {
    let mut sum = Sum::default();
    let events = bench.engine.subscribe(&format!("plugin.{}.**", bench.id()));
    let until = Instant::now() + bench.task.limit();
    let _ = taken(bench, &events, &mut sum);
    while sum.made < bench.task.updates && sum.ended_by.is_none() && Instant::now() < until {
        let lines = log_count::lines();
        let updated = bench.engine.update(bench.id());
        sum.made += 1;
        let published = taken(bench, &events, &mut sum);
        sum.events_max = sum.events_max.max(published);
        sum.lines_max = sum.lines_max.max(log_count::lines() - lines);
        match updated {
            Ok(()) => sum.completed += 1,
            Err(Error::Fault { fault, .. }) => sum.add(&fault),
            Err(error) => sum.ended_by = Some(Ended::Refused(error.to_string())),
        }
        if sum.panicked >= PANICS_MAX {
            break;
        }
    }
    sum
}

/// How many events came that the plugin has published.
fn taken(bench: &Bench<'_>, events: &Subscription, sum: &mut Sum) -> u64 {
    let mut count = 0;
    while let Some(event) = events.try_next() {
        let of_engine = ["state", "health", "unhealthy"];
        let name = event.topic.strip_prefix("plugin.");
        let name = name.and_then(|rest| rest.strip_prefix(bench.id())?.strip_prefix('.'));
        if name.is_some_and(|name| !of_engine.contains(&name)) {
            count += 1;
            sum.payload_max = sum.payload_max.max(event.payload.len() as u64);
        }
    }
    // What nobody could take in time is the plugin's, too: the engine says little.
    let lost = events.lost();
    count += lost - std::mem::replace(&mut sum.lost, lost);
    count
}

impl Sum {
    fn add(&mut self, fault: &Fault) {
        self.is_cut |= fault.message.len() >= MESSAGE_LEN_MAX && fault.message.ends_with('…');
        let said = in_words(fault);
        match fault.kind {
            FaultKind::Panic => {
                self.panicked += 1;
                self.first_panic.get_or_insert(said);
                return;
            }
            FaultKind::Timeout => self.ended_by = Some(Ended::TimedOut),
            FaultKind::Permanent | FaultKind::Contract => {
                self.ended_by = Some(Ended::ForGood(said.clone()));
            }
            _ => {}
        }
        self.failed += 1;
        self.first.get_or_insert(said);
    }
}

fn of_updates(bench: &Bench<'_>, sum: &Sum) -> Outcome {
    let check = Check::Updates;
    let first = sum.first.as_deref().or(sum.first_panic.as_deref());
    let first = first.unwrap_or("no reason was given");
    let so_many = if sum.made == 1 {
        "one update".to_owned()
    } else {
        format!("{} updates", number(sum.made))
    };
    let failed = |text: String| Outcome::failed(check, Code::VALIDATE_UPDATES, text);
    let outcome = match &sum.ended_by {
        Some(Ended::TimedOut) => {
            let limit = humantime::format_duration(bench.task.update_timeout()).to_string();
            let whose = if bench.task.timeout() > bench.task.limit() {
                "the limit of this check"
            } else {
                "its timeout"
            };
            let text = format!(
                "update {} did not return within {limit}, {whose}",
                number(sum.made)
            );
            Outcome::failed(check, Code::VALIDATE_TIMEOUT, text)
        }
        Some(Ended::ForGood(said)) => failed(format!(
            "update {} failed for good: {said}",
            number(sum.made)
        )),
        Some(Ended::Refused(why)) => failed(format!("update {} was not made: {why}", sum.made)),
        None if sum.completed == 0 => failed(format!("of {so_many} none completed: {first}")),
        None if sum.failed > 0 => Outcome::warning(
            check,
            Code::VALIDATE_UPDATES,
            format!("{} of {so_many} failed, first: {first}", number(sum.failed)),
        ),
        None if sum.panicked > 0 => Outcome::passed(
            check,
            format!("{} of {so_many} completed", number(sum.completed)),
        ),
        None if sum.made < bench.task.updates => Outcome::passed(
            check,
            format!(
                "{so_many} completed in {}, and there was no time for more",
                time(bench.task.limit())
            ),
        ),
        None => Outcome::passed(check, format!("{so_many} completed")),
    };
    outcome
        .measured("made", sum.made)
        .measured("completed", sum.completed)
        .measured("failed", sum.failed)
}

fn of_duration(bench: &Bench<'_>, mean: Duration, max: Duration) -> Outcome {
    let check = Check::Duration;
    let timeout = bench.task.timeout();
    let interval = Duration::from_millis(bench.task.interval_ms);
    let both = format!("mean {}, longest {}", time(mean), time(max));
    let of = |what: &str, limit| format!("{both}, {what} {}", humantime::format_duration(limit));
    let outcome = if mean > interval {
        let text = of("longer than the interval of", interval);
        Outcome::warning(check, Code::VALIDATE_DURATION, text)
    } else if max > timeout / 2 {
        let text = of("more than half of the timeout of", timeout);
        Outcome::warning(check, Code::VALIDATE_DURATION, text)
    } else {
        Outcome::passed(check, of("of a timeout of", timeout))
    };
    outcome
        .measured("mean_us", micros(mean))
        .measured("max_us", micros(max))
}

fn of_panics(bench: &Bench<'_>, sum: &Sum) -> Outcome {
    let check = Check::Panics;
    let of_threads = bench.entries(Cause::ThreadPanicked);
    let on_thread = of_threads.iter().find_map(|entry| entry.error.as_deref());
    let threads = of_threads.len() as u64;
    let outcome = match (&sum.first_panic, on_thread) {
        (Some(said), _) => {
            let count = number(sum.panicked);
            let text = format!("{count} of {} updates panicked: {said}", number(sum.made));
            Outcome::failed(check, Code::VALIDATE_PANICS, text)
        }
        (None, Some(fault)) => {
            let text = format!("threads that it started panicked: {}", in_words(fault));
            Outcome::failed(check, Code::VALIDATE_PANICS, text)
        }
        (None, None) => Outcome::passed(check, "none"),
    };
    outcome
        .measured("updates", sum.panicked)
        .measured("threads", threads)
}

fn of_output(sum: &Sum) -> Outcome {
    let check = Check::Output;
    let longest = log_count::longest();
    let said = format!(
        "at most {} events of {} bytes and {} lines of log in one update",
        number(sum.events_max),
        number(sum.payload_max),
        number(sum.lines_max)
    );
    let outcome = if sum.events_max > EVENTS_MAX || sum.lines_max > LINES_MAX {
        Outcome::failed(check, Code::VALIDATE_OUTPUT, format!("{said}: a flood"))
    } else if longest >= LINE_LEN_MAX {
        let text = format!("{said}; a line of log was cut, because it is longer than 8 KiB");
        Outcome::warning(check, Code::VALIDATE_OUTPUT, text)
    } else if sum.is_cut {
        let text = format!("{said}; an error was cut, because it is longer than 1 KiB");
        Outcome::warning(check, Code::VALIDATE_OUTPUT, text)
    } else {
        Outcome::passed(check, said)
    };
    outcome
        .measured("events_max", sum.events_max)
        .measured("payload_max_bytes", sum.payload_max)
        .measured("log_lines_max", sum.lines_max)
        .measured("log_line_max_bytes", longest)
}

fn of_progress(bench: &Bench<'_>, max: Duration) -> Outcome {
    let check = Check::Progress;
    let snapshot = bench.engine.snapshot(bench.id());
    let records = snapshot.last_progress.is_some();
    let hangs = snapshot.state == PluginState::Enabled && snapshot.in_flight.is_some();
    if records {
        Outcome::passed(check, "it records progress")
    } else if max > LONG || hangs {
        let text = format!("an update took {} and recorded none", time(max));
        Outcome::warning(check, Code::VALIDATE_PROGRESS, text)
    } else {
        Outcome::passed(check, "none is needed: no update took longer than a second")
    }
}
