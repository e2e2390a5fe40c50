//! Reloads: what is in a file now takes over from what is active, if it is good; if not, what is active goes on.
//!
//! `activate` has the order of things for one plugin, `replacement` the calls of what is being tried, `probation` what comes after. Nothing
//! of a plugin runs here: calls are made by the executor, on workers or on threads of their own.

mod activate;
mod handover;
mod next;
mod probation;
mod refusal;
mod replacement;
mod steps;
mod takeover;

use std::path::Path;
use std::sync::Arc;

use plugin_engine_core::{Event, PluginId};

use crate::cell::{Cell, Source};
use crate::commands;
use crate::config::PluginConfig;
use crate::discover::Candidate;
use crate::error::{Error, LoadError, ReloadError};
use crate::library::LoadedLibrary;
use crate::loader::Refusal;
use crate::plugins::{self, LoadOutcome};
use crate::shared::Shared;
pub(crate) use next::Trigger;

use activate::activate;
use next::Next;
use refusal::refuse;

/// Reloads one plugin from where it came, as the configurations say now.
pub(crate) fn reload(engine: &Arc<Shared>, id: &str) -> Result<LoadOutcome, Error> {
    plugins::check_running(engine)?;
    let cell = commands::find(engine, id)?;
    commands::check_may_reload(engine, cell)?;
    let _reload = cell.take_reload();
    let guarded = cell.lock();
    let source = guarded.source.clone();
    let is_loaded = guarded.loaded.is_some();
    drop(guarded);
    let Some(Source { candidate, config }) = source.filter(|_| is_loaded) else {
        return commands::load_anew(engine, cell);
    };
    let planned = match plugins::plan_one(engine, &candidate) {
        Ok(planned) => planned,
        Err(error) => return Err(refuse(engine, cell, ReloadError::Config(Arc::new(error)))),
    };
    let rules = plugins::rules(engine, planned.engine_config(), &candidate.root);
    let library = match plugins::map(engine, &planned, &rules) {
        Ok(library) => library,
        Err(Refusal { error, .. }) => {
            return Err(refuse(engine, cell, ReloadError::Load(error.into())));
        }
    };
    match plugins::config_now(&planned, &library, &cell.id, &config) {
        Some(config) => take(engine, cell, &candidate, &config, &library, Trigger::Asked),
        None => Err(refuse(
            engine,
            cell,
            another(&candidate, &library, &cell.id).into(),
        )),
    }
}

fn another(candidate: &Candidate, library: &LoadedLibrary, expected: &PluginId) -> LoadError {
    LoadError::AnotherPlugin {
        path: candidate.path.clone(),
        found: library.manifest.id.clone(),
        expected: expected.clone(),
    }
}

fn take(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    candidate: &Arc<Candidate>,
    config: &PluginConfig,
    library: &Arc<LoadedLibrary>,
    trigger: Trigger,
) -> Result<LoadOutcome, Error> {
    let next = Next {
        candidate,
        config,
        library,
        rollback: None,
    };
    let outcome = activate(engine, cell, &next, trigger);
    // It may have taken over whatever came of switching it.
    if cell.lock().probation.is_some() {
        probation::watch(engine, cell);
    }
    outcome
}

/// Brings the plugins of one file in line with the file and the configurations as they are now: those that are loaded are reloaded where
/// anything has changed, those that are not are loaded, and those that no configuration makes any more are unloaded.
pub(crate) fn reload_file(
    engine: &Arc<Shared>,
    path: &Path,
    trigger: Trigger,
) -> Result<Vec<LoadOutcome>, Error> {
    plugins::check_running(engine)?;
    let candidate = Candidate::of_path_beside(path, engine.options.plugin_dir.as_deref());
    let candidate = Arc::new(candidate);
    let path = &candidate.path;
    let active = active_of(engine, path);
    if active.is_empty() {
        return plugins::load_candidate(engine, &candidate);
    }
    // Before any turn is taken: it would wait for the call that it comes from.
    for cell in &active {
        if let Err(error) = commands::check_may_reload(engine, cell) {
            return Ok(vec![refused(cell, path, error)]);
        }
    }
    let refuse_all = |error: &dyn Fn() -> ReloadError| {
        let refused = active.iter().map(|cell| {
            let _reload = cell.take_reload();
            refused(cell, path, refuse(engine, cell, error()))
        });
        Ok(refused.collect())
    };
    let planned = match plugins::plan_one(engine, &candidate) {
        Ok(planned) => planned,
        Err(error) => {
            let error = Arc::new(error);
            return refuse_all(&|| ReloadError::Config(Arc::clone(&error)));
        }
    };
    let rules = plugins::rules(engine, planned.engine_config(), &candidate.root);
    let library = match plugins::map(engine, &planned, &rules) {
        Ok(library) => library,
        Err(Refusal { error, .. }) => {
            let error = Arc::new(*error);
            return refuse_all(&|| ReloadError::Load(Arc::clone(&error)));
        }
    };
    engine.refused.forget(path);
    let mut outcomes = Vec::new();
    let mut planned_plugins = planned.plugins(&library.manifest.id, &mut outcomes);
    for cell in &active {
        let _reload = cell.take_reload();
        let at = planned_plugins.iter().position(|(id, _)| *id == cell.id);
        let Some(at) = at else {
            outcomes.push(leave(engine, cell, &candidate, &library));
            continue;
        };
        let (_, config) = planned_plugins.swap_remove(at);
        let taken = take(engine, cell, &candidate, &config, &library, trigger);
        match taken {
            Ok(outcome) => outcomes.push(outcome),
            Err(Error::ShutDown) => return Err(Error::ShutDown),
            Err(error) => outcomes.push(refused(cell, path, error)),
        }
    }
    // An id of the file's own that it did not have before: whoever it was is refused above, and this one is not loaded beside it.
    let is_another = active.iter().any(|cell| has_its_own_id(cell))
        && active.iter().all(|cell| cell.id != library.manifest.id);
    planned_plugins.retain(|(id, _)| !(is_another && *id == library.manifest.id));
    plugins::start_more(engine, &candidate, &library, planned_plugins, &mut outcomes)?;
    Ok(outcomes)
}

fn refused(cell: &Cell, path: &Path, error: Error) -> LoadOutcome {
    LoadOutcome::ReloadRefused {
        id: cell.id.clone(),
        file: path.to_owned(),
        error: Arc::new(error),
    }
}

/// The plugins that are loaded from a file.
fn active_of(engine: &Shared, path: &Path) -> Vec<Arc<Cell>> {
    let cells = engine.board.registry.all();
    let of_file = cells.filter(|cell| {
        let guarded = cell.lock();
        let source = guarded.source.as_ref();
        guarded.loaded.is_some() && source.is_some_and(|source| source.candidate.path == path)
    });
    of_file.map(Arc::clone).collect()
}

/// Whether no configuration gives the plugin its id.
fn has_its_own_id(cell: &Cell) -> bool {
    let guarded = cell.lock();
    let source = guarded.source.as_ref();
    source.is_some_and(|source| source.config.said_id().is_none())
}

/// Unloads a plugin that no configuration makes of its file any more. If it is the file that has become another plugin, that may be a
/// mistake, and what is active goes on.
fn leave(
    engine: &Arc<Shared>,
    cell: &Arc<Cell>,
    candidate: &Arc<Candidate>,
    library: &LoadedLibrary,
) -> LoadOutcome {
    let file = &candidate.path;
    if has_its_own_id(cell) && library.manifest.id != cell.id {
        let error = another(candidate, library, &cell.id);
        return refused(cell, file, refuse(engine, cell, error.into()));
    }
    match commands::unload_by(engine, cell.id.as_str(), Event::Unloaded) {
        Ok(()) => LoadOutcome::Unloaded {
            id: cell.id.clone(),
            file: file.clone(),
        },
        Err(error) => refused(cell, file, error),
    }
}
