//! The shortest chain of entries that explains a state, folded: what happened again and again is one step. Never what happens next.

use std::time::Duration;

use plugin_engine_core::{CallKind, Cause, Health, PluginState, Transition, WallTime};

use super::input::{EngineEnd, WhyInput};
use super::{WhyStep, words};

/// The most steps that are told.
const STEPS_MAX: usize = 8;
/// Over how long failures with successes between them belong together, where no policy says.
const TOGETHER: Duration = Duration::from_secs(600);

/// The steps that led to the state, and what is to be said of what is missing.
pub(super) fn steps(input: &WhyInput) -> (Vec<WhyStep>, Vec<String>) {
    let entries = told_of(input);
    let mut start = start(input, entries);
    // What the process before has left behind is entered before the first load.
    let before_load = |cause| matches!(cause, Cause::Mapped | Cause::Crashed | Cause::Interrupted);
    while start > 0 && before_load(entries[start - 1].cause) {
        start -= 1;
    }
    let mut steps: Vec<(WhyStep, &Transition)> = Vec::new();
    for entry in entries[start..].iter().filter(|one| tells(input, one)) {
        match steps.iter_mut().find(|(step, _)| step.cause == entry.cause) {
            Some((step, last)) => {
                step.count += 1;
                step.last_at = entry.at;
                step.last_seq = entry.seq;
                *last = entry;
            }
            None => steps.push((
                WhyStep {
                    cause: entry.cause,
                    count: 1,
                    first_at: entry.at,
                    last_at: entry.at,
                    first_seq: entry.seq,
                    last_seq: entry.seq,
                    text: String::new(),
                },
                entry,
            )),
        }
    }
    // What led to the state comes last, also where it had happened before.
    if let Some(last) = steps
        .iter()
        .map(|(step, _)| step.last_seq)
        .max()
        .and_then(|seq| steps.iter().position(|(step, _)| step.last_seq == seq))
    {
        let step = steps.remove(last);
        steps.push(step);
    }
    let mut notes = Vec::new();
    if steps.len() > STEPS_MAX {
        let left_out = steps.len() - STEPS_MAX;
        steps.drain(..left_out);
        notes.push(format!(
            "{left_out} more kinds of entries before that are in the history"
        ));
    }
    notes.extend(missing(input, &steps));
    for (step, last) in &mut steps {
        step.text = text(input, step, last);
    }
    (steps.into_iter().map(|(step, _)| step).collect(), notes)
}

/// The entries that may be told: the last words of an engine that has ended are told with the engine.
fn told_of(input: &WhyInput) -> &[Transition] {
    match input.left.entries.split_last() {
        Some((last, before)) if last.cause == Cause::ShutDown && input.end != EngineEnd::None => {
            before
        }
        _ => &input.left.entries,
    }
}

/// From which entry on the chain is told.
fn start(input: &WhyInput, entries: &[Transition]) -> usize {
    let last = |wanted: fn(&Transition) -> bool| entries.iter().rposition(wanted);
    let by_policy = |at: usize| entries[at].error.is_some();
    match input.snapshot.state {
        PluginState::Unloaded => {
            let unloaded =
                last(|entry| entry.to == PluginState::Unloaded && entry.from != entry.to);
            match unloaded {
                Some(at) if by_policy(at) => start_of_trouble(input, &entries[..at]),
                Some(at) => at,
                None => 0,
            }
        }
        PluginState::Disabled => match last(|entry| entry.cause == Cause::SwitchedOff) {
            Some(at) if by_policy(at) => start_of_trouble(input, &entries[..at]),
            Some(at) => at,
            None => 0,
        },
        PluginState::Loaded => last(|entry| entry.cause == Cause::Mapped).unwrap_or(0),
        PluginState::Error => start_of_trouble(input, entries),
        PluginState::Enabled | PluginState::Running if is_well(input) => {
            last(|entry| begins_anew(entry.cause)).unwrap_or(entries.len())
        }
        PluginState::Enabled | PluginState::Running => start_of_trouble(input, entries),
    }
}

fn is_well(input: &WhyInput) -> bool {
    let snapshot = &input.snapshot;
    let stuck = snapshot.in_flight.is_some_and(|call| call.abandoned);
    snapshot.error.is_none()
        && !stuck
        && matches!(snapshot.health, Health::Unknown | Health::Healthy)
}

/// Whether what was before an entry of this cause explains nothing of what comes after it.
fn begins_anew(cause: Cause) -> bool {
    matches!(
        cause,
        Cause::Created
            | Cause::SwitchedOn
            | Cause::Reset
            | Cause::Reloaded
            | Cause::RolledBack
            | Cause::RequirementMet
            | Cause::Recovered
            | Cause::Unloaded
            | Cause::FileRemoved
            | Cause::ShutDown
    )
}

/// The first entry of what went wrong, looking back from the end. Where updates fail, that is the first failure after the last success; where
/// something lasts beyond successes (restarts, panics that are counted, limits, displays), it goes back as far as the next entry is not
/// long before, or to where all began anew.
fn start_of_trouble(input: &WhyInput, entries: &[Transition]) -> usize {
    let snapshot = &input.snapshot;
    let of_updates = snapshot.error.as_ref().is_some_and(|error| {
        error.call == Some(CallKind::Update)
            && snapshot.health != Health::Unhealthy
            && matches!(snapshot.state, PluginState::Enabled | PluginState::Running)
    });
    let together = input.policies.as_ref().map_or(TOGETHER, |policies| {
        let restart = policies.health.restart;
        restart.window.max(restart.healthy_period)
    });
    let mut start = entries.len();
    let mut success = false;
    let mut later: Option<WallTime> = None;
    for (at, entry) in entries.iter().enumerate().rev() {
        match entry.cause {
            Cause::UpdateStarted => continue,
            Cause::UpdateCompleted if of_updates => break,
            Cause::UpdateCompleted => {
                success = true;
                continue;
            }
            _ => {}
        }
        let apart = later.is_some_and(|later| later.saturating_since(entry.at) > together);
        if apart && success {
            break;
        }
        start = at;
        if begins_anew(entry.cause) {
            break;
        }
        later = Some(entry.at);
        success = false;
    }
    start
}

/// Whether an entry explains anything.
fn tells(input: &WhyInput, entry: &Transition) -> bool {
    let well = is_well(input)
        && matches!(
            input.snapshot.state,
            PluginState::Enabled | PluginState::Running
        );
    match entry.cause {
        // Told by the last success, by the state, or by what follows.
        Cause::UpdateStarted | Cause::UpdateCompleted | Cause::CreatedAnew => false,
        Cause::Mapped => input.snapshot.state == PluginState::Loaded,
        Cause::ReloadRefused | Cause::ThreadPanicked | Cause::Crashed | Cause::Interrupted => true,
        cause if well => {
            begins_anew(cause) && !matches!(cause, Cause::Unloaded | Cause::FileRemoved)
        }
        _ => true,
    }
}

/// Since when the error stands, by the steps that led to it; `None` where its beginning is not known.
pub(super) fn error_since(input: &WhyInput, steps: &[WhyStep]) -> Option<WallTime> {
    let error = input.snapshot.error.as_ref()?;
    let failures = steps
        .iter()
        .filter(|step| is_failure(step.cause, error.call));
    let count: u32 = failures.clone().map(|step| step.count).sum();
    let first = failures.map(|step| step.first_at).min()?;
    (count >= error.consecutive).then_some(first)
}

/// Whether an entry of this cause is a failure of this kind of call.
fn is_failure(cause: Cause, call: Option<CallKind>) -> bool {
    match call {
        Some(CallKind::Update) => matches!(
            cause,
            Cause::UpdateFailed
                | Cause::UpdateTimedOut
                | Cause::UpdatePanicked
                | Cause::CallRefused
                | Cause::FailedPermanently
        ),
        Some(CallKind::Display) => cause == Cause::DisplayFailed,
        _ => false,
    }
}

/// What has left the history and would have been told.
fn missing(input: &WhyInput, steps: &[(WhyStep, &Transition)]) -> Option<String> {
    let failures: u32 = steps
        .iter()
        .filter(|(step, _)| is_failure(step.cause, Some(CallKind::Update)))
        .map(|(step, _)| step.count)
        .sum();
    let in_a_row = input.snapshot.in_a_row.updates;
    if in_a_row > failures && input.left.lost > 0 {
        let reaches = input
            .left
            .entries
            .first()
            .map_or_else(String::new, |entry| {
                format!(
                    ", which reaches back to {}",
                    words::clock(entry.at, input.now)
                )
            });
        return Some(format!(
            "updates failed {in_a_row} times in a row, and not all of that is in the history any more{reaches}"
        ));
    }
    let is_empty = steps.is_empty() && input.left.lost > 0;
    is_empty.then(|| {
        let gone = match input.left.lost {
            1 => "1 older entry is gone".to_owned(),
            lost => format!("{lost} older entries are gone"),
        };
        format!("what led here has left the history: {gone}")
    })
}

fn text(input: &WhyInput, step: &WhyStep, last: &Transition) -> String {
    let now = input.now;
    let last_at = words::past(step.last_at, now);
    let (when, which) = match step.count {
        1 => (last_at, ""),
        count => {
            let first_at = words::clock(step.first_at, now);
            let when = format!("{count} times since {first_at}, the last at {last_at}");
            (when, "the last time ")
        }
    };
    let what = who(input, last).unwrap_or_else(|| words::of_cause(step.cause).to_owned());
    // What stands is told as the error.
    let standing = input.snapshot.error.as_ref();
    let is_told = |message: &str| standing.is_some_and(|standing| *standing.message == *message);
    match last.error.as_ref().filter(|error| !is_told(&error.message)) {
        Some(error) => format!("{when}: {what}: {which}{}", words::message(error)),
        None => format!("{when}: {what}"),
    }
}

/// Who did what an entry says, where that is known.
fn who(input: &WhyInput, entry: &Transition) -> Option<String> {
    let by_policy = entry.error.is_some();
    let counted = &input.counted;
    let by = match entry.cause {
        Cause::SwitchedOff | Cause::Unloaded if by_policy => ", as its policy says",
        Cause::SwitchedOff if counted.off_by_hand => " by a command",
        Cause::SwitchedOff if is_off_by_configuration(input) => ", as its configuration says",
        Cause::Unloaded if counted.unloaded_by_hand => " by a command",
        Cause::Reloaded | Cause::RolledBack => {
            let version = entry.version.as_ref();
            let version =
                version.map_or_else(String::new, |one| format!(" ({})", words::quote(one)));
            let what = if entry.cause == Cause::Reloaded {
                "took over by a reload"
            } else {
                "took over, because a reload was undone"
            };
            return Some(format!("generation {}{version} {what}", entry.generation));
        }
        _ => return None,
    };
    Some(format!("{}{by}", words::of_cause(entry.cause)))
}

pub(super) fn is_off_by_configuration(input: &WhyInput) -> bool {
    let policies = input.policies.as_ref();
    policies.is_some_and(|policies| {
        policies
            .policies("enabled")
            .any(|enabled| enabled.value == "false")
    })
}
