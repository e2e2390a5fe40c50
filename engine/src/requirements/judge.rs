//! Who of those that wait or are held back may start now, who has to say another reason, and who has to wait.

use std::collections::{BTreeSet, HashMap, VecDeque};
use std::sync::Arc;

use plugin_engine_core::{
    CreateReason, PluginId, PluginState, RejectReason, Requirement, Unmet, cycles,
};

use super::{hold_back, is_stopping};
use crate::cell::{Cell, Guarded};
use crate::executor::{TaskCall, TaskEnd, Waiter};
use crate::shared::{Shared, remember_start};

/// A plugin that is to be judged.
struct Subject {
    cell: Arc<Cell>,
    requires: Arc<[Requirement]>,
}

/// Judges the plugins that have changed and those that require them.
pub(super) fn judge(engine: &Arc<Shared>, changed: &BTreeSet<u32>) {
    if is_stopping(engine) {
        return;
    }
    let mut held_back = Vec::new();
    for plugin in with_dependents(engine, changed) {
        let Some(subject) = subject(engine, plugin) else {
            continue;
        };
        match engine.board.first_unmet(&subject.requires) {
            None => start(engine, &subject.cell),
            Some(unmet) => held_back.push((subject, unmet)),
        }
    }
    if held_back.is_empty() {
        return;
    }
    let mut stuck = Stuck::new(engine);
    for (subject, _) in &held_back {
        stuck.add(&subject.cell);
    }
    for (subject, unmet) in held_back {
        match stuck.cycle_of(&subject.cell) {
            Some(cycle) => say(engine, &subject.cell, &cycle),
            // It waits, or goes on saying what it says, until that has come or failed.
            None if unmet.may_come() => {}
            None => say(engine, &subject.cell, &unmet),
        }
    }
}

fn with_dependents(engine: &Shared, changed: &BTreeSet<u32>) -> BTreeSet<u32> {
    let mut subjects = changed.clone();
    let changed: Vec<_> = changed
        .iter()
        .filter_map(|plugin| engine.board.registry.at(*plugin))
        .collect();
    for cell in &changed {
        // What changes together is published one after another under this lock, and said before the last of it: once the lock was free,
        // all of it can be read.
        drop(cell.lock());
        let dependents = engine.requirements.dependents.lock();
        subjects.extend(dependents.get(&cell.id).into_iter().flatten());
    }
    subjects.extend(in_circles_of(engine, &changed));
    subjects
}

/// The plugins that say that they require themselves in the end, by way of one of these: that may be so no more.
fn in_circles_of(engine: &Shared, changed: &[&Arc<Cell>]) -> Vec<u32> {
    let mut in_circles: Vec<_> = {
        let in_circles = engine.requirements.in_circles.lock();
        in_circles.iter().copied().collect()
    };
    in_circles.retain(|plugin| {
        let Some(cell) = engine.board.registry.at(*plugin) else {
            return false;
        };
        let guarded = cell.lock();
        let requires = guarded.requires.as_ref();
        match requires.and_then(|requires| requires.unmet.as_deref()) {
            Some(Unmet::Cycle { path }) if guarded.machine.is_held_back() => path
                .iter()
                .any(|id| changed.iter().any(|cell| cell.id == *id)),
            _ => {
                engine.requirements.in_circles.lock().remove(plugin);
                false
            }
        }
    });
    in_circles
}

/// A plugin that waits to be created, or that is held back; whoever waits for one that does so no more is told.
fn subject(engine: &Shared, plugin: u32) -> Option<Subject> {
    let cell = engine.board.registry.at(plugin)?;
    let guarded = cell.lock();
    let state = guarded.machine.state();
    let mut waiting = engine.requirements.waiting.lock();
    let is_complete = waiting.get(&plugin).is_some_and(|one| one.complete);
    if state != PluginState::Loaded
        && let Some(gone) = waiting.remove(&plugin)
    {
        // Switched off or unloaded before it could begin.
        gone.waiter.tell(not_made());
    }
    drop(waiting);
    let waits = state == PluginState::Loaded && is_complete;
    // One that was held back may require nothing any more.
    let requires = guarded.required().unwrap_or_default();
    (waits || guarded.machine.is_held_back()).then_some(Subject {
        cell: Arc::clone(cell),
        requires,
    })
}

fn not_made() -> TaskEnd {
    TaskEnd::NotMade(RejectReason::Unmet)
}

/// Looks once more, now under the lock under which it is to be dealt with: a plugin that waits, with whoever waits for its create, or
/// one that is held back. A command may have led it elsewhere since it was judged.
fn take_waiter(engine: &Shared, cell: &Cell, guarded: &Guarded) -> Option<Arc<Waiter>> {
    if guarded.machine.state() == PluginState::Loaded {
        let mut waiting = engine.requirements.waiting.lock();
        waiting.get(&cell.index).filter(|one| one.complete)?;
        return waiting.remove(&cell.index).map(|one| one.waiter);
    }
    guarded.machine.is_held_back().then(Arc::default)
}

/// Has a plugin created, all of whose requirements are met.
fn start(engine: &Arc<Shared>, cell: &Arc<Cell>) {
    let mut guarded = cell.lock();
    let Some(waiter) = take_waiter(engine, cell, &guarded) else {
        return;
    };
    let reason = match guarded.machine.state() {
        PluginState::Loaded => CreateReason::Load,
        _ => CreateReason::RequirementMet,
    };
    remember_start(engine, &mut guarded);
    drop(guarded);
    let call = TaskCall::Create(reason);
    engine.executor.submit_task_for(cell, call, waiter);
}

/// Has a plugin say why it is held back.
fn say(engine: &Arc<Shared>, cell: &Arc<Cell>, unmet: &Unmet) {
    let mut guarded = cell.lock();
    let Some(waiter) = take_waiter(engine, cell, &guarded) else {
        return;
    };
    let applied = hold_back(engine, cell, &mut guarded, unmet);
    drop(guarded);
    if let Some(news) = applied.and_then(|applied| applied.notable) {
        // By somebody who may be held up: who listens may wait for a plugin that only this thread can start.
        engine.executor.tell_of(news);
    }
    waiter.tell(not_made());
}

/// The plugins that do not run, as far as others that do not run wait for them.
pub(super) struct Stuck<'a> {
    engine: &'a Shared,
    places: HashMap<PluginId, usize>,
    cells: Vec<Arc<Cell>>,
    /// The cycles, once they were looked for.
    cycles: Option<Vec<Option<Vec<usize>>>>,
}

impl<'a> Stuck<'a> {
    pub(super) fn new(engine: &'a Shared) -> Self {
        Self {
            engine,
            places: HashMap::new(),
            cells: Vec::new(),
            cycles: None,
        }
    }

    pub(super) fn add(&mut self, cell: &Arc<Cell>) -> usize {
        let next = self.cells.len();
        let place = *self.places.entry(cell.id.clone()).or_insert(next);
        if place == next {
            self.cells.push(Arc::clone(cell));
            self.cycles = None;
        }
        place
    }

    /// The cycle that a plugin is on.
    pub(super) fn cycle_of(&mut self, cell: &Arc<Cell>) -> Option<Unmet> {
        let place = self.add(cell);
        if self.cycles.is_none() {
            let requires = self.follow();
            self.cycles = Some(cycles(&requires));
        }
        let cycles = self.cycles.as_ref()?;
        let path = cycles.get(place)?.as_ref()?;
        let ids = path.iter().map(|place| self.cells[*place].id.clone());
        Some(Unmet::Cycle {
            path: ids.collect(),
        })
    }

    /// Follows what is required, plugin by plugin, for as long as it does not run.
    fn follow(&mut self) -> Vec<Vec<usize>> {
        let engine = self.engine;
        let mut requires: Vec<Vec<usize>> = Vec::new();
        let mut next: VecDeque<usize> = (0..self.cells.len()).collect();
        while let Some(place) = next.pop_front() {
            let cell = Arc::clone(&self.cells[place]);
            let list = cell.lock().required();
            let mut found = Vec::new();
            for required in list.iter().flat_map(|list| list.iter()) {
                let Some(other) = engine.board.registry.find(required.id().as_str()) else {
                    continue;
                };
                let waits = |state| {
                    !matches!(
                        state,
                        PluginState::Unloaded | PluginState::Enabled | PluginState::Running
                    )
                };
                let known = self.cells.len();
                if other.index == cell.index
                    || waits(other.snapshot(&engine.board.ledger.time).state)
                {
                    let at = self.add(other);
                    found.push(at);
                    if at == known {
                        next.push_back(at);
                    }
                }
            }
            debug_assert_eq!(requires.len(), place, "one after another");
            requires.push(found);
        }
        requires
    }
}
