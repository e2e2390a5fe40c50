//! What is known of an engine at one moment, gathered for its metrics: from published snapshots, without waiting for anybody.

use plugin_engine::{
    Engine, MappedLibrary, PluginTallies, Snapshot, TaskLiveness, Usage, WallTime,
};

/// What is known at one moment.
#[derive(Debug)]
pub(super) struct Gathered {
    pub(super) started_at: WallTime,
    pub(super) usage: Usage,
    pub(super) last_seq: u64,
    pub(super) plugins: Vec<(Snapshot, PluginTallies)>,
    pub(super) libraries: Vec<MappedLibrary>,
    pub(super) tasks: Vec<TaskLiveness>,
    pub(super) stuck_calls: usize,
    pub(super) refused: usize,
    pub(super) is_ready: bool,
    pub(super) events_lost: u64,
    /// Entries that wait to be written, and whether nothing is written at present; `None` where the history is in memory alone.
    pub(super) durable: Option<(u64, bool)>,
}

impl Gathered {
    /// About how long all of it is in words, in bytes.
    pub(super) fn text_len(&self) -> usize {
        let ids: usize = self
            .plugins
            .iter()
            .map(|(one, _)| one.id().as_str().len())
            .sum();
        // Some forty samples of a plugin, each with its id.
        16 * 1_024 + self.plugins.len() * 2_900 + ids * 45
    }

    pub(super) fn from(engine: &Engine, events_lost: u64) -> Self {
        let tallies = engine.plugin_tallies();
        // Both are in the order in which plugins became known, and what is known stays so: one that came between has no tallies yet.
        let plugins = engine.snapshots().into_iter().zip(tallies);
        let plugins = plugins.map(|(snapshot, (_, tallies))| (snapshot, tallies));
        Self {
            started_at: engine.started_at(),
            usage: engine.usage(),
            last_seq: engine.last_seq(),
            plugins: plugins.collect(),
            libraries: engine.mapped_libraries(),
            tasks: engine.liveness(),
            stuck_calls: engine.stuck_calls().len(),
            refused: engine.refused().len(),
            is_ready: engine.readiness().is_ready(),
            events_lost,
            durable: durable(engine),
        }
    }
}

#[cfg(feature = "history-sqlite")]
fn durable(engine: &Engine) -> Option<(u64, bool)> {
    let status = engine.history_status()?;
    Some((status.held, status.problem.is_some()))
}

#[cfg(not(feature = "history-sqlite"))]
fn durable(_engine: &Engine) -> Option<(u64, bool)> {
    None
}
