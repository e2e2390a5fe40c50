//! From a mapped library to a plugin whose instance is created.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::{
    Cause, CreateReason, Event, Fault, FaultKind, FaultReport, Machine, Moment, PluginId,
    PluginState, RejectReason, Schedule,
};

use super::outcome::LoadOutcome;
use super::quarantine;
use super::refusal::show_refusal;
use super::setup::{Setup, limits};
use crate::cell::{Applied, Cell, Guarded, Source};
use crate::config::{ConfigError, PluginConfig, keys};
use crate::discover::{self, Candidate};
use crate::error::{Error, LoadError};
use crate::executor::{TaskCall, TaskEnd, Verdict, Waiter};
use crate::library::LoadedLibrary;
use crate::registry::PLUGINS_MAX;
use crate::requirements;
use crate::shared::{Shared, remember_start};
use crate::transition_log::log;
use crate::unmap;

/// A plugin whose create is under way.
pub(super) struct Starting {
    pub(super) cell: Arc<Cell>,
    pub(super) file: PathBuf,
    pub(super) version: String,
    pub(super) waiter: Arc<Waiter>,
}

pub(super) enum Begun {
    Starting(Starting),
    Ended(LoadOutcome),
    /// Another file was faster since this one was found to have the id.
    Taken(LoadError),
    /// It has crashed the engine as often as it may, and shows that.
    Quarantined(LoadError),
}

/// Makes a mapped library this plugin's, and begins to create the instance.
///
/// # Errors
/// The engine was shut down, or a thread that it needs could not be started.
pub(super) fn begin(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    candidate: &Arc<Candidate>,
    config: &PluginConfig,
    library: &Arc<LoadedLibrary>,
) -> Result<Begun, Error> {
    let manifest = &library.manifest;
    if let Some(error) = quarantine::of(engine, &cell.id, config, library, &candidate.path) {
        show_refusal(engine, cell, candidate, config.clone(), &error);
        return Ok(Begun::Quarantined(error));
    }
    unmap::wants(engine, library, &cell.id, config.unmap().value);
    let Setup {
        schedule,
        limits,
        loaded,
    } = Setup::new(engine, cell, candidate, config, library);

    let requires = config.all_required(manifest);
    let waits = !requires.is_empty();
    requirements::prepare(engine, &requires)?;

    let mut guarded = cell.lock();
    if guarded.machine.state() == PluginState::Unloaded
        && !engine.executor.is_called_by_this_thread(cell.index)
    {
        // What a policy has unloaded may be being destroyed, and beside that nothing could be created.
        guarded = cell.wait_settled(&engine.board.ledger, guarded);
    }
    // Looked at inside the lock: a shutdown that comes later finds the plugin and unloads it.
    if engine.board.stopping.load(Ordering::SeqCst) {
        return Err(Error::ShutDown);
    }
    let now = engine.board.ledger.time.now();
    // The file was refused before, and is good now.
    let forgotten = forget_refusal(engine, cell, &mut guarded, now);
    let mapped = guarded.machine.configure(schedule, limits).and_then(|()| {
        let policy = config.health().policy(&cell.id);
        guarded.machine.set_health_policy(policy);
        cell.apply(&engine.board.ledger, &mut guarded, now, Event::Mapped)
    });
    let state = guarded.machine.state();
    let mapped = match mapped {
        Ok(mapped) => mapped,
        Err(_) => {
            let id = cell.id.clone();
            let source = guarded.source.as_ref();
            let holder = source.map(|source| source.candidate.path.clone());
            drop(guarded);
            let path = candidate.path.clone();
            return Ok(match holder.filter(|holder| *holder != path) {
                Some(holder) => Begun::Taken(LoadError::Duplicate { path, id, holder }),
                None => Begun::Ended(LoadOutcome::AlreadyLoaded { id, state }),
            });
        }
    };
    cell.name_generation(&mut guarded, Arc::clone(&library.version));
    requirements::change(engine, cell, &mut guarded, requires);
    guarded.source = Some(Source {
        candidate: Arc::clone(candidate),
        config: config.clone(),
    });
    cell.set_loaded(&mut guarded, Some(loaded));
    // What was wrong with the settings of an earlier load says nothing of these.
    guarded.misconfigured = None;
    let mut entries = vec![
        forgotten.and_then(|applied| applied.notable),
        mapped.notable,
    ];
    remember_start(engine, &mut guarded);
    guarded.unloaded_by_hand = None;
    let off = guarded.off_by_hand || !config.enabled().value;
    #[cfg(feature = "simulation")]
    let off = {
        use crate::simulation::{Question, tampered_answer};
        tampered_answer(Question::IsOff, off)
    };
    if off {
        let applied = cell.apply(&engine.board.ledger, &mut guarded, now, Event::SwitchedOff);
        entries.push(applied.ok().and_then(|applied| applied.notable));
    }
    let waiter = (waits && !off).then(|| requirements::wait_for_required(engine, cell));
    drop(guarded);
    for entry in entries.into_iter().flatten() {
        log(&entry);
    }
    if off {
        return Ok(Begun::Ended(LoadOutcome::Disabled {
            id: cell.id.clone(),
            file: candidate.path.clone(),
        }));
    }
    let waiter = waiter.unwrap_or_else(|| {
        let call = TaskCall::Create(CreateReason::Load);
        engine.executor.submit_task(cell, call)
    });
    Ok(Begun::Starting(Starting {
        cell: Arc::clone(cell),
        file: candidate.path.clone(),
        version: manifest.version.clone(),
        waiter,
    }))
}

pub(super) fn await_start(starting: Starting, began: Instant, budget: Duration) -> LoadOutcome {
    let Starting {
        cell,
        file,
        version,
        waiter,
    } = starting;
    let end = match began.checked_add(budget) {
        Some(until) => waiter.wait_until(until),
        None => Some(waiter.wait()),
    };
    let id = cell.id.clone();
    match end {
        None => LoadOutcome::Deferred {
            id,
            file,
            waited: budget,
        },
        Some(TaskEnd::Ended(Verdict::Completed, _)) => LoadOutcome::Enabled { id, version, file },
        Some(TaskEnd::NotMade(RejectReason::Unmet)) => held_back(&cell, version, file),
        Some(_) => match misconfiguration_of(&cell) {
            Some(error) => LoadOutcome::Misconfigured { file, error },
            None => LoadOutcome::Failed {
                fault: fault_of(&cell),
                id,
                file,
            },
        },
    }
}

/// What has become of a plugin that waited for what it requires, and was not created for that load.
fn held_back(cell: &Cell, version: String, file: PathBuf) -> LoadOutcome {
    let id = cell.id.clone();
    let guarded = cell.lock();
    let state = guarded.machine.state();
    let unmet = guarded
        .requires
        .as_ref()
        .and_then(|requires| requires.unmet.clone());
    drop(guarded);
    match (state, unmet) {
        // What it requires has come since.
        (PluginState::Enabled | PluginState::Running, _) => {
            LoadOutcome::Enabled { id, version, file }
        }
        (PluginState::Disabled, _) => LoadOutcome::Disabled { id, file },
        (_, Some(unmet)) => LoadOutcome::Unmet { id, file, unmet },
        (_, None) => LoadOutcome::Failed {
            fault: fault_of(cell),
            id,
            file,
        },
    }
}

/// What is wrong with the settings, if that is the error that stands.
fn misconfiguration_of(cell: &Cell) -> Option<Arc<ConfigError>> {
    let guarded = cell.lock();
    let error = guarded.machine.error()?;
    guarded
        .misconfigured
        .clone()
        .filter(|_| error.kind == FaultKind::Config)
}

/// The error that stands, for an outcome that says that there is one.
pub(crate) fn fault_of(cell: &Cell) -> Arc<Fault> {
    let guarded = cell.lock();
    guarded.machine.error().cloned().unwrap_or_else(|| {
        // A command that came in between has cleared it; what is left to say is that.
        let report = FaultReport::new(
            FaultKind::Refused,
            format!("{}: {}", Cause::CallRefused, RejectReason::NoInstance),
        );
        Arc::new(Fault::new(&report, guarded.machine.since(), None, true, 1))
    })
}

/// Takes a plugin whose file was refused back to where a load begins.
pub(super) fn forget_refusal(
    engine: &Shared,
    cell: &Cell,
    guarded: &mut Guarded,
    now: Moment,
) -> Option<Applied> {
    let refused = guarded.machine.state() == PluginState::Error && guarded.loaded.is_none();
    refused
        .then(|| {
            cell.apply(&engine.board.ledger, guarded, now, Event::Unloaded)
                .ok()
        })
        .flatten()
}

/// What a file that claims an id is.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(super) enum Claim {
    /// Good, and found in the plugin directory.
    Found,
    /// Good, and named by somebody.
    Named,
    Refused,
}

/// The cell of an id. `None` if there is room for no more.
pub(super) fn cell_named<'a>(engine: &'a Shared, id: &PluginId) -> Option<&'a Arc<Cell>> {
    let make = |index| {
        let schedule = Schedule::new(keys::INTERVAL, Duration::ZERO);
        let limits = limits(engine, keys::TIMEOUT);
        let cell = Cell::new(index, id.clone(), Machine::new(schedule, limits));
        #[cfg(feature = "history-sqlite")]
        if let Some(durable) = &engine.durable {
            durable.adopt(&cell);
        }
        cell
    };
    engine.board.registry.find_or_insert(id, make)
}

/// The cell of an id, unless another file has it. A good file takes the id from one that was refused: a bad file keeps no good one
/// from starting. One that somebody unloaded, or a policy, keeps the id for as long as it is there, or until somebody names another one.
pub(super) fn cell_of(
    engine: &Arc<Shared>,
    id: &PluginId,
    path: &Path,
    claim: Claim,
) -> Result<Arc<Cell>, LoadError> {
    let cell = cell_named(engine, id).ok_or_else(|| LoadError::TooManyPlugins {
        path: path.to_owned(),
        limit: PLUGINS_MAX,
    })?;
    let guarded = cell.lock();
    let state = guarded.machine.state();
    let was_refused = state == PluginState::Error && guarded.loaded.is_none();
    let by_hand = guarded.unloaded_by_hand.is_some();
    let source = guarded.source.as_ref();
    let holder = source.map(|source| source.candidate.path.clone());
    drop(guarded);
    let Some(holder) = holder.filter(|holder| holder != path) else {
        return Ok(Arc::clone(cell));
    };
    let is_free = match (state, claim) {
        (PluginState::Unloaded, Claim::Named) => true,
        // Of a file that was gone and is there again, nothing is loaded that could keep the id.
        (PluginState::Unloaded, _) => !by_hand || !discover::is_there(&holder),
        (_, Claim::Refused) => false,
        _ => was_refused,
    };
    if !is_free {
        return Err(LoadError::Duplicate {
            path: path.to_owned(),
            id: id.clone(),
            holder,
        });
    }
    if was_refused {
        engine.refused.take_id(id);
    }
    Ok(Arc::clone(cell))
}
