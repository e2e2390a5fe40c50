//! Takes what is new from the histories of all plugins.

use std::collections::HashMap;
use std::collections::hash_map::Entry as Known;

use plugin_engine_history_store::{Batch, EngineRecord, PluginRow};

use crate::board::Board;

/// What was taken so far.
pub(super) struct Collector {
    /// Up to which number everything was taken.
    taken: u64,
    /// Plugins that had entries with larger numbers.
    again: Vec<u32>,
    /// What was last written of each plugin beside its entries: generation, and whether it is off by hand.
    rows: HashMap<u32, (u32, bool)>,
    /// Starts and stops of the engine that were not taken yet.
    pub(super) engine: Vec<EngineRecord>,
}

impl Collector {
    /// One that takes what has a number above `taken`.
    pub(super) fn new(taken: u64) -> Self {
        Self {
            taken,
            again: Vec::new(),
            rows: HashMap::new(),
            engine: Vec::new(),
        }
    }

    /// Takes everything up to the last number that was given out. `None` if nothing is new.
    pub(super) fn collect(&mut self, board: &Board) -> Option<Batch> {
        let ledger = &board.ledger;
        let boundary = ledger.history_budget.boundary.draw(&ledger.next_seq);
        if boundary == self.taken {
            return None;
        }
        let mut batch = Batch {
            first_seq: self.taken + 1,
            last_seq: boundary,
            plugins: Vec::new(),
            engine: std::mem::take(&mut self.engine),
            rows: Vec::new(),
        };
        // After the boundary was drawn: whoever took a number before has marked its plugin.
        let mut plugins = ledger.unsaved.take(board.registry.len());
        plugins.append(&mut self.again);
        plugins.sort_unstable();
        plugins.dedup();
        for index in plugins {
            let Some(cell) = board.registry.at(index) else {
                continue;
            };
            let mut guarded = cell.lock();
            let unsaved = guarded.take_unsaved(&cell.id, boundary);
            let row = (guarded.machine.generations_counted(), guarded.off_by_hand);
            drop(guarded);
            if unsaved.has_more {
                self.again.push(index);
            }
            batch.plugins.extend(unsaved.entries);
            if self.is_news(index, row) {
                batch.rows.push(PluginRow {
                    id: cell.id.clone(),
                    generation: row.0,
                    off_by_hand: row.1,
                });
            }
        }
        self.taken = boundary;
        Some(batch)
    }

    /// What is to stand in the file of each plugin beside its entries, of those of which something was written.
    pub(super) fn rows(&self, board: &Board) -> Vec<PluginRow> {
        let cells = self.rows.keys().filter_map(|at| board.registry.at(*at));
        let rows = cells.map(|cell| {
            let guarded = cell.lock();
            PluginRow {
                id: cell.id.clone(),
                generation: guarded.machine.generations_counted(),
                off_by_hand: guarded.off_by_hand,
            }
        });
        rows.collect()
    }

    /// What was written of a plugin beside its entries has left the file, and is not missing there.
    pub(super) fn forget(&mut self, index: u32) {
        self.rows.remove(&index);
    }

    fn is_news(&mut self, index: u32, row: (u32, bool)) -> bool {
        match self.rows.entry(index) {
            Known::Occupied(known) if *known.get() == row => false,
            known => {
                known.insert_entry(row);
                true
            }
        }
    }
}
