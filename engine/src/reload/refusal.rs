//! Reloads that were refused: what the history and the caller are told.

use std::sync::Arc;
use std::sync::atomic::Ordering;

use plugin_engine_core::{Event, FaultKind, FaultReport};

use crate::cell::{Cell, Guarded};
use crate::error::{Error, ReloadError};
use crate::shared::Shared;
use crate::threading::MutexGuard;

/// Enters a refused reload into the history of the plugin, which goes on as it was, and makes an error of it.
pub(super) fn refuse(engine: &Shared, cell: &Arc<Cell>, error: ReloadError) -> Error {
    record_refusal(engine, cell, cell.lock(), error, false)
}

/// [`refuse`], in a lock in which the instance may have been put back.
pub(super) fn record_refusal(
    engine: &Shared,
    cell: &Cell,
    mut guarded: MutexGuard<'_, Guarded>,
    error: ReloadError,
    created_anew: bool,
) -> Error {
    if engine.board.stopping.load(Ordering::SeqCst) {
        // Whatever the reason looks like, that is it.
        return Error::ShutDown;
    }
    let now = engine.board.ledger.time.now();
    let event = Event::ReloadRefused {
        report: report(&error),
        created_anew,
    };
    let applied = cell.apply(&engine.board.ledger, &mut guarded, now, event);
    let kept = guarded.machine.generation();
    drop(guarded);
    if let Ok(applied) = applied {
        applied.log();
    }
    Error::ReloadRefused {
        id: cell.id.clone(),
        kept,
        source: error,
    }
}

/// A reason as the history has it: of the kind of what happened, with the code in the place of a type.
pub(super) fn report(error: &ReloadError) -> FaultReport {
    let code = error.code();
    let (kind, location) = match error {
        ReloadError::Call { fault, .. } => (fault.kind, fault.location.to_string()),
        ReloadError::Config(_) => (FaultKind::Config, String::new()),
        ReloadError::Unmet(_) => (FaultKind::Requirement, String::new()),
        ReloadError::NotNow(_) | ReloadError::Thread(_) | ReloadError::TooManyStuck { .. } => {
            (FaultKind::Refused, String::new())
        }
        _ => (FaultKind::Load, String::new()),
    };
    FaultReport {
        type_name: code.to_string(),
        location,
        ..FaultReport::new(kind, format!("{error} [{code}]"))
    }
}
