//! What loads and watches know of the files: where to look, and what was seen before a file was read.

use std::path::Path;
use std::sync::Arc;

use super::{LoadOutcome, reason};
use crate::changes::{self, FileGroup, FileIdentity, Observation, Places, Subject};
use crate::code::Code;
use crate::discover::DiscoverError;
use crate::shared::Shared;

/// Where to look; `None` for an engine without a plugin directory.
pub(crate) fn places(engine: &Shared) -> Option<Places> {
    let directory = engine.options.plugin_dir.clone()?;
    let policy = match &engine.options.verify_policy {
        Some(policy) => Arc::clone(policy),
        None => Arc::clone(&engine.engine_config.get().verify),
    };
    Some(Places {
        lock: policy.lock_of(&directory),
        directory,
        engine_config: engine.options.config_file.clone(),
    })
}

/// Looks at everything, for somebody who loads it.
pub(super) fn look(engine: &Shared) -> Result<Observation, DiscoverError> {
    match places(engine) {
        Some(places) => changes::look(&places),
        None => Ok(Observation::default()),
    }
}

/// Looks at everything, for somebody who compares it with what is known. `None` for an engine without a plugin directory.
///
/// # Errors
/// The directory is not there, or is not the one that was there before and is empty: nothing can be said of its files then.
pub(crate) fn look_again(engine: &Shared) -> Result<Option<Observation>, DiscoverError> {
    let Some(places) = places(engine) else {
        return Ok(None);
    };
    let seen = changes::look(&places)?;
    if engine.known_files.accept(&seen) {
        return Ok(Some(seen));
    }
    Err(DiscoverError {
        path: places.directory,
        source: std::io::Error::other(
            "it is empty and not the one that was there before, as if it had been unmounted",
        ),
    })
}

/// Makes known what holds for all files: the directory, the engine's file, and the lock. Of those that were known already a load
/// applies nothing to what is loaded, so whoever does that has still to learn of a change.
pub(super) fn note_what_holds_for_all(engine: &Shared, seen: &Observation) {
    let known = &engine.known_files;
    known.accept(seen);
    for subject in [Subject::EngineConfig, Subject::Lock] {
        if known.compare(|known| known.group(&subject)) == FileGroup::default() {
            known.take(&subject, seen.group(&subject));
        }
    }
}

/// Makes known what came of a file that was about to be loaded, as it was seen before.
pub(super) fn note_file(
    engine: &Shared,
    seen: &Observation,
    path: &Path,
    outcomes: &[LoadOutcome],
) {
    let Some(subject) = places(engine).and_then(|places| places.plugin(path)) else {
        return;
    };
    engine.known_files.take(&subject, seen.group(&subject));
    enter(
        engine,
        seen,
        &subject,
        path,
        outcomes.iter().find_map(reason),
    );
}

/// Enters what came of a file as it was seen.
pub(crate) fn enter(
    engine: &Shared,
    seen: &Observation,
    subject: &Subject,
    path: &Path,
    refused: Option<Code>,
) {
    let group = seen.group(subject);
    engine.known_files.enter(subject, group, refused);
    if refused.is_some() && group.file != FileIdentity::of(path) {
        // What was read may have been something else, or nothing at all, and what was seen may come back as it was: with a directory that
        // was unmounted for a moment.
        engine.known_files.forget(subject);
    }
}

/// Makes known what came of files of which is told that they are not good.
pub(super) fn note(engine: &Shared, seen: &Observation, outcomes: &[LoadOutcome]) {
    for outcome in outcomes {
        if let Some(file) = outcome.file() {
            note_file(engine, seen, file, std::slice::from_ref(outcome));
        }
    }
}
