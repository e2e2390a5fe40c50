//! The moment in which a replacement takes over, and the end of what was active before.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{Event, Moment, PluginState, Takeover};

use super::handover::{Hold, Saved, Stop, in_vain};
use super::next::{Before, Next};
use super::replacement::{Failure, Replacement, destroy};
use super::steps::Steps;
use crate::cell::{Cell, Guarded, Probation};
use crate::error::ReloadError;
use crate::instance::{Instance, SavedState};
use crate::plugins;
use crate::requirements;
use crate::shared::Shared;

/// Switches to the replacement, between two calls or beside one that is stuck, and gives back what was active before.
pub(super) fn take_over(
    hold: Hold<'_>,
    next: &Next<'_>,
    before: &Before,
    mut replacement: Replacement<'_>,
    saved: Saved,
    steps: &mut Steps,
) -> Result<u32, Stop> {
    let (engine, cell) = (hold.engine, hold.cell);
    let ledger = &engine.board.ledger;
    let mut guarded = cell.lock();
    // Looked at inside the lock: a shutdown that comes later finds the new instance and destroys it.
    let stop = if engine.board.stopping.load(Ordering::SeqCst) {
        Some(Stop::Failed(Failure::ShutDown))
    } else if !before.holds(&guarded) {
        Some(ReloadError::Overtaken.into())
    } else {
        let off = guarded.machine.state() == PluginState::Disabled;
        (off == replacement.instance.is_some()).then_some(Stop::Again)
    };
    if let Some(stop) = stop {
        drop(guarded);
        return Err(in_vain(hold, before, &saved, replacement, stop));
    }
    let was = guarded.machine.state();
    let took_over = Event::Reloaded(Box::new(Takeover {
        schedule: replacement.setup.schedule.clone(),
        limits: replacement.setup.limits,
        rolls_back: next.rollback.is_some(),
        note: next
            .rollback
            .as_ref()
            .map(|rollback| rollback.why.clone())
            .or_else(|| saved.lost.clone()),
    }));
    let mut applied = match cell.apply(ledger, &mut guarded, ledger.time.now(), took_over) {
        Ok(applied) => applied,
        Err(reason) => {
            drop(guarded);
            let stop = ReloadError::NotNow(reason).into();
            return Err(in_vain(hold, before, &saved, replacement, stop));
        }
    };
    // What is known of the health begins anew with this generation, so no cool-down of the one before is in the way.
    let policy = next.config.health().policy(&cell.id);
    guarded.machine.set_health_policy(policy);
    let version = &next.library.version;
    cell.name_generation(&mut guarded, Arc::clone(version));
    let probation = probation(next, before, &guarded, ledger.time.now(), saved.state);
    requirements::change(engine, cell, &mut guarded, next.requires());
    let source = guarded.source.replace(next.source());
    guarded.probation = probation.map(|begun| Box::new(Probation { source, ..begun }));
    if guarded.probation.is_some() {
        guarded.machine.begin_probation();
    }
    let rolled_back = next.rollback.as_ref();
    guarded.rolled_back = rolled_back.map(|rollback| Box::new(rollback.from.clone()));
    guarded.misconfigured = None;
    let old = std::mem::replace(&mut guarded.instance, replacement.instance.take());
    // What a stuck call of the instance before says from now on is not heard.
    before.loaded.host.stop_listening_at_all();
    replacement.setup.loaded.host.take_over();
    cell.set_loaded(&mut guarded, Some(replacement.setup.loaded));
    if was == PluginState::Error {
        plugins::remember_start(engine, &mut guarded);
    }
    let generation = guarded.machine.generation();
    drop(guarded);
    steps.end("switch");
    drop(hold);
    if let Some(transition) = &mut applied.notable {
        transition.version = Some(Arc::clone(version));
    }
    applied.log();
    if let Some(old) = old {
        retire(engine, cell, *old);
        steps.end("destroy");
    }
    steps.log(&cell.id);
    Ok(generation)
}

/// Destroys the instance that another one has taken over from.
fn retire(engine: &Arc<Shared>, cell: &Arc<Cell>, old: Instance) {
    if let Err(report) = destroy(engine, cell, old) {
        cell.record(&engine.board.ledger, Event::ReplacedNotDestroyed(report));
    }
}

/// What is kept of the generation before, if the configuration wants that.
fn probation(
    next: &Next<'_>,
    before: &Before,
    guarded: &Guarded,
    now: Moment,
    state: Option<Arc<SavedState>>,
) -> Option<Probation> {
    let window = next.config.probation().value;
    let wanted = next.rollback.is_none() && !window.is_zero();
    // What was not good itself is nothing to go back to.
    let worth_it = before.state == PluginState::Enabled || before.state == PluginState::Running;
    (wanted && worth_it).then(|| Probation {
        until: now.saturating_add(window),
        generation: guarded.machine.generation(),
        panics: guarded.machine.counts().panics,
        previous: before.loaded.clone(),
        source: None,
        state,
    })
}
