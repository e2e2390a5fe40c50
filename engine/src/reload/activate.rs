//! One plugin's reload, from a library that fits to the instance that has taken over, or to the reason why not.

use std::sync::Arc;

use plugin_engine_core::{Command, Event, PluginState};
use semver::Version;

use super::handover::{Hold, Saved, Stop, in_vain};
use super::next::{Before, Next, Trigger};
use super::refusal::refuse;
use super::replacement::{Failure, Replacement};
use super::steps::Steps;
use super::takeover::take_over;
use crate::cell::{Cell, RolledBack};
use crate::commands::{self, Admitted};
use crate::config::ReloadWay;
use crate::error::{Error, ReloadError};
use crate::executor::STUCK_MAX;
use crate::plugins::{self, LoadOutcome, Setup, quarantine};
use crate::requirements;
use crate::shared::Shared;
use crate::unmap;

/// How often a reload begins anew because the plugin was switched on or off meanwhile.
const ROUNDS_MAX: usize = 4;

/// Has another build, or other settings, take over in a plugin that is loaded. The caller holds the plugin's reload.
pub(super) fn activate(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    trigger: Trigger,
) -> Result<LoadOutcome, Error> {
    unmap::wants(engine, next.library, &cell.id, next.config.unmap().value);
    for _ in 0..ROUNDS_MAX {
        let Some(before) = Before::of(cell) else {
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        };
        if next.rollback.is_none() {
            let same_bytes = before.loaded.library.fingerprint == next.library.fingerprint;
            if same_bytes && next.config.has_the_settings_of(&before.config) {
                return adjust(engine, cell, next, &before);
            }
            if let Err(error) = check(engine, cell, next, &before, trigger) {
                return Err(refuse(engine, cell, error));
            }
            let requires = next.requires();
            let unmet = engine.board.first_unmet(&requires);
            match (before.state, unmet) {
                (PluginState::Disabled, _) | (_, None) => {}
                // Nothing of it runs that could go on: it is loaded anew, and says what is missing.
                (PluginState::Error, Some(_)) => return commands::load_anew(engine, cell),
                (_, Some(unmet)) => {
                    let error = ReloadError::Unmet(Arc::new(unmet));
                    return Err(refuse(engine, cell, error));
                }
            }
        }
        match round(engine, cell, next, &before) {
            Ok(generation) => return finish(engine, cell, next, &before, generation),
            Err(Stop::Again) => {}
            Err(Stop::Failed(Failure::ShutDown)) => return Err(Error::ShutDown),
            Err(Stop::Failed(Failure::Reload(error))) => return Err(refuse(engine, cell, error)),
            Err(Stop::Recorded(error)) => return Err(error),
        }
    }
    Err(refuse(engine, cell, ReloadError::Overtaken))
}

/// Whether the file may take over at all.
fn check(
    engine: &Shared,
    cell: &Cell,
    next: &Next<'_>,
    before: &Before,
    trigger: Trigger,
) -> Result<(), ReloadError> {
    let path = || next.candidate.path.clone();
    let (active, found) = (&before.loaded.library.manifest, &next.library.manifest);
    if !next.config.allow_downgrade().value && is_lower(&found.version, &active.version) {
        return Err(ReloadError::Downgrade {
            path: path(),
            active: active.version.as_str().into(),
            found: found.version.as_str().into(),
        });
    }
    let is_that = |rolled_back: &RolledBack| {
        rolled_back.bytes == next.library.fingerprint
            && next.config.has_the_settings_of(&rolled_back.config)
    };
    if trigger == Trigger::Changed && before.rolled_back.as_deref().is_some_and(is_that) {
        return Err(ReloadError::RolledBackBefore { path: path() });
    }
    if let Some(error) = quarantine::of(engine, &cell.id, next.config, next.library, &path()) {
        return Err(error.into());
    }
    match engine.executor.asides.stuck_of(&cell.id) {
        count if count >= STUCK_MAX => Err(ReloadError::TooManyStuck { count }),
        _ => Ok(()),
    }
}

/// Versions that are none cannot be compared, so neither is lower.
fn is_lower(found: &str, active: &str) -> bool {
    match (Version::parse(found), Version::parse(active)) {
        (Ok(found), Ok(active)) => found < active,
        _ => false,
    }
}

/// The bytes and the settings are those of before; the times may be others, and whether it is switched on.
fn adjust(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
) -> Result<LoadOutcome, Error> {
    let (schedule, limits) = plugins::times(engine, cell, next.config, next.library);
    let mut changed = before.config.limits() != next.config.limits()
        || before.config.required().value != next.config.required().value;
    requirements::prepare(engine, &next.requires())?;
    {
        let _turn = cell.take_turn();
        let Admitted::Now(mut guarded) = commands::admit(engine, cell, Command::Reload)? else {
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        };
        if !before.holds(&guarded) {
            drop(guarded);
            return Err(refuse(engine, cell, ReloadError::Overtaken));
        }
        let machine = &guarded.machine;
        let mut same = schedule.clone();
        let policy = next.config.health().policy(&cell.id);
        let others = !same.go_on_from(machine.schedule())
            || limits.update != machine.limits().update
            || policy != *machine.health_policy();
        guarded.source = Some(next.source());
        changed |= requirements::change(engine, cell, &mut guarded, next.requires());
        let now = engine.board.ledger.time.now();
        let ledger = &engine.board.ledger;
        // What a refused configuration had left to say is over.
        let _ = cell.apply(ledger, &mut guarded, now, Event::ConfigurationHolds);
        if others {
            guarded.machine.set_health_policy(policy);
            let event = Event::Reconfigured { schedule, limits };
            let applied = cell.apply(&engine.board.ledger, &mut guarded, now, event);
            let loaded = guarded.loaded.clone();
            cell.set_loaded(&mut guarded, loaded);
            drop(guarded);
            if let Ok(applied) = applied {
                applied.log();
                changed = true;
            }
        }
    }
    match switch(engine, cell, next, before)? {
        Switched::No => {}
        Switched::Yes => changed = true,
        Switched::InVain(outcome) => return Ok(outcome),
    }
    let id = cell.id.clone();
    Ok(if changed {
        let file = next.candidate.path.clone();
        LoadOutcome::Reconfigured { id, file }
    } else {
        let state = cell.snapshot(&engine.board.ledger.time).state;
        LoadOutcome::AlreadyLoaded { id, state }
    })
}

/// What became of switching a plugin as its configuration says now.
enum Switched {
    No,
    Yes,
    /// The configuration holds; the plugin has failed, or waits for another one.
    InVain(LoadOutcome),
}

/// Switches the plugin on or off if its configuration says so now and said otherwise before. What a person has switched stays so.
fn switch(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
) -> Result<Switched, Error> {
    let id = cell.id.as_str();
    let was_and_is = (before.config.enabled().value, next.config.enabled().value);
    let switched = match was_and_is {
        (true, false) => commands::disable(engine, id),
        (false, true) => commands::enable(engine, id),
        _ => return Ok(Switched::No),
    };
    let file = next.candidate.path.clone();
    match switched {
        Ok(()) => Ok(Switched::Yes),
        Err(Error::Unmet { id, unmet }) => {
            Ok(Switched::InVain(LoadOutcome::Unmet { id, file, unmet }))
        }
        Err(Error::Fault { id, fault }) => {
            Ok(Switched::InVain(LoadOutcome::Failed { id, file, fault }))
        }
        Err(error) => Err(error),
    }
}

/// Tries a replacement once, and has it take over. Returns the new generation.
fn round(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
) -> Result<u32, Stop> {
    let mut steps = Steps::begin();
    // There only if the engine can still start threads, which all that follows needs, too.
    if let Err(Error::Thread { source, .. }) = requirements::prepare(engine, &next.requires()) {
        return Err(ReloadError::Thread(source).into());
    }
    let setup = Setup::new(engine, cell, next.candidate, next.config, next.library);
    let mut replacement = Replacement::new(engine, cell, setup);
    if before.state == PluginState::Disabled {
        let hold = Hold::take(engine, cell);
        return take_over(
            hold,
            next,
            before,
            replacement,
            Saved::default(),
            &mut steps,
        );
    }
    let stops_first = next.config.reload().value == ReloadWay::StopFirst;
    let hands_over = next.rollback.is_none()
        && next.library.state.is_some()
        && before.loaded.library.state.is_some();
    let mut hold = None;
    let mut saved = Saved::default();
    if !stops_first && let Err(failure) = replacement.create() {
        replacement.give_up();
        return Err(failure.into());
    }
    steps.end("create");
    if hands_over || stops_first {
        let held = Hold::take(engine, cell);
        steps.end("wait");
        if let Err(stop) = saved.fill(&held, before, hands_over, stops_first) {
            return Err(in_vain(held, before, &saved, replacement, stop));
        }
        hold = Some(held);
        steps.end("state");
    }
    if let Some(rollback) = &next.rollback {
        saved.state.clone_from(&rollback.state);
    }
    if let Err(failure) = attempt(next, &mut replacement, stops_first, &saved, &mut steps) {
        let Some(hold) = hold else {
            replacement.give_up();
            return Err(failure.into());
        };
        return Err(in_vain(hold, before, &saved, replacement, failure.into()));
    }
    let hold = hold.unwrap_or_else(|| Hold::take(engine, cell));
    steps.end("wait");
    take_over(hold, next, before, replacement, saved, &mut steps)
}

/// The calls that a replacement has to complete before it takes over.
fn attempt(
    next: &Next<'_>,
    replacement: &mut Replacement<'_>,
    create: bool,
    saved: &Saved,
    steps: &mut Steps,
) -> Result<(), Failure> {
    if create {
        replacement.create()?;
        steps.end("create");
    }
    if let Some(state) = &saved.state {
        replacement.restore(Arc::clone(state))?;
        steps.end("state");
    }
    // What is rolled back to has worked before, and shall not fail for a reason of the moment.
    if next.config.trial_update().value && next.rollback.is_none() {
        replacement.trial()?;
        steps.end("trial");
    }
    Ok(())
}

fn finish(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    next: &Next<'_>,
    before: &Before,
    generation: u32,
) -> Result<LoadOutcome, Error> {
    engine.refused.forget(&next.candidate.path);
    // It has taken over, whatever comes of switching it.
    if next.rollback.is_none()
        && let Switched::InVain(outcome) = switch(engine, cell, next, before)?
    {
        return Ok(outcome);
    }
    Ok(LoadOutcome::Reloaded {
        id: cell.id.clone(),
        file: next.candidate.path.clone(),
        from: before.loaded.library.manifest.version.clone(),
        version: next.library.manifest.version.clone(),
        generation,
    })
}
