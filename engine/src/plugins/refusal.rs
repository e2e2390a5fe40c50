//! Files that were refused: shown under their id, or in a list of their own.

use std::path::Path;
use std::sync::Arc;

use plugin_engine_core::{Event, Fault, FaultKind, FaultReport, PluginId};

use super::outcome::LoadOutcome;
use super::plan::Planned;
use super::start::{Claim, cell_of, forget_refusal};
use crate::cell::{Cell, Source};
use crate::config::PluginConfig;
use crate::discover::Candidate;
use crate::error::LoadError;
use crate::loader::Refusal;
use crate::shared::Shared;

/// Names a file among the refused ones.
pub(super) fn refuse(engine: &Shared, path: &Path, error: LoadError) -> LoadOutcome {
    let error = Arc::new(error);
    engine.refused.insert(path, &error, Vec::new());
    LoadOutcome::Refused {
        file: path.to_owned(),
        error,
    }
}

/// Tells of a plugin that is refused although its file is not.
pub(super) fn refused(path: &Path, error: LoadError) -> LoadOutcome {
    LoadOutcome::Refused {
        file: path.to_owned(),
        error: Arc::new(error),
    }
}

/// Refuses a file; if its manifest could be read, its plugins show the reason in the state Error.
pub(super) fn refuse_file(
    engine: &Arc<Shared>,
    planned: &Planned,
    Refusal { id, error }: Refusal,
) -> LoadOutcome {
    let path = &planned.candidate.path;
    let mut shown_by = Vec::new();
    if let Some(manifest_id) = id {
        for (id, config) in planned.plugins(&manifest_id, &mut Vec::new()) {
            if let Ok(cell) = cell_of(engine, &id, path, Claim::Refused)
                && show_refusal(engine, &cell, &planned.candidate, config, &error)
            {
                shown_by.push(id);
            }
        }
    }
    let error: Arc<LoadError> = error.into();
    engine.refused.insert(path, &error, shown_by);
    LoadOutcome::Refused {
        file: path.clone(),
        error,
    }
}

/// What a plugin whose file was refused shows.
pub(super) fn report(error: &LoadError) -> FaultReport {
    let code = error.code();
    FaultReport {
        type_name: code.to_string(),
        ..FaultReport::new(FaultKind::Load, format!("{error} [{code}]"))
    }
}

/// What happens to a plugin whose file was refused.
pub(super) fn event(error: &LoadError, id: &PluginId) -> Event {
    let LoadError::Quarantined { plugins, .. } = error else {
        return Event::LoadFailed(report(error));
    };
    let why = plugins.iter().find(|(held, _)| held == id);
    let why = why.map_or_else(|| error.to_string(), |(_, why)| why.clone());
    let code = error.code();
    Event::Quarantined(FaultReport {
        type_name: code.to_string(),
        ..FaultReport::new(FaultKind::Crash, format!("{why} [{code}]"))
    })
}

/// Puts a plugin into the state Error because its file was refused. Says whether that shows the reason.
pub(super) fn show_refusal(
    engine: &Shared,
    cell: &Cell,
    candidate: &Arc<Candidate>,
    config: PluginConfig,
    error: &LoadError,
) -> bool {
    let event = event(error, &cell.id);
    let (Event::LoadFailed(report) | Event::Quarantined(report)) = &event else {
        return false;
    };
    let mut guarded = cell.lock();
    let same = |fault: &Arc<Fault>| fault.kind == report.kind && *fault.message == report.message;
    if guarded.loaded.is_none() && guarded.machine.error().is_some_and(same) {
        // Said already, and once is enough.
        return true;
    }
    let now = engine.board.ledger.time.now();
    let forgotten = forget_refusal(engine, cell, &mut guarded, now);
    cell.set_file(&mut guarded, Arc::clone(candidate));
    let applied = cell.apply(&engine.board.ledger, &mut guarded, now, event);
    if applied.is_ok() {
        let candidate = Arc::clone(candidate);
        guarded.source = Some(Source { candidate, config });
    }
    drop(guarded);
    if let Some(forgotten) = forgotten {
        forgotten.log();
    }
    let Ok(applied) = applied else { return false };
    applied.log();
    true
}
