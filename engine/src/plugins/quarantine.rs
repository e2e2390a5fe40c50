//! What is done about crashes of the engine: who crashed it is entered into the histories at the start, and is not loaded if that has
//! happened as often as it may.

use std::path::Path;
use std::sync::Arc;

use plugin_engine_core::{Event, PastCall, PluginId};

use super::plan::Planned;
use super::start::cell_named;
use crate::config::PluginConfig;
use crate::crashes::FoundCall;
use crate::discover::Candidate;
use crate::error::LoadError;
use crate::library::LoadedLibrary;
use crate::loader::BeforeMap;
use crate::shared::Shared;

/// Enters what the process before has left behind into the histories of the plugins that it names, whether their files are still there or
/// not. Before anything is loaded.
pub(crate) fn enter_past_calls(engine: &Shared) {
    for found in engine.board.crashes.found() {
        let Some(cell) = cell_named(engine, &found.id) else {
            tracing::warn!(target: "plugin_engine", "{found}");
            continue;
        };
        let file = Arc::new(Candidate::of_path(&found.file));
        cell.set_file(&mut cell.lock(), file);
        cell.record(&engine.board.ledger, Event::PastCall(Box::new(past(found))));
    }
}

fn past(found: &FoundCall) -> PastCall {
    PastCall {
        crashed: found.crashed,
        call: found.call,
        at: found.ended_at.unwrap_or(found.since),
        report: found.report(),
    }
}

/// What is asked on the loader's thread before any code of a file is run: whether any plugin of it may be loaded. Its plugins are entered
/// into the record of calls, so that who comes after a crash knows whose file it was.
pub(super) fn before_map(engine: &Shared, planned: &Planned) -> BeforeMap {
    if !engine.board.crashes.is_kept() {
        return Box::new(|_| Ok(0));
    }
    let (board, planned) = (Arc::clone(&engine.board), planned.clone());
    Box::new(move |artifact| {
        let plugins = planned.plugins(&artifact.manifest.id, &mut Vec::new());
        let bytes = &artifact.fingerprint;
        let held = plugins.iter().filter_map(|(id, config)| {
            let after = config.after_crashes().value;
            Some((id.clone(), board.crashes.quarantine(id, bytes, after)?))
        });
        let held: Vec<_> = held.collect();
        let path = &planned.candidate.path;
        if !held.is_empty() && held.len() == plugins.len() {
            return Err(LoadError::Quarantined {
                path: path.clone(),
                plugins: held,
            });
        }
        let ids = plugins.iter().map(|(id, _)| id);
        Ok(board.crashes.enter_all(ids, path, bytes))
    })
}

/// Why a plugin must not run code of a file that is mapped, because others of that file may.
pub(crate) fn of(
    engine: &Shared,
    id: &PluginId,
    config: &PluginConfig,
    library: &LoadedLibrary,
    path: &Path,
) -> Option<LoadError> {
    let after = config.after_crashes().value;
    let why = engine
        .board
        .crashes
        .quarantine(id, &library.fingerprint, after)?;
    Some(LoadError::Quarantined {
        path: path.to_owned(),
        plugins: vec![(id.clone(), why)],
    })
}
