//! The ledger is balanced: every call that was counted as started is counted once for how it ended, and every instance is given back.

use std::collections::BTreeMap;

use plugin_engine::{Cause, Engine};

use super::{Checked, Seen, Violation, number};
use crate::world::World;

#[derive(Default)]
struct Counted {
    updates: u64,
    late: u64,
    thread_panics: u64,
    entries: u64,
}

#[derive(Default)]
pub(super) struct Balance {
    plugins: BTreeMap<usize, Counted>,
}

impl Balance {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for transition in seen.transitions {
            let counted = self.plugins.entry(number(&transition.id)).or_default();
            counted.entries += 1;
            match transition.cause {
                Cause::UpdateStarted => counted.updates += 1,
                Cause::ReturnedLate => counted.late += 1,
                Cause::ThreadPanicked => counted.thread_panics += 1,
                _ => {}
            }
        }
        for snapshot in seen.snapshots {
            let counted = self.plugins.entry(number(snapshot.id())).or_default();
            let counts = snapshot.counts;
            let open = snapshot
                .in_flight
                .as_ref()
                .is_some_and(|call| !call.abandoned);
            let ended = counts.successes + counts.failures + counts.panics - counted.thread_panics;
            let wrong = |what: &str, one: u64, other: u64| {
                let id = snapshot.id();
                Err(Violation::new(
                    "balance",
                    format!("{id}: {what}: {one} and {other}"),
                ))
            };
            if counts.calls != ended + counts.timeouts + u64::from(open) {
                return wrong(
                    "calls that began and that ended",
                    counts.calls,
                    ended + counts.timeouts,
                );
            }
            if counts.updates != counted.updates {
                return wrong(
                    "updates that are counted and entered",
                    counts.updates,
                    counted.updates,
                );
            }
            if counts.late != counted.late {
                return wrong(
                    "late returns that are counted and entered",
                    counts.late,
                    counted.late,
                );
            }
            if counts.late > counts.timeouts {
                return wrong(
                    "more returned late than timed out",
                    counts.late,
                    counts.timeouts,
                );
            }
        }
        Ok(())
    }
}

/// All plugins were unloaded and nothing hangs any more: no instance is left, and every call that was abandoned has come home.
pub(super) fn all_is_given_back(world: &World, engine: &Engine) -> Checked {
    let instances = world.instances.borrow();
    let mut left = instances.iter().filter(|(_, instance)| instance.lives);
    // What no thread can be had for is left as it is, as the log says.
    if let Some((number, instance)) = left.nth(world.asides_refused.get()) {
        return Err(Violation::new(
            "balance",
            format!(
                "instance {number} of plugin {} was never destroyed",
                instance.plugin
            ),
        ));
    }
    for snapshot in engine.snapshots() {
        if snapshot.counts.late != snapshot.counts.timeouts {
            return Err(Violation::new(
                "balance",
                format!(
                    "{}: {} calls timed out, {} of them came home",
                    snapshot.id(),
                    snapshot.counts.timeouts,
                    snapshot.counts.late
                ),
            ));
        }
    }
    Ok(())
}
