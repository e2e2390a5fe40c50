//! C2, C3, C6, C7: a sick plugin stays Enabled with its error, is tried again when it should be and not before, and is not called while an
//! old call has not returned. Judged of the sentinels, which nobody commands.

use std::collections::HashMap;

use plugin_engine_wire::{Mark, Transition};

use super::entry::Entry;
use super::punctual::allowance;
use crate::disturbances::{Disturbances, Kind};
use crate::moment::{self, Micros};
use crate::roster::{Sentinel, sentinel};
use crate::sleeper::Sleeper;

/// How exact the times of two entries are beside each other: the wall clock is followed when it has moved by more than a millisecond.
const CLOCK: Micros = 5_000;

/// Where a sentinel stands.
#[derive(Default, Clone, Copy)]
struct Stand {
    started: Option<Micros>,
    failed: Option<Micros>,
    /// Whether the call that was given up has not returned.
    is_out: bool,
    returned: Option<Micros>,
}

pub(crate) struct Retries {
    sleeper: Sleeper,
    disturbances: Disturbances,
    stands: HashMap<&'static str, Stand>,
}

impl Retries {
    pub(crate) fn new(sleeper: Sleeper, disturbances: Disturbances) -> Self {
        Self {
            sleeper,
            disturbances,
            stands: HashMap::new(),
        }
    }

    pub(crate) fn lose_track(&mut self) {
        self.stands.clear();
    }

    pub(crate) fn take(&mut self, entry: &Entry) -> Option<String> {
        match entry {
            Entry::Transition(transition) => self.transition(transition),
            Entry::Mark(Mark::Folded { id, .. } | Mark::Gap { id, .. }) => {
                self.stands.remove(&**id);
                None
            }
            Entry::Mark(Mark::Started { .. } | Mark::Stopped { .. }) => {
                self.lose_track();
                None
            }
            Entry::Mark(Mark::Unknown) => None,
        }
    }

    fn transition(&mut self, entry: &Transition) -> Option<String> {
        let one = sentinel(&entry.id)?;
        let at = moment::of(entry.at);
        let stand = self.stands.entry(one.id).or_default();
        match &*entry.cause {
            "update_started" => {
                let before = std::mem::replace(
                    stand,
                    Stand {
                        started: Some(at),
                        ..Stand::default()
                    },
                );
                return self.judge_start(one, before, at, entry.seq);
            }
            "update_timed_out" => {
                let started = stand.started.take();
                stand.failed = Some(at);
                stand.is_out = true;
                return self.judge_timeout(one, started?, at, entry.seq);
            }
            "update_failed" => stand.failed = Some(at),
            "update_panicked" => stand.failed = Some(at),
            "returned_late" => {
                stand.is_out = false;
                stand.returned = Some(at);
            }
            // With others begins something else, such as a restart.
            "created_anew" | "recovered" | "turned_unhealthy" | "thread_panicked" => {}
            _ => *stand = Stand::default(),
        }
        None
    }

    fn judge_start(&self, one: &Sentinel, before: Stand, at: Micros, seq: u64) -> Option<String> {
        let failed = before.failed?;
        if before.is_out {
            return Some(format!(
                "{}: called at {seq} while an old call has not returned",
                one.id
            ));
        }
        let wait = one.retry_after.unwrap_or(one.interval);
        if at + CLOCK < failed + wait {
            return Some(format!(
                "{}: tried again at {seq}, {} ms after its failure instead of {}",
                one.id,
                at.saturating_sub(failed) / 1_000,
                wait / 1_000
            ));
        }
        if self.disturbances.any(Kind::Stopped, failed, at) {
            return None;
        }
        // A call that returns late may be followed by a whole interval.
        let due = before
            .returned
            .map_or(failed + wait, |at| (failed + wait).max(at + one.interval));
        let allowed = allowance(&self.sleeper, failed, at);
        (at > due + allowed).then(|| {
            format!(
                "{}: tried again at {seq}, {} ms later than due",
                one.id,
                (at - due) / 1_000
            )
        })
    }

    fn judge_timeout(
        &self,
        one: &Sentinel,
        started: Micros,
        at: Micros,
        seq: u64,
    ) -> Option<String> {
        let took = at.saturating_sub(started);
        if took + CLOCK < one.timeout {
            return Some(format!(
                "{}: timed out at {seq} after {} ms of {}",
                one.id,
                took / 1_000,
                one.timeout / 1_000
            ));
        }
        if self.disturbances.any(Kind::Stopped, started, at) {
            return None;
        }
        let allowed = allowance(&self.sleeper, started, at);
        (took > one.timeout + allowed).then(|| {
            format!(
                "{}: its deadline was seen {} ms late at {seq}",
                one.id,
                (took - one.timeout) / 1_000
            )
        })
    }

    /// Everything up to now was taken: who should have been tried again since.
    pub(crate) fn look(&mut self, now: Micros) -> Vec<String> {
        let mut problems = Vec::new();
        let stands: Vec<_> = self
            .stands
            .iter()
            .map(|(id, stand)| (*id, *stand))
            .collect();
        for (id, stand) in stands {
            let Some(one) = sentinel(id) else { continue };
            if stand.is_out {
                continue;
            }
            if let Some(problem) = self.judge_start(one, stand, now, 0)
                && problem.contains("later than due")
            {
                problems.push(format!("{id}: not tried again since its failure"));
                self.stands.remove(id);
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::{self, transition};
    use super::*;
    use crate::moment::SECOND;

    const MS: Micros = 1_000;
    const T: Micros = 1_000 * SECOND;

    /// `late-within` has an interval of 500 ms and a timeout of 100.
    fn problem(moves: &[(Micros, &str)]) -> Option<String> {
        problem_of("late-within", moves)
    }

    fn problem_of(id: &str, moves: &[(Micros, &str)]) -> Option<String> {
        let mut retries = Retries::new(Sleeper::default(), Disturbances::default());
        moves.iter().find_map(|(at, cause)| {
            retries.take(&forged::entry(transition(
                1,
                T + at * MS,
                id,
                "",
                cause,
                "",
            )))
        })
    }

    #[test]
    fn one_that_is_tried_again_an_interval_after_its_failure_is_good() {
        let moves = [
            (0, "update_started"),
            (100, "update_timed_out"),
            (250, "returned_late"),
            (600, "update_started"),
        ];
        assert_eq!(problem(&moves), None);
    }

    #[test]
    fn one_that_is_tried_again_from_its_start_is_found() {
        let moves = [
            (0, "update_started"),
            (100, "update_timed_out"),
            (250, "returned_late"),
            (500, "update_started"),
        ];
        assert!(
            problem(&moves)
                .unwrap()
                .contains("400 ms after its failure instead of 500")
        );
    }

    #[test]
    fn a_call_beside_one_that_has_not_returned_is_found() {
        let moves = [
            (0, "update_started"),
            (100, "update_timed_out"),
            (600, "update_started"),
        ];
        assert!(
            problem(&moves)
                .unwrap()
                .contains("while an old call has not returned")
        );
    }

    #[test]
    fn one_that_is_tried_again_too_late_or_never_is_found() {
        let moves = [
            (0, "update_started"),
            (100, "update_failed"),
            (1_500, "update_started"),
        ];
        assert!(problem(&moves).unwrap().contains("900 ms later than due"));
        let mut retries = Retries::new(Sleeper::default(), Disturbances::default());
        for (at, cause) in [(0, "update_started"), (50, "update_failed")] {
            retries.take(&forged::entry(transition(
                1,
                T + at * MS,
                "late-within",
                "",
                cause,
                "",
            )));
        }
        assert_eq!(retries.look(T + 700 * MS), [""; 0]);
        assert_eq!(retries.look(T + 900 * MS).len(), 1);
        assert_eq!(retries.look(T + 950 * MS), [""; 0], "told once");
    }

    #[test]
    fn what_a_failure_asks_for_replaces_the_interval() {
        let moves = |again| {
            [
                (0, "update_started"),
                (1, "update_failed"),
                (again, "update_started"),
            ]
        };
        assert_eq!(problem_of("fails-and-asks", &moves(151)), None);
        assert!(
            problem_of("fails-and-asks", &moves(100))
                .unwrap()
                .contains("instead of 150")
        );
        assert!(
            problem_of("fails-and-asks", &moves(3_001))
                .unwrap()
                .contains("later than due")
        );
    }

    #[test]
    fn a_deadline_that_is_seen_early_or_late_is_found() {
        assert!(
            problem(&[(0, "update_started"), (60, "update_timed_out")])
                .unwrap()
                .contains("after 60 ms of 100")
        );
        assert!(
            problem(&[(0, "update_started"), (900, "update_timed_out")])
                .unwrap()
                .contains("seen 800 ms late")
        );
    }
}
