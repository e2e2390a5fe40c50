//! S1, S3: a snapshot is what the entries of the history come to, all of them and nothing else: state, generation, number, and the error
//! that stands.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::time::Duration;

use plugin_engine::{CallKind, Cause, Fault, PluginState, Snapshot, Transition};

use super::durable::Generations;
use super::{Checked, Seen, Violation, number};
use crate::behaviour::Ends;
use crate::world::What;

/// What the entries of one plugin come to.
#[derive(Default)]
struct Folded {
    state: Option<PluginState>,
    seq: u64,
    generation: u32,
    /// Why the state is Error, the last failure of an update and of a display, and whether that of the display is newer.
    why: Option<Arc<Fault>>,
    update: Option<Arc<Fault>>,
    display: Option<Arc<Fault>>,
    display_is_newer: bool,
    /// Between what the generation may be, until the first load after a restart shows it.
    before: Option<(u32, u32)>,
    /// The same where the engine may come to know it later, until a load shows that it has.
    recalled: Option<(u32, u32)>,
}

#[derive(Default)]
pub(super) struct Fold {
    /// What the engine may know of generations from the one before.
    pub(super) before: Generations,
    /// What it may come to know later.
    pub(super) recalled: Generations,
    plugins: BTreeMap<usize, Folded>,
    /// The deadlines of the displays that have not returned, by instance and number of the call.
    displays: BTreeMap<(u64, u64), Duration>,
}

impl Fold {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        for transition in seen.transitions {
            self.of(number(&transition.id)).add(transition)?;
        }
        self.clear_displays(seen);
        for snapshot in seen.snapshots {
            let folded = self.of(number(snapshot.id()));
            let is_watched = seen.world.directory.watching().is_some();
            if is_watched && snapshot.state == PluginState::Unloaded && snapshot.error.is_none() {
                // The file of what a policy had unloaded is gone, and the reason with it: for that there is no entry.
                folded.clear();
            }
            folded.compare(snapshot)?;
        }
        Ok(())
    }

    fn of(&mut self, plugin: usize) -> &mut Folded {
        let before = self.before.get(&plugin).copied();
        let recalled = self.recalled.get(&plugin).copied();
        self.plugins.entry(plugin).or_insert_with(|| Folded {
            before,
            recalled,
            ..Folded::default()
        })
    }

    /// A display that completes is in no entry, and clears what the one before has left. Of those that end at one moment the last one
    /// counts: a failure before it is cleared, one after it stands.
    fn clear_displays(&mut self, seen: &Seen<'_>) {
        let mut last = BTreeMap::new();
        for fact in seen.facts {
            if fact.call != CallKind::Display || !fact.by_worker {
                continue;
            }
            match fact.what {
                What::Began(deadline) => {
                    let call = (fact.instance, fact.id);
                    self.displays.insert(call, deadline);
                }
                What::Ended(ends) => {
                    let deadline = self.displays.remove(&(fact.instance, fact.id));
                    // At the deadline itself it may be either; if it was abandoned, that is entered.
                    let is_late = deadline.is_some_and(|deadline| fact.at >= deadline)
                        && seen.transitions.iter().any(|transition| {
                            number(&transition.id) == fact.plugin
                                && transition.cause == Cause::ReturnedLate
                        });
                    if !is_late {
                        last.insert(fact.plugin, ends);
                    }
                }
            }
        }
        for (plugin, ends) in last {
            if ends == Ends::Completes {
                self.of(plugin).display = None;
            }
        }
    }
}

impl Folded {
    fn add(&mut self, transition: &Transition) -> Checked {
        self.state = Some(transition.to);
        self.seq = transition.seq;
        let error = transition.error.clone();
        match transition.cause {
            Cause::Mapped | Cause::Reloaded | Cause::RolledBack => {
                if let Some((low, high)) = self.before.take() {
                    if !(low + 1..=high + 1).contains(&transition.generation) {
                        return Err(Violation::new(
                            "S6",
                            format!(
                                "{transition} is generation {}, where it was {low} to {high} before the restart",
                                transition.generation
                            ),
                        ));
                    }
                    self.generation = transition.generation - 1;
                }
                if transition.generation != self.generation + 1
                    && let Some((low, high)) = self.recalled.take()
                    && (low + 1..=high + 1).contains(&transition.generation)
                {
                    self.generation = transition.generation - 1;
                }
                self.generation += 1;
                self.clear();
            }
            Cause::Reset => self.clear(),
            Cause::LoadFailed
            | Cause::Quarantined
            | Cause::Unloaded
            | Cause::FileRemoved
            | Cause::ShutDown => {
                self.clear();
                self.why = error;
            }
            Cause::CreateFailed
            | Cause::GaveUp
            | Cause::Unhealthy
            | Cause::RequirementUnmet
            | Cause::SwitchedOff
            | Cause::Created
            | Cause::CreatedAnew
            | Cause::Replaced
            | Cause::Restarted
            | Cause::RequirementMet
            | Cause::SwitchedOn => self.why = error,
            Cause::FailedPermanently => {
                self.why = error;
                self.update = None;
            }
            Cause::UpdateCompleted => self.update = None,
            Cause::CallRefused if transition.to == PluginState::Error => self.why = error,
            Cause::UpdateFailed
            | Cause::UpdateTimedOut
            | Cause::UpdatePanicked
            | Cause::CallRefused => {
                self.update = error;
                self.display_is_newer = false;
            }
            Cause::DisplayFailed => {
                self.display = error;
                self.display_is_newer = true;
            }
            _ => {}
        }
        Ok(())
    }

    fn clear(&mut self) {
        self.why = None;
        self.update = None;
        self.display = None;
    }

    fn error(&self) -> Option<&Arc<Fault>> {
        let (newer, older) = if self.display_is_newer {
            (&self.display, &self.update)
        } else {
            (&self.update, &self.display)
        };
        self.why.as_ref().or(newer.as_ref()).or(older.as_ref())
    }

    fn compare(&self, snapshot: &Snapshot) -> Checked {
        let id = snapshot.id();
        let wrong = |what: String| Err(Violation::new("S1", format!("{id}: {what}")));
        let state = self.state.unwrap_or(PluginState::Unloaded);
        if snapshot.state != state {
            return wrong(format!(
                "the state is {}, the history says {state}",
                snapshot.state
            ));
        }
        if snapshot.seq != self.seq {
            return wrong(format!(
                "the number is {}, the history's {}",
                snapshot.seq, self.seq
            ));
        }
        let is_so = match self.before {
            Some((low, high)) => (low..=high).contains(&snapshot.generation),
            None => snapshot.generation == self.generation,
        };
        if !is_so {
            return wrong(format!(
                "the generation is {}, the history says {}",
                snapshot.generation, self.generation
            ));
        }
        let said = |error: Option<&Arc<Fault>>| {
            error.map_or("none".to_owned(), |error| {
                format!("{} at {}", error.message, error.at)
            })
        };
        if snapshot.error.as_ref() != self.error() {
            return Err(Violation::new(
                "S3",
                format!(
                    "{id}: the error is {}, the history says {}",
                    said(snapshot.error.as_ref()),
                    said(self.error())
                ),
            ));
        }
        let in_update = snapshot
            .in_flight
            .as_ref()
            .is_some_and(|call| call.call == CallKind::Update && !call.abandoned);
        if (state == PluginState::Running) != in_update {
            return wrong(format!(
                "the state is {state}, the call {:?}",
                snapshot.in_flight
            ));
        }
        Ok(())
    }
}
