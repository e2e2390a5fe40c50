//! X2, and that nobody who asked something is left without an answer.

use std::time::Duration;

use plugin_engine::CallKind;

use super::{Checked, Seen, Violation};
use crate::run::Asked;
use crate::world::World;

/// A shutdown looks every few milliseconds.
const SLACK: Duration = Duration::from_millis(20);

/// Returns within the budget even if a plugin never returns.
pub(super) fn in_time(seen: &Seen<'_>, began: Duration, budget: Duration) -> Checked {
    let done = seen.world.shut_down_at.get();
    let until = done.unwrap_or(seen.now);
    if until > began + budget + SLACK {
        return Err(Violation::new(
            "X2",
            format!(
                "the shutdown takes {:?}, its budget is {budget:?}",
                until - began
            ),
        ));
    }
    if let Some(done) = done
        && let Some(fact) = seen.facts.iter().find(|fact| {
            fact.at > done
                && fact.call != CallKind::Destroy
                && matches!(fact.what, crate::world::What::Began(_))
        })
    {
        return Err(Violation::new(
            "X2",
            format!("{:?} was begun after the engine was shut down", fact.call),
        ));
    }
    Ok(())
}

/// Nobody waits any longer than for the calls that are in the way.
pub(super) fn all_is_answered(asked: &[Asked]) -> Checked {
    if let Some(asked) = asked.iter().find(|asked| asked.answer.is_none()) {
        return Err(Violation::new(
            "C6",
            format!("nobody answers what was asked: {asked:?}"),
        ));
    }
    Ok(())
}

/// Everything had its time, and nobody hangs any more.
pub(super) fn ended(world: &World, asked: &[Asked]) -> Checked {
    all_is_answered(asked)?;
    let threads = world.thread_names();
    if !threads.is_empty() {
        return Err(Violation::new(
            "X2",
            format!("threads are left behind after the end: {threads:?}"),
        ));
    }
    Ok(())
}
