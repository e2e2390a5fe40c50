//! From files to plugins: what a load of the directory does, file by file.

mod outcome;
pub(crate) mod plan;
mod refusal;
mod start;

use std::collections::HashSet;
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use plugin_engine_core::{Event, FaultReport, PluginState};

use crate::cell::{Cell, Source};
use crate::config::{self, ConfigError, EngineConfig};
use crate::discover::{self, Candidate};
use crate::error::Error;
use crate::loader::{self, Refusal};
use crate::shared::Shared;
use crate::verify::Rules;

pub use outcome::LoadOutcome;
pub(crate) use start::{fault_of, remember_start};

use plan::{Planned, name_unknown_ids, plan, plan_file};
use refusal::{refuse, refuse_file, report};
use start::{Begun, Claim, Starting, await_start, begin, cell_of};

/// Loads everything in the plugin directory that is not loaded yet, and tells each outcome as soon as it is known: nobody should have
/// to wait for a slow plugin to learn why another one was refused.
pub(crate) fn load_all(
    engine: &Arc<Shared>,
    mut told: impl FnMut(LoadOutcome),
) -> Result<(), Error> {
    check_running(engine)?;
    let Some(dir) = engine.options.plugin_dir.clone() else {
        return Ok(());
    };
    let candidates = discover::discover(&dir)?;
    let engine_config = read_engine_config(engine)?;
    let began = Instant::now();
    let mut outcomes = Vec::new();
    let mut starting = Vec::new();
    let there: HashSet<_> = candidates.iter().map(|one| one.path.clone()).collect();
    engine.refused.keep_only(&dir, |path| there.contains(path));
    let rules = rules(engine, &dir);
    for planned in plan(&dir, candidates, &engine_config, &mut outcomes) {
        load_file_of_plan(engine, &planned, &rules, &mut outcomes, &mut starting);
        outcomes.drain(..).for_each(&mut told);
    }
    if let Some(path) = &engine.options.config_file {
        let cells = engine.board.registry.all();
        let known: Vec<_> = cells.map(|cell| cell.id.clone()).collect();
        name_unknown_ids(path, &engine_config, &known, &mut outcomes);
    }
    outcomes.into_iter().for_each(&mut told);
    let budget = engine.options.startup_budget;
    for starting in starting {
        told(await_start(starting, began, budget));
    }
    Ok(())
}

/// Reads the engine's file as it is now.
fn read_engine_config(engine: &Shared) -> Result<Arc<EngineConfig>, ConfigError> {
    let config = match &engine.options.config_file {
        Some(path) => config::read_engine(path)?,
        None => EngineConfig::default(),
    };
    if engine.options.verify_policy.is_none() {
        *engine.verify_policy.write() = Arc::clone(&config.verify);
    }
    Ok(Arc::new(config))
}

/// Loads one file, as the configuration beside it and the engine's file say.
pub(crate) fn load_path(engine: &Arc<Shared>, path: &Path) -> Result<Vec<LoadOutcome>, Error> {
    check_running(engine)?;
    let candidate = Candidate::of_path(path);
    let planned = plan_one(engine, &candidate)?;
    let (mut outcomes, mut starting) = (Vec::new(), Vec::new());
    let rules = rules(engine, &planned.candidate.root);
    load_file_of_plan(engine, &planned, &rules, &mut outcomes, &mut starting);
    let began = Instant::now();
    for starting in starting {
        outcomes.push(await_start(starting, began, Duration::MAX));
    }
    Ok(outcomes)
}

/// What the configurations say now of the plugins of one file.
fn plan_one(engine: &Shared, candidate: &Candidate) -> Result<Planned, ConfigError> {
    let engine_config = read_engine_config(engine)?;
    let dir = engine.options.plugin_dir.as_deref();
    let dir = dir.unwrap_or(Path::new(""));
    let entries: Vec<_> = engine_config
        .plugins
        .iter()
        .filter(|entry| {
            let file = entry.file.as_ref();
            file.is_some_and(|file| dir.join(&file.value) == candidate.path)
        })
        .collect();
    plan_file(candidate, &entries, &engine_config)
}

/// Loads a plugin that was unloaded, from where it came, as the configurations say now.
pub(crate) fn load_again(engine: &Arc<Shared>, cell: &Arc<Cell>) -> Result<LoadOutcome, Error> {
    check_running(engine)?;
    let source = cell.lock().source.clone();
    let Some(Source { candidate, config }) = source else {
        return Err(Error::UnknownPlugin {
            id: cell.id.to_string(),
            known: String::new(),
        });
    };
    let planned = match plan_one(engine, &candidate) {
        Ok(planned) => planned,
        Err(error) => {
            record_failure(engine, cell, error.report());
            return Err(error.into());
        }
    };
    let rules = rules(engine, &candidate.root);
    let library = match loader::load(&engine.loader, &candidate, &rules) {
        Ok(library) => {
            engine.refused.forget(&candidate.path);
            library
        }
        Err(Refusal { error, .. }) => {
            record_failure(engine, cell, report(&error));
            return Err(Error::Load(*error));
        }
    };
    // An id that no configuration gives any more keeps what was said of it when one did.
    let config = planned
        .plugins(&library.manifest.id, &mut Vec::new())
        .into_iter()
        .find_map(|(id, config)| (id == cell.id).then_some(config))
        .unwrap_or(config);
    match begin(engine, cell, &candidate, &config, &library) {
        Begun::Starting(starting) => Ok(await_start(starting, Instant::now(), Duration::MAX)),
        Begun::Ended(outcome) => Ok(outcome),
    }
}

/// What files of a directory must fulfil, with the lock as it is now.
fn rules(engine: &Shared, root: &Path) -> Arc<Rules> {
    let policy = Arc::clone(&engine.verify_policy.read());
    Arc::new(Rules::new(&policy, root))
}

fn record_failure(engine: &Shared, cell: &Cell, report: FaultReport) {
    let ledger = &engine.board.ledger;
    let mut guarded = cell.lock();
    let applied = cell.apply(
        ledger,
        &mut guarded,
        ledger.time.now(),
        Event::LoadFailed(report),
    );
    drop(guarded);
    if let Ok(applied) = applied {
        applied.log();
    }
}

fn check_running(engine: &Shared) -> Result<(), Error> {
    if engine.board.stopping.load(Ordering::Relaxed) {
        return Err(Error::ShutDown);
    }
    Ok(())
}

fn load_file_of_plan(
    engine: &Arc<Shared>,
    planned: &Planned,
    rules: &Arc<Rules>,
    outcomes: &mut Vec<LoadOutcome>,
    starting: &mut Vec<Starting>,
) {
    let path = &planned.candidate.path;
    if let Some(known) = loaded_from(engine, path) {
        outcomes.extend(known);
        return;
    }
    match loader::load(&engine.loader, &planned.candidate, rules) {
        Ok(library) => {
            engine.refused.forget(path);
            for (id, config) in planned.plugins(&library.manifest.id, outcomes) {
                let cell = match cell_of(engine, &id, path, Claim::Good) {
                    Ok(cell) => cell,
                    Err(error) => {
                        outcomes.push(refuse(engine, path, error));
                        continue;
                    }
                };
                let _turn = cell.take_turn();
                match begin(engine, &cell, &planned.candidate, &config, &library) {
                    Begun::Starting(plugin) => starting.push(plugin),
                    Begun::Ended(outcome) => outcomes.push(outcome),
                }
            }
        }
        Err(refusal) => outcomes.push(refuse_file(engine, planned, refusal)),
    }
}

/// The plugins that are loaded from this file already.
fn loaded_from(engine: &Shared, path: &Path) -> Option<Vec<LoadOutcome>> {
    let mut known = Vec::new();
    for cell in engine.board.registry.all() {
        let guarded = cell.lock();
        let state = guarded.machine.state();
        let same = guarded
            .source
            .as_ref()
            .is_some_and(|source| source.candidate.path == path);
        // A plugin that was unloaded stays so until it is loaded by name.
        if same && (guarded.loaded.is_some() || state == PluginState::Unloaded) {
            known.push(LoadOutcome::AlreadyLoaded {
                id: cell.id.clone(),
                state,
            });
        }
    }
    (!known.is_empty()).then_some(known)
}
