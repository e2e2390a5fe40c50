//! After an end that nobody asked for: it has a culprit among the plugins that are there to crash, the next start names it, and two crashes
//! keep it out.

use std::collections::{BTreeMap, BTreeSet};

use plugin_engine_wire::{Snapshot, Transition};

use crate::roster::CRASHERS;

/// How a process ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum End {
    /// As it was told to.
    AsTold,
    /// It was killed from outside.
    Killed,
    ByItself,
}

/// What is known of the plugins that crash.
#[derive(Default)]
pub(crate) struct Crashes {
    /// Those that lie in the directory.
    armed: BTreeSet<&'static str>,
    /// Those that lay there when the process before ended, if that was by itself.
    suspects: Option<BTreeSet<&'static str>>,
    /// How often each was named since it was put there.
    named: BTreeMap<&'static str, u32>,
    /// Who was named by the start that is being looked at.
    said: BTreeSet<String>,
}

/// The crasher of this id that can be seen to be one.
fn culprit(id: &str) -> Option<&'static str> {
    let found = CRASHERS.iter().find(|one| one.id == id && !one.is_unseen);
    found.map(|one| one.id)
}

impl Crashes {
    pub(crate) fn armed(&mut self, id: &'static str) {
        self.armed.insert(id);
    }

    /// It is there no more, and its crashes were forgotten.
    pub(crate) fn disarmed(&mut self, id: &'static str) {
        self.armed.remove(id);
        self.named.remove(id);
    }

    pub(crate) fn ended(&mut self, end: End) -> Option<String> {
        self.suspects = (end == End::ByItself).then(|| self.armed.clone());
        let is_unexplained = self.suspects.as_ref().is_some_and(BTreeSet::is_empty);
        is_unexplained
            .then(|| "the process ended by itself, and no plugin was there to end it".to_owned())
    }

    /// A start that came so far that it said who crashed the process before: `said` is what it wrote on standard error.
    pub(crate) fn begun(&mut self, said: &str) -> Vec<String> {
        let mut problems = Vec::new();
        self.said.clear();
        let lines = said.lines().filter(|line| line.contains("[PE0622]"));
        // The log says it, too, in its own form.
        for (line, rest) in
            lines.filter_map(|line| Some((line, line.strip_prefix("plugin-engine: ")?)))
        {
            let id = rest.split(": crashed the engine").next().unwrap_or(rest);
            self.said.insert(id.to_owned());
            match culprit(id) {
                Some(id) => *self.named.entry(id).or_default() += 1,
                None => problems.push(format!("an innocent is blamed: {line}")),
            }
        }
        if let Some(suspects) = self.suspects.take()
            && self.said.is_empty()
            && suspects.iter().all(|id| culprit(id).is_some())
        {
            let of_it: Vec<_> = said
                .lines()
                .filter(|line| {
                    line.contains("process before") || line.contains("does not know whose")
                })
                .collect();
            problems.push(format!(
                "the process ended by itself, and the start names none of {suspects:?}; it says: {of_it:?}"
            ));
        }
        problems
    }

    /// A start that ended before it answered: what it wrote on standard error. One that came so far that it named who crashed the process
    /// before has taken that over, and the next one names nobody; what it could not enter on a full disk is lost with it.
    pub(crate) fn refused(&mut self, said: &str) -> Vec<String> {
        if !said.contains("[PE0622]") {
            return Vec::new();
        }
        let problems = self.begun(said);
        self.said.clear();
        problems
    }

    /// Takes an entry of the history.
    pub(crate) fn take(&self, entry: &Transition) -> Option<String> {
        let is_blamed = entry.cause == "crashed" && culprit(&entry.id).is_none();
        is_blamed.then(|| format!("{} is entered to have crashed the engine", entry.id))
    }

    /// Whom the start has named and who is not entered since.
    pub(crate) fn not_entered(&mut self, entered: &BTreeSet<String>) -> Vec<String> {
        let said = std::mem::take(&mut self.said);
        let missing = said.difference(entered);
        missing
            .map(|id| format!("{id} is named by a start and not entered as crashed"))
            .collect()
    }

    /// How the plugins stand.
    pub(crate) fn look(&self, snapshots: &[Snapshot]) -> Vec<String> {
        let twice = self
            .named
            .iter()
            .filter(|(id, times)| **times >= 2 && self.armed.contains(*id));
        let problem = |(id, times): (&&str, &u32)| {
            let one = snapshots.iter().find(|one| one.id == **id)?;
            let is_called = ["Loaded", "Enabled", "Running"].contains(&&*one.state);
            is_called.then(|| {
                format!(
                    "{id} has crashed the engine {times} times and is {}",
                    one.state
                )
            })
        };
        twice.filter_map(problem).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::super::entry::forged::transition;
    use super::*;

    fn crashed(id: &str) -> Transition {
        transition(1, 0, id, "Unloaded", "crashed", "Unloaded")
    }

    const SAID: &str =
        "plugin-engine: crash-abort: crashed the engine in its update: once so far [PE0622]\n";

    fn armed() -> Crashes {
        let mut crashes = Crashes::default();
        crashes.armed("crash-abort");
        crashes
    }

    #[test]
    fn a_crash_that_is_named_is_good() {
        let mut crashes = armed();
        assert_eq!(crashes.ended(End::ByItself), None);
        assert_eq!(crashes.begun(SAID), [""; 0]);
        assert_eq!(crashes.take(&crashed("crash-abort")), None);
        assert_eq!(
            crashes.not_entered(&BTreeSet::from(["crash-abort".to_owned()])),
            [""; 0]
        );
        assert_eq!(crashes.ended(End::Killed), None);
        assert_eq!(crashes.begun(""), [""; 0]);
    }

    #[test]
    fn an_end_without_a_culprit_is_found() {
        assert!(Crashes::default().ended(End::ByItself).is_some());
        assert!(Crashes::default().ended(End::Killed).is_none());
    }

    #[test]
    fn a_crash_that_is_not_named_or_not_entered_is_found() {
        let mut crashes = armed();
        crashes.ended(End::ByItself);
        assert!(crashes.begun("")[0].contains("names none of"));
        crashes.ended(End::ByItself);
        crashes.begun(SAID);
        assert!(crashes.not_entered(&BTreeSet::new())[0].contains("not entered"));
    }

    #[test]
    fn a_start_that_is_refused_takes_over_what_it_has_named_and_leaves_what_it_has_not() {
        let mut crashes = armed();
        crashes.ended(End::ByItself);
        assert_eq!(crashes.refused("no room for the socket [PE0701]"), [""; 0]);
        assert_eq!(crashes.refused(SAID), [""; 0]);
        assert_eq!(crashes.not_entered(&BTreeSet::new()), [""; 0]);
        assert_eq!(crashes.begun(""), [""; 0]);
        crashes.ended(End::ByItself);
        assert_eq!(crashes.refused(""), [""; 0]);
        assert!(crashes.begun("")[0].contains("names none of"));
    }

    #[test]
    fn where_one_crashes_on_a_thread_of_its_own_nobody_has_to_be_named() {
        let mut crashes = Crashes::default();
        crashes.armed("crash-own-thread");
        assert_eq!(crashes.ended(End::ByItself), None);
        assert_eq!(crashes.begun(""), [""; 0]);
    }

    #[test]
    fn an_innocent_that_is_blamed_is_found() {
        assert!(armed().take(&crashed("control-1")).is_some());
        assert!(armed().take(&crashed("crash-own-thread")).is_some());
        let said = SAID.replace("crash-abort", "control-1");
        assert!(armed().begun(&said)[0].contains("an innocent is blamed"));
    }

    #[test]
    fn one_that_runs_again_after_two_crashes_is_found() {
        let mut crashes = armed();
        let snapshot = |state: &str| {
            let json = serde_json::json!({
                "id": "crash-abort", "state": state, "generation": 1, "interval_ms": 1, "timeout_ms": 1, "calls": 0,
                "updates": 0, "successes": 0, "failures": 0, "timeouts": 0, "panics": 0, "late": 0, "skipped": 0,
                "consecutive_failures": {"create": 0, "update": 0, "display": 0}, "health": "unknown",
                "breaker": "off", "history_len": 0, "seq": 1
            });
            serde_json::from_value::<Snapshot>(json).unwrap()
        };
        crashes.begun(SAID);
        assert_eq!(crashes.look(&[snapshot("Enabled")]), [""; 0]);
        crashes.begun(SAID);
        assert_eq!(crashes.look(&[snapshot("Error")]), [""; 0]);
        assert!(crashes.look(&[snapshot("Enabled")])[0].contains("2 times and is Enabled"));
    }
}
