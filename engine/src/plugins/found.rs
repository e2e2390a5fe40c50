//! Files of the plugin directory that are found while the engine runs: what becomes of them, and what is loaded from which.

use std::collections::{HashMap, HashSet};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use super::outcome::LoadOutcome;
use super::plan::{Planned, name_unknown_ids, plan};
use super::start::{Claim, await_start};
use super::{
    Checks, FromFile, check_running, complete, load_file_of_plan, read_engine_config,
    remember_misconfigured, rules,
};
use crate::cell::{Cell, UnloadedFile};
use crate::code::Code;
use crate::config::EngineConfig;
use crate::discover::{self, Candidate};
use crate::error::Error;
use crate::library::LoadedLibrary;
use crate::shared::Shared;
use crate::waiting;

/// Loads files of the plugin directory from which nothing is loaded, as [`load_all`] would.
pub(crate) fn load_new(
    engine: &Arc<Shared>,
    dir: &Path,
    paths: &[PathBuf],
    mut told: impl FnMut(LoadOutcome),
) -> Result<(), Error> {
    check_running(engine)?;
    let engine_config = read_engine_config(engine)?;
    let began = waiting::now();
    let rules = rules(engine, &engine_config, dir);
    let candidates = paths.iter().map(|path| Candidate {
        path: path.clone(),
        root: dir.to_owned(),
    });
    let mut outcomes = Vec::new();
    let plan = plan(dir, candidates.collect(), &engine_config, &mut outcomes);
    // What is said of files that are not meant here was told when it was noticed.
    let meant: HashSet<_> = paths.iter().cloned().collect();
    outcomes.retain(|outcome| outcome.file().is_some_and(|file| meant.contains(file)));
    remember_misconfigured(engine, &meant, &HashMap::new(), &outcomes);
    outcomes.drain(..).for_each(&mut told);
    let mut starting = Vec::new();
    let mut checks = Checks::begin(engine, rules, &plan, |_| true);
    let loaded: Result<(), Error> = plan.into_iter().try_for_each(|planned| {
        load_file_of_plan(
            engine,
            &planned,
            &FromFile::default(),
            &mut checks,
            Claim::Found,
            &mut outcomes,
            &mut starting,
        )?;
        outcomes.drain(..).for_each(&mut told);
        Ok(())
    });
    drop(checks);
    complete(engine, &starting);
    loaded?;
    let budget = engine.options.startup_budget;
    for starting in starting {
        told(await_start(starting, began, budget));
    }
    Ok(())
}

/// The entries of the engine's file that speak of files or plugins that are not there.
pub(crate) fn unknown_entries(
    engine: &Shared,
    dir: &Path,
    engine_config: &Arc<EngineConfig>,
) -> Vec<LoadOutcome> {
    let mut outcomes = Vec::new();
    let candidates = discover::discover(dir).unwrap_or_default();
    let there: HashSet<_> = candidates.iter().map(|one| one.path.clone()).collect();
    plan(dir, candidates, engine_config, &mut outcomes);
    // What is wrong with a file that is there is told when that is looked at.
    outcomes.retain(|outcome| outcome.file().is_none_or(|file| !there.contains(file)));
    if let Some(path) = &engine.options.config_file {
        let cells = engine.board.registry.all();
        let known: Vec<_> = cells.map(|cell| cell.id.clone()).collect();
        name_unknown_ids(path, engine_config, &known, &mut outcomes);
    }
    outcomes
}

/// The files of whose loaded plugins one configuration of the engine says something else than another.
pub(crate) fn said_otherwise(
    engine: &Shared,
    dir: &Path,
    one: &Arc<EngineConfig>,
    other: &Arc<EngineConfig>,
) -> Vec<PathBuf> {
    let mut libraries: HashMap<PathBuf, Arc<LoadedLibrary>> = HashMap::new();
    for cell in engine.board.registry.all() {
        let guarded = cell.lock();
        if let (Some(source), Some(loaded)) = (&guarded.source, &guarded.loaded) {
            let path = source.candidate.path.clone();
            libraries.insert(path, Arc::clone(&loaded.library));
        }
    }
    let plans = |config: &Arc<EngineConfig>| {
        let candidates = libraries.keys().map(|path| Candidate {
            path: path.clone(),
            root: dir.to_owned(),
        });
        // One whose own configuration is bad has none, by either.
        plan(dir, candidates.collect(), config, &mut Vec::new())
    };
    let said = |planned: &Planned| {
        let library = libraries.get(&planned.candidate.path)?;
        let plugins = planned.plugins(&library.manifest.id, &mut Vec::new());
        Some((Arc::clone(library), plugins))
    };
    let by_one: HashMap<_, _> = plans(one)
        .into_iter()
        .map(|planned| (planned.candidate.path.clone(), planned))
        .collect();
    let changed = plans(other).into_iter().filter(|planned| {
        let before = by_one.get(&planned.candidate.path).and_then(said);
        let (Some((library, before)), Some((_, now))) = (before, said(planned)) else {
            return false;
        };
        before.len() != now.len()
            || before
                .iter()
                .zip(&now)
                .any(|((id, before), (now_id, now))| {
                    id != now_id || !now.says_the_same_as(before, id, &library.manifest)
                })
    });
    changed
        .map(|planned| planned.candidate.path.clone())
        .collect()
}

/// Whether somebody unloaded the plugin, and the file has the same bytes since.
pub(super) fn stays_unloaded(cell: &Cell, library: &LoadedLibrary) -> bool {
    let unloaded = cell.lock().unloaded_by_hand.as_deref().copied();
    let stays = unloaded == Some(UnloadedFile(Some(library.fingerprint)));
    #[cfg(feature = "simulation")]
    let stays = {
        use crate::simulation::{Question, tampered_answer};
        tampered_answer(Question::StaysUnloaded, stays)
    };
    stays
}

/// The files from which plugins are loaded.
pub(crate) fn loaded_paths(engine: &Shared) -> HashSet<PathBuf> {
    let cells = engine.board.registry.all();
    let loaded = cells.filter_map(|cell| {
        let guarded = cell.lock();
        let source = guarded.loaded.as_ref().and(guarded.source.as_ref());
        source.map(|source| source.candidate.path.clone())
    });
    loaded.collect()
}

/// Why a file was refused, be it beside what is loaded from it. That an instance could not be created is no fault of the file.
pub(crate) fn reason(outcome: &LoadOutcome) -> Option<Code> {
    match outcome {
        LoadOutcome::Failed { .. } => None,
        outcome => outcome.code(),
    }
}
