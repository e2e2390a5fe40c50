//! Plugins that require others: who is held back and why, and what is started when that has changed.
//!
//! A plugin that requires others is not created where it is loaded. It is handed over here, and a thread of its own creates it as soon
//! as all that it requires run, or says why it cannot. The same thread brings back what was held back, whichever way what was required
//! has come: loaded, switched on, reset, or created at last after the start was not waited for any more.
//!
//! What lives here: who waits, and for whom. What never will: code of a plugin, of a subscriber or of the embedder, on that thread;
//! two cells' locks at a time; what is decided about a requirement, which is the core's.

mod judge;
mod offline;

use std::collections::{BTreeSet, HashMap};
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};

use parking_lot::Mutex;
use plugin_engine_core::{Event, PluginId, PluginState, Requirement, Unmet};

use crate::cell::{Applied, Cell, Guarded, Requires};
use crate::changed_plugins::Changes;
use crate::code::Code;
use crate::error::Error;
use crate::executor::{TaskEnd, Waiter};
use crate::shared::Shared;
use crate::supervisor::{IfTaken, TaskContext};

pub(crate) use offline::{Offline, check_offline};

const NAME: &str = "plugin-dependents";

/// What is known of plugins that require others.
#[derive(Default)]
pub(crate) struct Requirements {
    has_thread: Mutex<bool>,
    /// The plugins that have said that they require an id.
    dependents: Mutex<HashMap<PluginId, Vec<u32>>>,
    /// The plugins that were loaded and have neither been created nor found to be held back.
    waiting: Mutex<HashMap<u32, Waiting>>,
    /// The plugins that were held back because they require themselves in the end: what ends that may be far away from them.
    in_circles: Mutex<BTreeSet<u32>>,
    /// Whether nobody starts plugins that wait any more. Changed under the lock of those.
    ended: AtomicBool,
}

/// A plugin that was loaded and waits for what it requires.
struct Waiting {
    /// Whoever wants to know how its create ended.
    waiter: Arc<Waiter>,
    /// Whether everything is loaded that is loaded together with it: until then nobody can say what will be missing.
    complete: bool,
}

/// Gets ready for a plugin that requires this, before anything is done with it.
///
/// # Errors
/// The thread that starts plugins which require others could not be started.
pub(crate) fn prepare(engine: &Arc<Shared>, requires: &[Requirement]) -> Result<(), Error> {
    if requires.is_empty() {
        return Ok(());
    }
    watch(engine)
}

/// Says what a plugin requires from now on, and whether that is another thing than before. Under the lock of its cell, and after
/// [`prepare`]. Whatever follows from it follows by itself.
pub(crate) fn change(
    engine: &Shared,
    cell: &Cell,
    guarded: &mut Guarded,
    requires: Vec<Requirement>,
) -> bool {
    if guarded.required().as_deref().unwrap_or_default() == requires {
        return false;
    }
    say(engine, cell, guarded, requires);
    engine.board.ledger.changes.tell(cell.index);
    true
}

fn say(engine: &Shared, cell: &Cell, guarded: &mut Guarded, requires: Vec<Requirement>) {
    let mut dependents = engine.requirements.dependents.lock();
    let before = guarded.requires.take();
    for required in before.iter().flat_map(|before| before.list.iter()) {
        if let Some(of_id) = dependents.get_mut(required.id()) {
            of_id.retain(|dependent| *dependent != cell.index);
            if of_id.is_empty() {
                dependents.remove(required.id());
            }
        }
    }
    if requires.is_empty() {
        return;
    }
    for required in &requires {
        let of_id = dependents.entry(required.id().clone()).or_default();
        if !of_id.contains(&cell.index) {
            of_id.push(cell.index);
        }
    }
    guarded.requires = Some(Box::new(Requires {
        list: requires.into(),
        unmet: None,
    }));
}

/// Starts the thread that starts plugins which require others, if it was not started.
fn watch(engine: &Arc<Shared>) -> Result<(), Error> {
    let mut has_thread = engine.requirements.has_thread.lock();
    if *has_thread {
        return Ok(());
    }
    let board = Arc::downgrade(&engine.board);
    let wake = move || {
        if let Some(board) = board.upgrade() {
            board.ledger.changes.ring();
        }
    };
    let entry = engine.supervisor.enter(NAME, IfTaken::Succeeds, wake)?;
    let starter = Starter {
        engine: Arc::clone(engine),
    };
    if let Err(error) = entry.spawn(NAME, move |context| starter.run(context)) {
        // What was to run there has ended with it. Nobody waits yet, and whoever comes next tries again.
        engine.requirements.ended.store(false, Ordering::SeqCst);
        return Err(error.into());
    }
    *has_thread = true;
    engine.board.ledger.changes.watch();
    Ok(())
}

/// Starts plugins that require others. Whatever way it ends, whoever waits is told.
struct Starter {
    engine: Arc<Shared>,
}

impl Starter {
    fn run(&self, context: &TaskContext) {
        let changes = &self.engine.board.ledger.changes;
        let idle = || {
            context.record_progress();
            context.beat()
        };
        while !context.is_cancelled() && changes.wait(idle) {
            context.round(|| {
                let mut judged = Judged {
                    changes,
                    plugins: changes.take(),
                };
                judge::judge(&self.engine, &judged.plugins);
                judged.plugins.clear();
            });
        }
    }
}

impl Drop for Starter {
    fn drop(&mut self) {
        let requirements = &self.engine.requirements;
        let mut waiting = requirements.waiting.lock();
        requirements.ended.store(true, Ordering::SeqCst);
        for (_, waiting) in waiting.drain() {
            waiting.waiter.tell(TaskEnd::Refused);
        }
    }
}

/// Plugins that are being judged, and have to be judged again if a panic comes up.
struct Judged<'a> {
    changes: &'a Changes,
    plugins: BTreeSet<u32>,
}

impl Drop for Judged<'_> {
    fn drop(&mut self) {
        if !self.plugins.is_empty() {
            self.changes.tell_all(self.plugins.iter().copied());
        }
    }
}

/// Has a plugin that was just loaded wait for what it requires. Returns what the end of its create can be waited for on. Under the lock
/// of its cell, so that a shutdown that comes later finds it waiting.
pub(crate) fn wait_for_required(engine: &Shared, cell: &Cell) -> Arc<Waiter> {
    let waiter = Arc::new(Waiter::default());
    let this = Waiting {
        waiter: Arc::clone(&waiter),
        complete: false,
    };
    let mut waiting = engine.requirements.waiting.lock();
    if engine.requirements.ended.load(Ordering::SeqCst) {
        waiter.tell(TaskEnd::Refused);
    } else if let Some(before) = waiting.insert(cell.index, this) {
        // An earlier load of it, which came to nothing.
        before.waiter.tell(TaskEnd::Refused);
    }
    waiter
}

/// Says that everything is loaded that is loaded together with these plugins.
pub(crate) fn complete(engine: &Shared, plugins: impl IntoIterator<Item = u32>) {
    let mut complete = Vec::new();
    let mut waiting = engine.requirements.waiting.lock();
    for plugin in plugins {
        if let Some(waiting) = waiting.get_mut(&plugin) {
            waiting.complete = true;
            complete.push(plugin);
        }
    }
    drop(waiting);
    if !complete.is_empty() {
        engine.board.ledger.changes.tell_all(complete);
    }
}

/// Whether what a plugin requires is there, asked by a person who wants it to start. If not, a plugin that does not run is held back from
/// now on, so that it starts by itself when that has changed; one that runs is left as it is.
///
/// # Errors
/// It is not there.
pub(crate) fn insist(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Result<(), Error> {
    let Some(list) = cell.lock().required() else {
        return Ok(());
    };
    let Some(unmet) = engine.board.first_unmet(&list) else {
        return Ok(());
    };
    let mut stuck = judge::Stuck::new(engine);
    let unmet = stuck.cycle_of(cell).unwrap_or(unmet);
    let mut guarded = cell.lock();
    let held_back = hold_back(engine, cell, &mut guarded, &unmet);
    drop(guarded);
    if let Some(applied) = held_back {
        applied.log();
    }
    Err(Error::Unmet {
        id: cell.id.clone(),
        unmet: Arc::new(unmet),
    })
}

/// Holds a plugin back. `None` if it is in no state for that any more.
fn hold_back(
    engine: &Shared,
    cell: &Cell,
    guarded: &mut Guarded,
    unmet: &Unmet,
) -> Option<Applied> {
    let now = engine.board.ledger.time.now();
    let event = Event::RequirementUnmet(Code::unmet_report("", unmet));
    let applied = cell.apply(&engine.board.ledger, guarded, now, event).ok()?;
    if let Some(requires) = &mut guarded.requires {
        requires.unmet = Some(Arc::new(unmet.clone()));
    }
    let mut in_circles = engine.requirements.in_circles.lock();
    match unmet {
        Unmet::Cycle { .. } => in_circles.insert(cell.index),
        _ => in_circles.remove(&cell.index),
    };
    drop(in_circles);
    Some(applied)
}

/// Ends the thread; whoever waits for a plugin that waits is told.
pub(crate) fn close(engine: &Shared) {
    engine.board.ledger.changes.close();
}

/// The plugins in the order in which they are stopped: each before all that it requires, and otherwise in the reverse of the order in
/// which they were last started.
pub(crate) fn stop_order(engine: &Shared) -> Vec<Arc<Cell>> {
    let mut cells: Vec<_> = engine.board.registry.all().map(Arc::clone).collect();
    cells.sort_by_cached_key(|cell| cell.lock().started);
    let mut places = vec![usize::MAX; cells.len()];
    for (place, cell) in cells.iter().enumerate() {
        if let Some(at) = places.get_mut(cell.index as usize) {
            *at = place;
        }
    }
    let requires: Vec<Vec<usize>> = cells
        .iter()
        .map(|cell| {
            let guarded = cell.lock();
            // What is gone keeps nobody waiting.
            let list = (guarded.machine.state() != PluginState::Unloaded)
                .then(|| guarded.required())
                .flatten();
            drop(guarded);
            let ids = list.iter().flat_map(|list| list.iter());
            let found = ids.filter_map(|one| engine.board.registry.find(one.id().as_str()));
            found
                .filter_map(|cell| places.get(cell.index as usize).copied())
                .collect()
        })
        .collect();
    let mut order = plugin_engine_core::required_first(&requires);
    order.reverse();
    #[cfg(feature = "simulation")]
    crate::simulation::tampered_stop_order(&mut order);
    order
        .into_iter()
        .map(|place| Arc::clone(&cells[place]))
        .collect()
}

/// Whether the engine has been told to stop.
fn is_stopping(engine: &Shared) -> bool {
    engine.board.stopping.load(Ordering::SeqCst)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn plugins_that_were_being_judged_when_a_panic_came_up_are_judged_again() {
        let changes = Changes::default();
        changes.tell_all([3, 5]);
        let panicked = std::panic::catch_unwind(std::panic::AssertUnwindSafe(|| {
            let _judged = Judged {
                changes: &changes,
                plugins: changes.take(),
            };
            std::panic::resume_unwind(Box::new(()));
        }));
        assert!(panicked.is_err());
        assert!(changes.wait(|| unreachable!("there is something to judge")));
        assert_eq!(changes.take(), [3, 5].into());
    }
}
