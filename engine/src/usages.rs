//! What an embedder asks of what plugins use. The rest of the façade is in `engine`.

use std::sync::Arc;

use plugin_engine_core::PluginId;

use crate::cell::Cell;
use crate::engine::Engine;
use crate::usage::{PluginTallies, PluginUsage};

/// What plugins use.
impl Engine {
    /// What the calls of a plugin have used since its id became known, up to now. `None` for an unknown id. Never waits for a
    /// plugin.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// if let Some(usage) = engine.plugin_usage("clock") {
    ///     println!("{} updates of {} µs", usage.updates.calls, usage.updates.wall_mean_us);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn plugin_usage(&self, id: &str) -> Option<PluginUsage> {
        let board = &self.shared().board;
        let cell = board.registry.find(id)?;
        Some(cell.lock().usage.report(board.ledger.time.now()))
    }

    /// [`Engine::plugin_usage`] of all plugins, in the order in which they became known. Each is of one moment; together they are not.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for (id, usage) in engine.plugin_usages() {
    ///     println!("{id}: {:?} µs of CPU time", usage.cpu_total_us);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn plugin_usages(&self) -> Vec<(PluginId, PluginUsage)> {
        let board = &self.shared().board;
        let of = |cell: &Arc<Cell>| {
            let usage = cell.lock().usage.report(board.ledger.time.now());
            (cell.id.clone(), usage)
        };
        board.registry.all().map(of).collect()
    }

    /// What is counted of all plugins, and how their updates are spread over times, in the order in which the plugins became known: what a monitoring system
    /// wants to know every few seconds. Each is of one moment; together they are not. Never waits for a plugin, and holds up none for longer
    /// than it takes to add up 360 numbers.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for (id, tallies) in engine.plugin_tallies() {
    ///     println!("{id}: restarted {} times", tallies.restarts);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn plugin_tallies(&self) -> Vec<(PluginId, PluginTallies)> {
        let cells = self.shared().board.registry.all();
        cells
            .map(|cell| (cell.id.clone(), cell.lock().usage.tallies()))
            .collect()
    }
}
