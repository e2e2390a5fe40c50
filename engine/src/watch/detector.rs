//! Decides when a change counts: when nothing of it has moved for a while, and, where something is gone, when it has stayed away.
//!
//! Pure: what was seen and when come in as arguments, and what has settled comes out. A look that sees what is known already ends
//! the wait, so a file that was put back as it was is no change.

use std::collections::BTreeMap;
use std::time::Duration;

use plugin_engine_core::Moment;

use crate::changes::{FileGroup, Observation, Subject};

/// Waits for changes to settle. Holds one entry for each subject that differs from what is known, and nothing of the others.
pub(crate) struct Detector {
    settle: Duration,
    grace: Duration,
    waiting: BTreeMap<Subject, Waiting>,
}

/// A subject that is not as it is known.
struct Waiting {
    seen: FileGroup,
    /// When it was first seen like this.
    since: Moment,
    /// When it counts, if it stays like this.
    counts: Moment,
}

impl Detector {
    /// A change counts `settle` after it was last seen to move; one by which something is gone `grace` after that, if this is longer.
    pub(crate) fn new(settle: Duration, grace: Duration) -> Self {
        Self {
            settle,
            grace: grace.max(settle),
            waiting: BTreeMap::new(),
        }
    }

    /// Takes in what was seen at `now`, and returns the subjects that have settled as something else than is known. They are returned
    /// once; whoever gets them makes them known.
    pub(crate) fn observe(
        &mut self,
        now: Moment,
        known: &Observation,
        seen: &Observation,
    ) -> Vec<Subject> {
        // What is as it is known needs no wait any more.
        self.waiting
            .retain(|subject, _| known.group(subject) != seen.group(subject));
        for (subject, before, group) in differences(known, seen) {
            let wait = if lacks(&group, &before) {
                self.grace
            } else {
                self.settle
            };
            match self.waiting.get_mut(subject) {
                Some(waiting) if waiting.seen == group => {
                    // What is known may have changed meanwhile, and with it what is missing.
                    waiting.counts = waiting.since.saturating_add(wait);
                }
                _ => {
                    let waiting = Waiting {
                        seen: group,
                        since: now,
                        counts: now.saturating_add(wait),
                    };
                    self.waiting.insert(subject.clone(), waiting);
                }
            }
        }
        let settled = |waiting: &Waiting| waiting.counts <= now;
        let subjects: Vec<_> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| settled(waiting))
            .map(|(subject, _)| subject.clone())
            .collect();
        self.waiting.retain(|_, waiting| !settled(waiting));
        subjects
    }

    /// Nothing could be seen: what was waited for is waited for anew when there is something to see again.
    pub(crate) fn lose_sight(&mut self) {
        self.waiting.clear();
    }

    /// When the next change counts if nothing moves until then.
    pub(crate) fn next(&self) -> Option<Moment> {
        self.waiting.values().map(|waiting| waiting.counts).min()
    }
}

/// Whether anything that was there before is absent now.
fn lacks(now: &FileGroup, before: &FileGroup) -> bool {
    let absent = |of: fn(&FileGroup) -> bool| of(before) && !of(now);
    absent(|group| group.file.is_some())
        || absent(|group| group.config.is_some())
        || absent(|group| group.signature.is_some())
}

/// The subjects that are not as they are known, with what is known and what was seen.
fn differences<'a>(
    known: &'a Observation,
    seen: &'a Observation,
) -> impl Iterator<Item = (&'a Subject, FileGroup, FileGroup)> {
    let gone = known.groups.keys();
    let gone = gone.filter(|subject| !seen.groups.contains_key(subject));
    gone.chain(seen.groups.keys()).filter_map(|subject| {
        let (before, now) = (known.group(subject), seen.group(subject));
        (before != now).then_some((subject, before, now))
    })
}

#[cfg(test)]
#[path = "detector_tests.rs"]
mod tests;
