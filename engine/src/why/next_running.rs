//! What happens next to a plugin that is called: its updates, its probe, and what becomes of a call that does not return.

use plugin_engine_core::{BreakerState, CallKind, Cause, FaultKind, Health, OnHung, OnUnhealthy};

use super::next::{Draft, step, waited_for};
use super::{NextKind, WhyNext, words};
use crate::snapshot::InFlightCall;

/// How many instances a plugin has at most where `on_hung = "replace"`.
const HUNG_INSTANCES: usize = 3;

pub(super) fn next(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    let next = waited_for(draft)
        .or_else(|| stuck(draft, id))
        .unwrap_or_else(|| update(draft, id));
    health(draft, id);
    next
}

/// What becomes of a call that has passed its deadline and keeps the instance from being called.
fn stuck(draft: &mut Draft<'_>, id: &str) -> Option<WhyNext> {
    let holds_instance =
        |call: &InFlightCall| !matches!(call.call, CallKind::Create | CallKind::Destroy);
    let input = draft.input;
    let call = input
        .snapshot
        .in_flight
        .filter(|call| call.abandoned && holds_instance(call))?;
    let waits = format!(
        "nothing, until its {} returns: a call cannot be ended from outside, and updates that come due are skipped",
        call.call
    );
    let helps = format!("; `reset {id}` puts another instance in its place");
    let Some(policies) = &input.policies else {
        return Some(step(NextKind::CallReturns, None, waits));
    };
    draft.decided_by(&["on_hung"]);
    let OnHung::Replace { after_intervals } = policies.health.on_hung else {
        return Some(step(NextKind::CallReturns, None, format!("{waits}{helps}")));
    };
    draft.decided_by(&["hung_intervals"]);
    if input.counted.orphans + 1 >= HUNG_INSTANCES {
        let text =
            format!("{waits}; {HUNG_INSTANCES} instances of it are stuck, which is the most");
        return Some(step(NextKind::CallReturns, None, text));
    }
    let patience = policies.interval.saturating_mul(after_intervals);
    let at = call
        .since
        .saturating_add(policies.limits.of(call.call))
        .saturating_add(patience);
    let when = if at > input.now {
        format!("at the first tick after {}", words::future(at, input.now))
    } else {
        "at the next tick".to_owned()
    };
    let text = format!(
        "another instance is put beside the one that does not return {when}, unless it returns before"
    );
    Some(step(NextKind::Replacement, Some(at), text))
}

fn update(draft: &mut Draft<'_>, id: &str) -> WhyNext {
    let input = draft.input;
    let snapshot = &input.snapshot;
    let at = snapshot.next_update;
    if snapshot.breaker == BreakerState::Open {
        draft.decided_by(&["breaker.failures", "breaker.cool_down"]);
        let when = at.map_or_else(|| "soon".to_owned(), |at| draft.when(at));
        let text = format!(
            "updates are skipped, and one is tried {when}; if that one completes, the circuit breaker closes; `update {id}` tries it now"
        );
        return step(NextKind::Probe, at, text);
    }
    let error = snapshot.error.as_ref();
    let of_update = error.filter(|error| error.call == Some(CallKind::Update));
    match of_update.map(|error| error.kind) {
        Some(FaultKind::Requirement) => {
            draft.decided_by(&["requires"]);
            let text = "updates are skipped, and go on by themselves as soon as what it requires is Enabled";
            return step(NextKind::Requirement, at, text.to_owned());
        }
        Some(FaultKind::Refused) => draft.notes.push(
            "threads become free when calls return; `engine.threads_max` is their limit".to_owned(),
        ),
        _ => {}
    }
    draft.decided_by(&["interval"]);
    if of_update.is_some_and(|error| error.kind == FaultKind::Timeout) {
        draft.decided_by(&["timeout"]);
    }
    let Some(at) = at else {
        let text = "no update is planned".to_owned();
        return step(NextKind::Update, None, text);
    };
    let when = draft.when(at);
    let anew = if input.counted.poisoned {
        ", by an instance that is created anew, because the one before has panicked"
    } else {
        ""
    };
    match of_update {
        Some(error) => {
            if input.policies.as_ref().is_some_and(|policies| {
                error.kind == FaultKind::Failed
                    && !is_multiple(at.saturating_since(error.at), policies.interval)
            }) {
                draft.notes.push(
                    "the next try is not a whole number of intervals after the failure: the plugin asked for its time, or the time of day was set"
                        .to_owned(),
                );
            }
            let text = format!("an update is tried again {when}{anew}");
            step(NextKind::Retry, Some(at), text)
        }
        None => step(
            NextKind::Update,
            Some(at),
            format!("the next update is made {when}{anew}"),
        ),
    }
}

/// Whether a time is a multiple of an interval, to two milliseconds.
fn is_multiple(time: std::time::Duration, interval: std::time::Duration) -> bool {
    let (time, interval) = (time.as_millis(), interval.as_millis().max(1));
    let rest = time % interval;
    rest <= 2 || interval - rest <= 2
}

/// What the policies of health would do, and when an episode ends.
fn health(draft: &mut Draft<'_>, id: &str) {
    let input = draft.input;
    let (snapshot, counted) = (&input.snapshot, &input.counted);
    let Some(policies) = &input.policies else {
        return;
    };
    let policy = &policies.health;
    if snapshot.health == Health::Unhealthy {
        let period = humantime::format_duration(policy.restart.healthy_period);
        let so_far = match counted.well_since {
            Some(since) => format!(
                "the first of them completed at {}",
                words::past(since, input.now)
            ),
            None => "none has completed since the last failure".to_owned(),
        };
        if policy.on_unhealthy == OnUnhealthy::None {
            draft.decided_by(&["on_unhealthy"]);
        }
        draft.decided_by(&["restart.healthy_period"]);
        draft.notes.push(format!(
            "it counts as healthy again when its updates have completed for {period} without a failure; {so_far}; `reset {id}` begins anew"
        ));
    } else if let Some(limit) = policy.panic_limit.filter(|_| counted.panics > 0) {
        draft.decided_by(&["panic_limit", "on_unhealthy"]);
        draft.notes.push(format!(
            "{} so far of {limit} that make it unhealthy; a healthy period of {} forgets them",
            words::count(counted.panics.into(), "panic"),
            humantime::format_duration(policy.restart.healthy_period)
        ));
    }
    let in_a_row = snapshot.in_a_row.updates;
    if let Some(breaker) = policy.breaker
        && snapshot.breaker == BreakerState::Closed
        && in_a_row > 0
    {
        draft.decided_by(&["breaker.failures"]);
        draft.notes.push(format!(
            "its circuit breaker opens at {} in a row; so far: {in_a_row}",
            words::count(breaker.failures.into(), "failure")
        ));
    }
    let limits = |cause| matches!(cause, Cause::LimitPassed | Cause::LimitsKept);
    let last = input
        .left
        .entries
        .iter()
        .rev()
        .find(|entry| limits(entry.cause));
    if last.is_some_and(|entry| entry.cause == Cause::LimitPassed)
        && snapshot.health != Health::Healthy
    {
        draft.decided_by(&[
            "limits.window",
            "limits.cpu_percent",
            "limits.cpu_percent_unhealthy",
            "limits.update_mean",
            "limits.update_mean_unhealthy",
        ]);
    }
    if let Some(until) = counted.probation_until.filter(|until| *until > input.now) {
        draft.decided_by(&["probation"]);
        draft.notes.push(format!(
            "until {} the generation before is kept, and takes over again if this one fails",
            words::future(until, input.now)
        ));
    }
}
