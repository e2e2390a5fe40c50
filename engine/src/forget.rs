//! Forgetting the history of one plugin, in memory and on disk.

use std::sync::Arc;

use plugin_engine_core::Command;

use crate::commands::{self, Admitted};
use crate::error::Error;
use crate::shared::Shared;

/// Forgets the history of a plugin that is Unloaded. On disk first: where that fails nothing is forgotten.
pub(crate) fn forget(engine: &Arc<Shared>, id: &str) -> Result<(), Error> {
    let cell = commands::find(engine, id)?;
    let _turn = commands::turn(engine, cell)?;
    if let Admitted::Now(guarded) = commands::admit(engine, cell, Command::Forget)? {
        drop(guarded);
    }
    #[cfg(feature = "history-sqlite")]
    if let Some(durable) = &engine.durable {
        durable.forget(&engine.board, cell)?;
    }
    cell.forget_history(&engine.board.ledger);
    Ok(())
}
