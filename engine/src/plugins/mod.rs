//! From files to plugins: what a load of the directory does, file by file.

mod checks;
mod found;
pub(crate) mod look;
mod outcome;
pub(crate) mod plan;
pub(crate) mod quarantine;
mod refusal;
mod setup;
mod start;

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_engine_core::{Event, FaultReport, PluginId, PluginState};

use crate::ahead::Verified;
use crate::cell::{Cell, Source};
use crate::config::{self, Applies, ConfigError, EngineConfig, PluginConfig};
use crate::discover::{self, Candidate};
use crate::error::{Error, LoadError};
use crate::library::LoadedLibrary;
use crate::loader::{self, Refusal};
use crate::requirements;
use crate::shared::Shared;
use crate::unmap;
use crate::verify::Rules;
use crate::waiting;

pub(crate) use crate::shared::remember_start;
pub(crate) use found::{load_new, loaded_paths, reason, said_otherwise, unknown_entries};
pub use outcome::LoadOutcome;
pub(crate) use quarantine::enter_past_calls;
pub(crate) use setup::{Setup, times};
pub(crate) use start::fault_of;

use checks::Checks;
use found::stays_unloaded;
use plan::{Planned, name_unknown_ids, plan, plan_file};
use refusal::{event, refuse, refuse_file, refused, report};
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
    // Before anything is read: what changes meanwhile has changed since.
    let seen = look::look(engine)?;
    let candidates = discover::discover(&dir)?;
    let engine_config = read_engine_config(engine)?;
    look::note_what_holds_for_all(engine, &seen);
    let began = waiting::now();
    let mut outcomes = Vec::new();
    let mut starting = Vec::new();
    let there: HashSet<_> = candidates.iter().map(|one| one.path.clone()).collect();
    engine.refused.keep_only(&dir, |path| there.contains(path));
    let rules = rules(engine, &engine_config, &dir);
    let plan = plan(&dir, candidates, &engine_config, &mut outcomes);
    // Asked once for all files: a directory may have thousands, and each may make thousands of plugins.
    let mut known = loaded_by_file(engine);
    remember_misconfigured(engine, &there, &known, &outcomes);
    look::note(engine, &seen, &outcomes);
    // Of those that are loaded already nothing may be to be mapped.
    let mut checks = Checks::begin(engine, rules, &plan, |path| !known.contains_key(path));
    let loaded: Result<(), Error> = plan.into_iter().try_for_each(|planned| {
        let path = &planned.candidate.path;
        let known = known.remove(path);
        let is_new = known.is_none();
        load_file_of_plan(
            engine,
            &planned,
            &known.unwrap_or_default(),
            &mut checks,
            Claim::Found,
            &mut outcomes,
            &mut starting,
        )?;
        if is_new {
            look::note_file(engine, &seen, path, &outcomes);
        }
        outcomes.drain(..).for_each(&mut told);
        Ok(())
    });
    drop(checks);
    complete(engine, &starting);
    loaded?;
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

/// Reads the engine's file as it is now; while one that was told as bad is there, what held before it. What it asked of plugin files at
/// the start it still has to ask: a file that somebody is just writing is empty or cut for a moment, and must not let in what was to be
/// kept out.
pub(crate) fn read_engine_config(engine: &Shared) -> Result<Arc<EngineConfig>, ConfigError> {
    let Some(path) = &engine.options.config_file else {
        return Ok(Arc::default());
    };
    engine
        .engine_config
        .read(path, |source| judge_engine_config(engine, source))
}

/// [`read_engine_config`] for somebody who applies it to what is loaded, and tells what is wrong with it: from then on what held before
/// goes on.
pub(crate) fn read_engine_config_to_apply(engine: &Shared) -> Result<Applies, ConfigError> {
    let Some(path) = &engine.options.config_file else {
        return Ok(Applies::default());
    };
    engine
        .engine_config
        .read_to_apply(path, |source| judge_engine_config(engine, source))
}

fn judge_engine_config(
    engine: &Shared,
    source: &Arc<config::source::Source>,
) -> Result<EngineConfig, ConfigError> {
    let config = config::read_engine_text(source)?;
    if engine.options.verify_policy.is_none() {
        let (then, now) = (&engine.verify_at_start, &config.verify);
        if then.require_signature && !now.require_signature {
            return Err(ConfigError::loosened(
                &source.path,
                "require_signature = true",
            ));
        }
        if then.lock.is_some() && now.lock.is_none() {
            return Err(ConfigError::loosened(&source.path, "lock"));
        }
    }
    Ok(config)
}

/// Loads one file, as the configuration beside it and the engine's file say.
pub(crate) fn load_path(engine: &Arc<Shared>, path: &Path) -> Result<Vec<LoadOutcome>, Error> {
    check_running(engine)?;
    let candidate = Candidate::of_path_beside(path, engine.options.plugin_dir.as_deref());
    load_candidate(engine, &Arc::new(candidate))
}

/// Loads one file of which nothing is loaded, or not everything.
pub(crate) fn load_candidate(
    engine: &Arc<Shared>,
    candidate: &Arc<Candidate>,
) -> Result<Vec<LoadOutcome>, Error> {
    let planned = plan_one(engine, candidate)?;
    let (mut outcomes, mut starting) = (Vec::new(), Vec::new());
    let rules = rules(engine, planned.engine_config(), &candidate.root);
    let known = loaded_by_file(engine).remove(&candidate.path);
    let loaded = load_file_of_plan(
        engine,
        &planned,
        &known.unwrap_or_default(),
        &mut Checks::in_turn(engine, rules),
        Claim::Named,
        &mut outcomes,
        &mut starting,
    );
    complete(engine, &starting);
    loaded?;
    let began = waiting::now();
    for starting in starting {
        outcomes.push(await_start(starting, began, Duration::MAX));
    }
    Ok(outcomes)
}

/// Nothing more is loaded together with these: those that wait for others may begin, or be held back.
fn complete(engine: &Shared, starting: &[Starting]) {
    requirements::complete(engine, starting.iter().map(|one| one.cell.index));
}

/// What the configurations say now of the plugins of one file.
pub(crate) fn plan_one(
    engine: &Shared,
    candidate: &Arc<Candidate>,
) -> Result<Planned, ConfigError> {
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
    let rules = rules(engine, planned.engine_config(), &candidate.root);
    let library = match map(engine, &planned, &rules) {
        Ok(library) => {
            engine.refused.forget(&candidate.path);
            library
        }
        Err(Refusal { error, .. }) => {
            cell.record(&engine.board.ledger, event(&error, &cell.id));
            return Err(Error::Load(*error));
        }
    };
    let Some(config) = config_now(&planned, &library, &cell.id, &config) else {
        let error = LoadError::AnotherPlugin {
            path: candidate.path.clone(),
            found: library.manifest.id.clone(),
            expected: cell.id.clone(),
        };
        record_failure(engine, cell, report(&error));
        return Err(error.into());
    };
    match begin(engine, cell, &candidate, &config, &library)? {
        Begun::Starting(starting) => {
            complete(engine, std::slice::from_ref(&starting));
            Ok(await_start(starting, waiting::now(), Duration::MAX))
        }
        Begun::Ended(outcome) => Ok(outcome),
        Begun::Taken(error) | Begun::Quarantined(error) => Err(error.into()),
    }
}

/// Maps a file, or finds it mapped, and says what its plugins want to become of it once nothing uses it any more: also of those that get no
/// place, and of a file that turns out to be no plugin only once it is mapped.
pub(crate) fn map(
    engine: &Arc<Shared>,
    planned: &Planned,
    rules: &Arc<Rules>,
) -> Result<Arc<LoadedLibrary>, Refusal> {
    map_verified(engine, planned, rules, None)
}

/// [`map`] for a file of which is known what its checks have said, if anything is.
fn map_verified(
    engine: &Arc<Shared>,
    planned: &Planned,
    rules: &Arc<Rules>,
    verified: Option<Verified>,
) -> Result<Arc<LoadedLibrary>, Refusal> {
    let before_map = quarantine::before_map(engine, planned);
    let candidate = &planned.candidate;
    let loaded = loader::load(&engine.loader, candidate, rules, verified, before_map);
    let manifest_id = match &loaded {
        Ok(library) => Some(&library.manifest.id),
        Err(refusal) => refusal.id.as_ref(),
    };
    let plugins = manifest_id.map(|id| planned.plugins(id, &mut Vec::new()));
    for (id, config) in plugins.into_iter().flatten() {
        let wanted = config.unmap().value;
        match &loaded {
            Ok(library) => unmap::wants(engine, library, &id, wanted),
            Err(_) => unmap::wants_of_unfit(engine, &planned.candidate.path, &id, wanted),
        }
    }
    loaded
}

/// What is said now of a plugin that was there before. An id that no configuration gives any more keeps what was said of it when one did;
/// one that the file gave itself is not this file's any more.
pub(crate) fn config_now(
    planned: &Planned,
    library: &LoadedLibrary,
    id: &PluginId,
    before: &PluginConfig,
) -> Option<PluginConfig> {
    let manifest_id = &library.manifest.id;
    let now_said = planned
        .plugins(manifest_id, &mut Vec::new())
        .into_iter()
        .find_map(|(now, config)| (now == *id).then_some(config));
    now_said.or_else(|| (before.id(manifest_id).value == *id).then(|| before.clone()))
}

/// Starts plugins of a library beside those that there are of it already.
pub(crate) fn start_more(
    engine: &Arc<Shared>,
    candidate: &Arc<Candidate>,
    library: &Arc<LoadedLibrary>,
    plugins: Vec<(PluginId, PluginConfig)>,
    outcomes: &mut Vec<LoadOutcome>,
) -> Result<(), Error> {
    let path = &candidate.path;
    let mut starting = Vec::new();
    for (id, config) in plugins {
        let cell = match cell_of(engine, &id, path, Claim::Named) {
            Ok(cell) => cell,
            Err(error) => {
                outcomes.push(refuse(engine, path, error));
                continue;
            }
        };
        let _turn = cell.take_turn();
        if stays_unloaded(&cell, library) {
            let state = PluginState::Unloaded;
            outcomes.push(LoadOutcome::AlreadyLoaded { id, state });
            continue;
        }
        match begin(engine, &cell, candidate, &config, library)? {
            Begun::Starting(plugin) => starting.push(plugin),
            Begun::Ended(outcome) => outcomes.push(outcome),
            Begun::Taken(error) => outcomes.push(refuse(engine, path, error)),
            Begun::Quarantined(error) => outcomes.push(refused(path, error)),
        }
    }
    complete(engine, &starting);
    let began = waiting::now();
    for starting in starting {
        outcomes.push(await_start(starting, began, Duration::MAX));
    }
    Ok(())
}

/// What files of a directory must fulfil, as code said or else the engine's file, with the lock as it is now.
pub(crate) fn rules(engine: &Shared, engine_config: &EngineConfig, root: &Path) -> Arc<Rules> {
    let by_code = engine.options.verify_policy.as_ref();
    Arc::new(Rules::new(by_code.unwrap_or(&engine_config.verify), root))
}

/// Lists the files that are no plugins because of what is said of them, unless an earlier configuration made plugins of them.
fn remember_misconfigured(
    engine: &Shared,
    there: &HashSet<PathBuf>,
    known: &HashMap<PathBuf, FromFile>,
    outcomes: &[LoadOutcome],
) {
    for outcome in outcomes {
        if let LoadOutcome::Misconfigured { file, error } = outcome
            && there.contains(file)
            && !known.contains_key(file)
        {
            let error = Arc::new(LoadError::Config {
                path: file.clone(),
                source: Arc::clone(error),
            });
            engine.refused.insert(file, &error, Vec::new());
        }
    }
}

fn record_failure(engine: &Shared, cell: &Cell, report: FaultReport) {
    cell.record(&engine.board.ledger, Event::LoadFailed(report));
}

pub(crate) fn check_running(engine: &Shared) -> Result<(), Error> {
    if engine.board.stopping.load(Ordering::Relaxed) {
        return Err(Error::ShutDown);
    }
    Ok(())
}

/// Loads a file and begins its plugins, but for those that are loaded from it already.
///
/// # Errors
/// The engine was shut down meanwhile: no further file is mapped then.
fn load_file_of_plan(
    engine: &Arc<Shared>,
    planned: &Planned,
    known: &FromFile,
    checks: &mut Checks,
    claim: Claim,
    outcomes: &mut Vec<LoadOutcome>,
    starting: &mut Vec<Starting>,
) -> Result<(), Error> {
    check_running(engine)?;
    let path = &planned.candidate.path;
    let is_known = |id: &PluginId| known.plugins.iter().any(|(known, _)| known == id);
    outcomes.extend(known.plugins.iter().map(|(id, state)| {
        let (id, state) = (id.clone(), *state);
        LoadOutcome::AlreadyLoaded { id, state }
    }));
    if !known.plugins.is_empty() {
        // What the file says of itself is not known where all its plugins were unloaded.
        let plugins = known.manifest_id.iter();
        let mut plugins = plugins.flat_map(|id| planned.plugins(id, &mut Vec::new()));
        if plugins.all(|(id, _)| is_known(&id)) {
            return Ok(());
        }
    }
    let verified = checks.ahead.take(&planned.candidate);
    match map_verified(engine, planned, &checks.rules, verified) {
        Ok(library) => {
            engine.refused.forget(path);
            for (id, config) in planned.plugins(&library.manifest.id, outcomes) {
                if is_known(&id) {
                    continue;
                }
                let cell = match cell_of(engine, &id, path, claim) {
                    Ok(cell) => cell,
                    Err(error) => {
                        outcomes.push(refuse(engine, path, error));
                        continue;
                    }
                };
                let _turn = cell.take_turn();
                if claim == Claim::Found && stays_unloaded(&cell, &library) {
                    let (id, state) = (id, PluginState::Unloaded);
                    outcomes.push(LoadOutcome::AlreadyLoaded { id, state });
                    continue;
                }
                match begin(engine, &cell, &planned.candidate, &config, &library)? {
                    Begun::Starting(plugin) => starting.push(plugin),
                    Begun::Ended(outcome) => outcomes.push(outcome),
                    Begun::Taken(error) => outcomes.push(refuse(engine, path, error)),
                    Begun::Quarantined(error) => outcomes.push(refused(path, error)),
                }
            }
        }
        Err(refusal) => outcomes.push(refuse_file(engine, planned, refusal)),
    }
    Ok(())
}

/// The plugins that come from a file already.
#[derive(Default)]
struct FromFile {
    plugins: Vec<(PluginId, PluginState)>,
    /// What the file says of itself, if it is loaded.
    manifest_id: Option<PluginId>,
}

/// The plugins that are loaded already, by their files.
fn loaded_by_file(engine: &Shared) -> HashMap<PathBuf, FromFile> {
    let mut by_file = HashMap::<PathBuf, FromFile>::new();
    for cell in engine.board.registry.all() {
        let guarded = cell.lock();
        let state = guarded.machine.state();
        let Some(source) = &guarded.source else {
            continue;
        };
        // A plugin that somebody unloaded stays so until it is loaded by name.
        if guarded.loaded.is_none()
            && (state != PluginState::Unloaded || guarded.unloaded_by_hand.is_none())
        {
            continue;
        }
        let known = by_file.entry(source.candidate.path.clone()).or_default();
        known.plugins.push((cell.id.clone(), state));
        if let Some(loaded) = &guarded.loaded {
            known.manifest_id = Some(loaded.library.manifest.id.clone());
        }
    }
    by_file
}

/// For models and fuzzing: makes a library that is in no file the plugin that its manifest names, and waits until it is created or that
/// has failed.
#[cfg(any(test, fuzzing))]
pub(crate) fn start_unmapped(engine: &Arc<Shared>, path: &Path, library: &Arc<LoadedLibrary>) {
    let candidate = Arc::new(Candidate::of_path(path));
    let config = PluginConfig {
        entry: None,
        beside: Arc::default(),
        defaults: Arc::default(),
    };
    let id = &library.manifest.id;
    let cell = start::cell_named(engine, id).expect("there is room");
    match begin(engine, cell, &candidate, &config, library) {
        Ok(Begun::Starting(starting)) => {
            let _ = starting.waiter.wait();
        }
        _ => panic!("nothing is wrong with {id}"),
    }
}
