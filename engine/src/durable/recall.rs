//! A history that could not be read when the engine was started, and can be now: what it remembers of plugins holds from then on.
//!
//! Generations go on above those that were counted before, from the next load on. A plugin that a person had switched off is switched off
//! now, unless somebody has decided otherwise since; what it runs is destroyed by the next cycle, so that nobody waits for that here.
//!
//! What lives here: that. What never will: what is remembered of a plugin whose id becomes known later, which is adopted with it.

use std::sync::Arc;

use plugin_engine_core::PluginState;
use plugin_engine_history_store::PluginRow;

use super::Durable;
use crate::board::Board;
use crate::cell::Cell;

/// A plugin that is to be switched off. Until then no update of it starts.
pub(super) struct Recalled(Arc<Cell>);

impl Durable {
    /// Has hold what was found.
    pub(super) fn recall(&self, found: &[PluginRow], board: &Board) {
        // Entered before it is looked who is there: whoever comes later adopts it.
        self.remembered
            .lock()
            .extend(found.iter().map(|row| (row.id.clone(), row.clone())));
        self.recalled.lock().get_or_insert_default();
        self.settle_recalled(board);
    }

    /// Has hold what is remembered of plugins that were not there when it was looked, and not adopted either, and switches off those whose
    /// call has ended. Does nothing where there was no [`Durable::recall`].
    pub(super) fn settle_recalled(&self, board: &Board) {
        let mut recalled = self.recalled.lock();
        let Some(waiting) = &mut *recalled else {
            return;
        };
        self.recall_of_those_that_are_there(board, waiting);
        let before = std::mem::take(waiting);
        waiting.extend(before.into_iter().filter_map(|one| switch_off(board, one)));
    }

    fn recall_of_those_that_are_there(&self, board: &Board, waiting: &mut Vec<Recalled>) {
        let mut there = Vec::new();
        self.remembered.lock().retain(|id, row| {
            let cell = board.registry.find(id.as_str());
            there.extend(cell.map(|cell| (Arc::clone(cell), row.clone())));
            cell.is_none()
        });
        for (cell, row) in there {
            let mut guarded = cell.lock();
            guarded.machine.count_generations_from(row.generation);
            cell.publish(&mut guarded);
            if guarded.decided_by_hand || !row.off_by_hand {
                continue;
            }
            guarded.off_by_hand = true;
            guarded.waiters += 1;
            drop(guarded);
            waiting.push(Recalled(cell));
        }
    }
}

/// Switches off what runs, unless a call is waited for, or somebody has decided otherwise. What has to wait comes back.
fn switch_off(board: &Board, Recalled(cell): Recalled) -> Option<Recalled> {
    let ledger = &board.ledger;
    let mut guarded = cell.lock();
    let is_off = matches!(
        guarded.machine.state(),
        PluginState::Unloaded | PluginState::Disabled
    );
    if is_off || !guarded.off_by_hand {
        cell.let_updates_start(ledger, &mut guarded);
        return None;
    }
    let Ok(applied) = cell.switch_off(ledger, &mut guarded) else {
        drop(guarded);
        return Some(Recalled(cell));
    };
    cell.let_updates_start(ledger, &mut guarded);
    drop(guarded);
    tracing::warn!(target: "plugin_engine::history", id = %cell.id, "switched off by a person before the engine was started, which could not be read before");
    applied.log();
    None
}
