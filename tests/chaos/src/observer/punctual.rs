//! C4, C5: a healthy plugin is never late while others are sick, and never made up for in a burst.
//!
//! What the reference, a thread that only sleeps, was late by in the same time is allowed to the engine tenfold: a hand-over within it takes
//! several threads, each of which has to be woken.

use std::collections::HashMap;

use plugin_engine_wire::{Mark, Transition};

use super::entry::Entry;
use crate::disturbances::{Disturbances, Kind};
use crate::moment::{self, Micros, SECOND};
use crate::roster::{SENTINELS, Sentinel, sentinel};
use crate::sleeper::Sleeper;

/// What is allowed on a machine that keeps nobody from anything.
const SLACK: Micros = 300_000;
/// How long a start may take until the first update of a good plugin, beside ones that take as long as they may to be created.
const START: Micros = 15 * SECOND;

/// How late something may be that was due at some time between these moments.
pub(crate) fn allowance(sleeper: &Sleeper, from: Micros, until: Micros) -> Micros {
    SLACK + 10 * sleeper.worst(from, until)
}

pub(crate) struct Punctual {
    sleeper: Sleeper,
    disturbances: Disturbances,
    /// When the process that runs was started.
    started: Option<Micros>,
    /// The last two updates of each control plugin in this process.
    updates: HashMap<&'static str, (Option<Micros>, Micros)>,
    /// The most that any of them was late by.
    pub(crate) worst: Micros,
}

impl Punctual {
    pub(crate) fn new(sleeper: Sleeper, disturbances: Disturbances) -> Self {
        Self {
            sleeper,
            disturbances,
            started: None,
            updates: HashMap::new(),
            worst: 0,
        }
    }

    pub(crate) fn take(&mut self, entry: &Entry) -> Option<String> {
        match entry {
            Entry::Mark(Mark::Started { at, .. }) => {
                self.started = Some(moment::of(*at));
                self.updates.clear();
                None
            }
            Entry::Mark(Mark::Stopped { .. }) => {
                self.ended();
                None
            }
            Entry::Mark(Mark::Folded { id, .. } | Mark::Gap { id, .. }) => {
                self.updates.remove(&**id);
                None
            }
            Entry::Mark(Mark::Unknown) => None,
            Entry::Transition(transition) => self.transition(transition),
        }
    }

    /// Some updates up to now were not seen, so all that is known of the control plugins is what comes.
    pub(crate) fn lose_track(&mut self, now: Micros) {
        self.started = self.started.map(|_| now);
        self.updates.clear();
    }

    /// Nothing is expected any more until the next start.
    pub(crate) fn ended(&mut self) {
        self.started = None;
        self.updates.clear();
    }

    fn transition(&mut self, entry: &Transition) -> Option<String> {
        let one = sentinel(&entry.id).filter(|one| one.is_control)?;
        if entry.cause != "update_started" {
            return None;
        }
        let at = moment::of(entry.at);
        let (earlier, last) = self.updates.insert(one.id, (None, at))?;
        self.updates.insert(one.id, (Some(last), at));
        if let Some(earlier) = earlier
            && at.saturating_sub(earlier) < one.interval * 9 / 10
        {
            return Some(format!(
                "{}: three updates within {} ms at {}, of an interval of {} ms",
                one.id,
                at.saturating_sub(earlier) / 1_000,
                entry.seq,
                one.interval / 1_000
            ));
        }
        self.judge(one, last, at)
    }

    fn judge(&mut self, one: &Sentinel, last: Micros, at: Micros) -> Option<String> {
        if self.disturbances.any(Kind::Stopped, last, at) {
            return None;
        }
        let late = at.saturating_sub(last).saturating_sub(one.interval);
        self.worst = self.worst.max(late);
        let allowed = allowance(&self.sleeper, last, at);
        (late > allowed).then(|| {
            format!(
                "{}: called {} ms late; {} ms are allowed, the reference was {} ms late",
                one.id,
                late / 1_000,
                allowed / 1_000,
                self.sleeper.worst(last, at) / 1_000
            )
        })
    }

    /// Everything up to now was taken: which control plugins should have been called since.
    pub(crate) fn look(&mut self, now: Micros) -> Vec<String> {
        let Some(started) = self.started else {
            return Vec::new();
        };
        let controls = SENTINELS.iter().filter(|one| one.is_control);
        let mut problems = Vec::new();
        for one in controls {
            match self.updates.get(one.id) {
                Some((_, last)) => {
                    let problem = self.judge(one, *last, now);
                    if problem.is_some() {
                        // Told once, not with each look.
                        self.updates.remove(one.id);
                        problems.extend(problem);
                    }
                }
                None => {
                    let allowed = START + allowance(&self.sleeper, started, now);
                    if now.saturating_sub(started) > allowed
                        && !self.disturbances.any(Kind::Stopped, started, now)
                    {
                        problems.push(format!("{}: not called since the start", one.id));
                        self.updates.insert(one.id, (None, now));
                    }
                }
            }
        }
        problems
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::{self, transition};
    use super::*;

    const MS: Micros = 1_000;
    const T: Micros = 1_000 * SECOND;

    fn started() -> Punctual {
        let mut punctual = Punctual::new(Sleeper::default(), Disturbances::default());
        punctual.take(&Entry::Mark(Mark::Started {
            seq: 1,
            at: forged::time(T),
            pid: 1,
            version: String::new(),
            lost: None,
        }));
        punctual
    }

    fn update(at: Micros) -> Entry {
        forged::entry(transition(
            2,
            at,
            "control-1",
            "Enabled",
            "update_started",
            "Running",
        ))
    }

    #[test]
    fn updates_on_time_are_good() {
        let mut punctual = started();
        for n in 0..5 {
            assert_eq!(punctual.take(&update(T + n * 100 * MS)), None);
        }
    }

    #[test]
    fn a_control_plugin_that_is_called_late_is_found() {
        let mut punctual = started();
        punctual.take(&update(T));
        assert!(
            punctual
                .take(&update(T + 900 * MS))
                .unwrap()
                .contains("800 ms late")
        );
    }

    #[test]
    fn one_that_is_late_with_the_machine_is_not() {
        let mut punctual = started();
        punctual.sleeper.note(T + 500 * MS, 60 * MS);
        punctual.take(&update(T));
        assert_eq!(punctual.take(&update(T + 900 * MS)), None);
        assert_eq!(punctual.worst, 800 * MS);
    }

    #[test]
    fn one_that_is_late_while_the_process_was_stopped_is_not() {
        let mut punctual = started();
        let now = moment::now();
        let stopped = punctual.disturbances.begin(Kind::Stopped);
        punctual.take(&update(now - SECOND));
        assert_eq!(punctual.take(&update(now + SECOND)), None);
        drop(stopped);
    }

    #[test]
    fn missed_ticks_that_are_made_up_for_are_found() {
        let mut punctual = started();
        punctual.take(&update(T));
        punctual.take(&update(T + 10 * MS));
        assert!(
            punctual
                .take(&update(T + 20 * MS))
                .unwrap()
                .contains("three updates within 20 ms")
        );
    }

    #[test]
    fn one_that_is_called_no_more_is_found_once() {
        let mut punctual = started();
        let controls = || SENTINELS.iter().filter(|one| one.is_control);
        let quick = controls().filter(|one| one.interval == 100 * MS).count();
        for one in controls() {
            let entry = transition(2, T, one.id, "Enabled", "update_started", "Running");
            punctual.take(&forged::entry(entry));
        }
        assert_eq!(punctual.look(T + 300 * MS).len(), 0);
        assert_eq!(punctual.look(T + 600 * MS).len(), quick);
        assert_eq!(punctual.look(T + 700 * MS).len(), 0);
        assert_eq!(
            started().look(T + 20 * SECOND).len(),
            controls().count(),
            "none since the start"
        );
        let mut unseen = started();
        unseen.lose_track(T + 20 * SECOND);
        assert_eq!(unseen.look(T + 20 * SECOND).len(), 0);
        assert_eq!(unseen.look(T + 40 * SECOND).len(), controls().count());
    }
}
