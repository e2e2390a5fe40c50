//! What a plugin requires: it is not called before that is there, says in words what is missing, comes back by itself, and is stopped
//! before it.

use std::collections::{BTreeMap, BTreeSet};
use std::time::Duration;

use plugin_engine::simulation::required_by;
use plugin_engine::{CallKind, Cause, FaultKind, PluginState, Snapshot};

use super::{Checked, Seen, Violation, number};
use crate::policy::id_of;
use crate::requires::{Required, minor};
use crate::world::What;

/// How long it may take until a plugin is created that can be: a worker has to be found for it.
const LATE_MAX: Duration = Duration::from_millis(20);

#[derive(Default)]
struct Known {
    /// What it requires, as far as the engine has taken over what is said.
    list: Vec<Required>,
    state: Option<PluginState>,
    version: Option<u64>,
    /// Since when calls of it follow on each other without a moment in between.
    calls_since: Option<(Duration, Duration)>,
    /// Since when nothing keeps it from being created.
    free_since: Option<Duration>,
    is_in_flight: bool,
    /// Whether there is a library of it: one whose file was refused has nothing to stop.
    is_loaded: bool,
    is_lacking: bool,
}

impl Known {
    fn is_called(&self) -> bool {
        self.state.is_some_and(is_called)
    }
}

/// The states and versions in which a plugin was since the last look. Which belong together is not known.
#[derive(Default)]
struct Was {
    called: bool,
    versions: BTreeSet<Option<u64>>,
}

#[derive(Default)]
pub(super) struct Requirements {
    plugins: BTreeMap<usize, Known>,
    /// When something that a plugin requires was there the last time.
    met: BTreeMap<(usize, Required), Duration>,
}

fn is_called(state: PluginState) -> bool {
    matches!(state, PluginState::Enabled | PluginState::Running)
}

impl Requirements {
    pub(super) fn look(&mut self, seen: &Seen<'_>) -> Checked {
        if !seen.world.has_requirements.get() {
            return Ok(());
        }
        self.check_stops(seen)?;
        let was = self.was(seen);
        let mut before = BTreeMap::new();
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let known = self.plugins.entry(plugin).or_default();
            let list = required_by(seen.engine, snapshot.id().as_str());
            let list = list.iter().filter_map(|text| Required::parse(text));
            before.insert(plugin, std::mem::replace(&mut known.list, list.collect()));
            for required in known.list.iter().chain(&before[&plugin]) {
                let is_met = was.get(&required.plugin).is_some_and(|was| {
                    was.called && was.versions.iter().any(|version| required.fits(*version))
                });
                if is_met {
                    self.met.insert((plugin, *required), seen.now);
                }
            }
        }
        self.note_lacking(seen, &before);
        self.check_calls(seen, &before)?;
        for snapshot in seen.snapshots {
            self.check_held_back(seen, snapshot)?;
        }
        Ok(())
    }

    /// What became of all plugins since the last look, and of what is known of them.
    fn was(&mut self, seen: &Seen<'_>) -> BTreeMap<usize, Was> {
        let mut all: BTreeMap<usize, Was> = BTreeMap::new();
        for (plugin, known) in &self.plugins {
            let was = all.entry(*plugin).or_default();
            was.called = known.is_called();
            was.versions.insert(known.version);
        }
        for transition in seen.transitions {
            let plugin = number(&transition.id);
            let known = self.plugins.entry(plugin).or_default();
            known.is_loaded = match transition.cause {
                Cause::Mapped => true,
                Cause::LoadFailed | Cause::Quarantined => false,
                _ => known.is_loaded && transition.to != PluginState::Unloaded,
            };
            let was = all.entry(plugin).or_default();
            was.called |= is_called(transition.to);
            was.versions
                .insert(transition.version.as_deref().and_then(minor));
        }
        for snapshot in seen.snapshots {
            let plugin = number(snapshot.id());
            let known = self.plugins.entry(plugin).or_default();
            known.state = Some(snapshot.state);
            known.version = snapshot.version().and_then(minor);
            known.is_in_flight = snapshot.in_flight.is_some();
            let was = all.entry(plugin).or_default();
            was.called |= known.is_called();
            was.versions.insert(known.version);
        }
        all
    }

    /// Notes who has lacked something at any time since the last look, whose ticks were skipped then.
    fn note_lacking(&mut self, seen: &Seen<'_>, before: &BTreeMap<usize, Vec<Required>>) {
        let changed: BTreeSet<_> = seen
            .transitions
            .iter()
            .filter(|transition| !(is_called(transition.from) && is_called(transition.to)))
            .map(|transition| number(&transition.id))
            .collect();
        let mut lacking = seen.lacking.borrow_mut();
        for (plugin, said_before) in before {
            let said = &self.plugins[plugin].list;
            let is_lacking = said.iter().any(|required| self.unmet(*required).is_some());
            let has_lacked = said
                .iter()
                .chain(said_before)
                .any(|required| changed.contains(&required.plugin));
            let known = self.plugins.entry(*plugin).or_default();
            let lacked = std::mem::replace(&mut known.is_lacking, is_lacking);
            if is_lacking || has_lacked || lacked {
                lacking.insert(*plugin);
            }
        }
    }

    /// Nobody is created or updated without what it requires. Between the look at that and the call there may be other calls of the plugin:
    /// what is left of an instance is destroyed first. A person who asks is told at once, before anything is done.
    fn check_calls(&mut self, seen: &Seen<'_>, before: &BTreeMap<usize, Vec<Required>>) -> Checked {
        for fact in seen.facts.iter().filter(|fact| fact.by_worker) {
            let known = self.plugins.entry(fact.plugin).or_default();
            let since = match known.calls_since {
                Some((since, ended)) if ended == fact.at => since,
                Some((since, _)) if matches!(fact.what, What::Ended(_)) => since,
                _ => fact.at,
            };
            known.calls_since = Some((since, fact.at));
            if !matches!(fact.call, CallKind::Create | CallKind::Update)
                || matches!(fact.what, What::Ended(_))
            {
                continue;
            }
            let asked: Vec<_> = seen
                .asked
                .iter()
                .filter(|asked| {
                    let is_open = asked.answer.as_ref().is_none_or(|(at, _)| *at == seen.now);
                    asked.plugin == fact.plugin && is_open
                })
                .map(|asked| asked.at)
                .collect();
            if asked.len() > 1 {
                // What each of them takes over may have been something else, and the last of it alone is seen.
                continue;
            }
            let since = asked.into_iter().chain([since]).min();
            let since = since.unwrap_or(fact.at);
            let missing = |list: &[Required]| {
                list.iter().copied().find(|required| {
                    let met = self.met.get(&(fact.plugin, *required));
                    met.is_none_or(|met| *met < since)
                })
            };
            let said_before = before.get(&fact.plugin).map_or(&[][..], Vec::as_slice);
            let said_now = &self.plugins[&fact.plugin].list;
            if let (Some(missing), Some(_)) = (missing(said_now), missing(said_before)) {
                return Err(Violation::new(
                    "requires",
                    format!(
                        "{} of {}, which requires {missing}, and that is not there",
                        fact.call,
                        id_of(fact.plugin)
                    ),
                ));
            }
        }
        Ok(())
    }

    /// One that is held back says why, as it is now, and is created as soon as it can be.
    fn check_held_back(&mut self, seen: &Seen<'_>, snapshot: &Snapshot) -> Checked {
        let plugin = number(snapshot.id());
        let error = snapshot
            .error
            .as_ref()
            .filter(|error| error.kind == FaultKind::Requirement);
        let is_held_back = snapshot.state == PluginState::Error && error.is_some();
        let known = &self.plugins[&plugin];
        let waits = snapshot.state == PluginState::Loaded
            && snapshot.in_flight.is_none()
            && !known.list.is_empty();
        if seen.is_stopping || !(is_held_back || waits) {
            let known = self.plugins.entry(plugin).or_default();
            known.free_since = None;
            return Ok(());
        }
        let unmet = known.list.iter().find_map(|required| self.unmet(*required));
        let cycle = self.is_on_cycle(plugin);
        if is_held_back
            && let Some(error) = error
            // One that is being created has had all a moment ago.
            && snapshot.in_flight.is_none()
            && let Some(Unmet::Because(why)) = &unmet
            && !error.message.contains(why)
            // Where both are so, either is said.
            && !(cycle && error.message.contains("requires itself in the end: "))
        {
            return Err(Violation::new(
                "requires",
                format!("{} says \"{}\", and it {why}", snapshot.id(), error.message),
            ));
        }
        let can_go_on = match &unmet {
            None => true,
            // It was loaded, and has to say that it is held back.
            Some(Unmet::Because(_)) => waits,
            Some(Unmet::MayCome) => waits && cycle,
        };
        let is_free = can_go_on
            && snapshot.in_flight.is_none()
            && !(is_held_back && seen.is_asked(plugin))
            && !seen.is_short_of_threads();
        let known = self.plugins.entry(plugin).or_default();
        if !is_free {
            known.free_since = None;
            return Ok(());
        }
        let since = *known.free_since.get_or_insert(seen.now);
        if seen.now > since + LATE_MAX {
            return Err(Violation::new(
                "requires",
                format!(
                    "{} is {} since {since:?} although nothing keeps it from going on",
                    snapshot.id(),
                    snapshot.state
                ),
            ));
        }
        Ok(())
    }

    /// Why something is not there, in the words of the book.
    fn unmet(&self, required: Required) -> Option<Unmet> {
        let id = id_of(required.plugin);
        let Some((state, known)) = self
            .plugins
            .get(&required.plugin)
            .and_then(|known| Some((known.state?, known)))
        else {
            return Some(Unmet::Because(format!(
                "requires {required}, and no plugin has that id"
            )));
        };
        if let Some(version) = known.version
            && !required.fits(known.version)
        {
            return Some(Unmet::Because(format!(
                "requires {required}; {id} is 1.{version}.0"
            )));
        }
        match state {
            state if is_called(state) => None,
            PluginState::Loaded => Some(Unmet::MayCome),
            state => Some(Unmet::Because(format!("requires {id}, which is {state}"))),
        }
    }

    /// Whether a plugin waits for itself in the end: over those that are loaded and do not run.
    fn is_on_cycle(&self, plugin: usize) -> bool {
        let mut reached = BTreeSet::new();
        let mut next = vec![plugin];
        while let Some(one) = next.pop() {
            for required in self.plugins.get(&one).iter().flat_map(|known| &known.list) {
                if required.plugin == plugin {
                    return true;
                }
                let known = self.plugins.get(&required.plugin);
                let waits = known
                    .and_then(|known| known.state)
                    .is_some_and(|state| !is_called(state) && state != PluginState::Unloaded);
                if waits && reached.insert(required.plugin) {
                    next.push(required.plugin);
                }
            }
        }
        false
    }

    /// In the end everybody is stopped before what it requires, unless a call of it had to be given up.
    fn check_stops(&self, seen: &Seen<'_>) -> Checked {
        let mut stopped = BTreeSet::new();
        let stops = seen
            .transitions
            .iter()
            .filter(|transition| transition.cause == Cause::ShutDown);
        for transition in stops {
            let required = number(&transition.id);
            stopped.insert(required);
            for (plugin, known) in &self.plugins {
                let requires = known.list.iter().any(|one| one.plugin == required);
                let was_called = seen.facts.iter().any(|fact| fact.plugin == *plugin);
                if requires
                    && known.is_loaded
                    && !stopped.contains(plugin)
                    && !known.is_in_flight
                    && !was_called
                    && !self.requires_in_the_end(required, *plugin)
                {
                    return Err(Violation::new(
                        "requires",
                        format!("{transition} before {}, which requires it", id_of(*plugin)),
                    ));
                }
            }
        }
        Ok(())
    }

    fn requires_in_the_end(&self, plugin: usize, other: usize) -> bool {
        let mut reached = BTreeSet::new();
        let mut next = vec![plugin];
        while let Some(one) = next.pop() {
            for required in self.plugins.get(&one).iter().flat_map(|known| &known.list) {
                if reached.insert(required.plugin) {
                    next.push(required.plugin);
                }
            }
        }
        reached.contains(&other)
    }
}

enum Unmet {
    /// It is about to be created, or waits itself.
    MayCome,
    /// It is not, and what is said of that.
    Because(String),
}
