//! C2, C3, C6: a deadline that has passed is recorded at that moment, a claim is never left behind, and what returns late is only counted.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine::{CallKind, Cause};

use super::{Checked, Seen, Violation, number};
use crate::behaviour::Ends;
use crate::policy::policy_of;
use crate::run::OTHER_TIMEOUT;
use crate::world::What;

/// A call of a worker that has not returned.
#[derive(Debug, Clone, Copy)]
struct Open {
    plugin: usize,
    call: CallKind,
    began: Duration,
    deadline: Duration,
}

#[derive(Default)]
pub(super) struct Calls {
    /// By instance and number of the call.
    open: BTreeMap<(u64, u64), Open>,
}

impl Calls {
    pub(super) fn next_moment(&self, now: Duration) -> Option<Duration> {
        let moments = self.open.values().flat_map(|open| {
            // A call is slow after a millisecond.
            [open.began + Duration::from_millis(1), open.deadline]
        });
        moments.filter(|moment| *moment > now).min()
    }

    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for fact in seen.facts.iter().filter(|fact| fact.by_worker) {
            let key = (fact.instance, fact.id);
            match fact.what {
                What::Began(deadline) => {
                    self.check_deadline(fact.plugin, fact.call, fact.at, deadline)?;
                    let open = Open {
                        plugin: fact.plugin,
                        call: fact.call,
                        began: fact.at,
                        deadline,
                    };
                    self.open.insert(key, open);
                }
                What::Ended(_) => {
                    self.open.remove(&key);
                }
            }
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let Some(call) = &snapshot.in_flight else {
                continue;
            };
            let mut open = self
                .open
                .values()
                .filter(|open| open.plugin == plugin && open.call == call.call);
            let is_there = open.clone().next().is_some();
            let is_in_time = open.any(|open| open.deadline > seen.now);
            if !is_there {
                return Err(Violation::new(
                    "C6",
                    format!("{plugin}: a {} is in flight that has returned", call.call),
                ));
            }
            if !call.abandoned && !is_in_time {
                return Err(Violation::new(
                    "C2",
                    format!(
                        "{plugin}: a {} has passed its deadline, and it is not recorded",
                        call.call
                    ),
                ));
            }
        }
        let ended = |plugin: usize, is_so: fn(&Ends) -> bool| {
            seen.facts.iter().any(|fact| match &fact.what {
                What::Ended(ends) => {
                    fact.plugin == plugin && fact.call == CallKind::Update && is_so(ends)
                }
                What::Began(_) => false,
            })
        };
        for transition in seen.transitions {
            let plugin = number(&transition.id);
            let (promise, is_so) = match transition.cause {
                Cause::UpdateCompleted => {
                    ("C6", ended(plugin, |ends| matches!(ends, Ends::Completes)))
                }
                Cause::UpdateFailed => ("C6", ended(plugin, |ends| matches!(ends, Ends::Fails(_)))),
                Cause::UpdatePanicked => ("C6", ended(plugin, |ends| matches!(ends, Ends::Panics))),
                // Never by timing out alone.
                Cause::FailedPermanently => (
                    "C2",
                    ended(plugin, |ends| matches!(ends, Ends::FailsForGood)),
                ),
                _ => ("C6", true),
            };
            if !is_so {
                return Err(Violation::new(
                    promise,
                    format!("{transition}, and no update of it has ended so"),
                ));
            }
            if transition.cause == Cause::UpdateTimedOut && !seen.is_stopping {
                let timeout = policy_of(plugin).timeout;
                if transition.duration != Some(timeout) {
                    return Err(Violation::new(
                        "C2",
                        format!(
                            "{transition} is recorded after {:?}, not at its deadline after {timeout:?}",
                            transition.duration
                        ),
                    ));
                }
            }
        }
        Ok(())
    }

    /// A call that somebody waits for has the deadline that its kind has.
    fn check_deadline(
        &self,
        plugin: usize,
        call: CallKind,
        at: Duration,
        deadline: Duration,
    ) -> Checked {
        let limit = match call {
            CallKind::Update => policy_of(plugin).timeout,
            _ => OTHER_TIMEOUT,
        };
        let nobody_waits = deadline == Duration::from_nanos(u64::MAX);
        if nobody_waits || deadline == at + limit {
            return Ok(());
        }
        Err(Violation::new(
            "C2",
            format!(
                "{plugin}: a {call} that began at {at:?} has its deadline at {deadline:?}, its limit is {limit:?}"
            ),
        ))
    }
}
