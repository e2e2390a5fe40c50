//! What an embedder calls of histories: asking, forgetting, and having them written. The rest of the façade is in `engine`.

use std::sync::atomic::Ordering;
#[cfg(feature = "history-sqlite")]
use std::time::Duration;

use plugin_engine_core::HistoryFilter;

#[cfg(feature = "history-sqlite")]
use crate::durable::HistoryStatus;
use crate::engine::Engine;
use crate::error::Error;
use crate::forget;
use crate::query::{self, HistoryAnswer, HistoryQuery};

/// Histories.
impl Engine {
    /// The history of a plugin. An unknown id has an empty one.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for entry in engine.history("clock").errors().newest_first().limit(20) {
    ///     println!("{entry}");
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn history(&self, id: &str) -> HistoryQuery {
        HistoryQuery::of_plugin(self.shared(), id)
    }

    /// The history of all plugins, in the order of the sequence numbers.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let mut seen = 0;
    /// for entry in engine.history_of_all().after(seen) {
    ///     seen = entry.seq;          // where to go on the next time
    ///     println!("{entry}");
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn history_of_all(&self) -> HistoryQuery {
        HistoryQuery::of_all(self.shared())
    }

    /// The entries of the history that a filter wants: what [`history`](Self::history) and [`history_of_all`](Self::history_of_all) answer, for a question that
    /// was put together elsewhere, such as on a command line.
    ///
    /// ```
    /// use plugin_engine::{HistoryFilter, WallTime};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let mut filter = HistoryFilter::default();
    /// filter.set("id", "clock,feed", WallTime::default())?;
    /// filter.set("errors", "true", WallTime::default())?;
    /// let answer = engine.query(&filter);
    /// println!("{} entries, {} have left", answer.entries.len(), answer.lost);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn query(&self, filter: &HistoryFilter) -> HistoryAnswer {
        query::answer(self.shared(), filter)
    }

    /// Forgets the history of a plugin that is Unloaded, in memory and on disk.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// engine.unload("clock")?;
    /// engine.forget("clock")?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// The id is unknown, the plugin is not Unloaded, or the history on disk cannot be changed; nothing is forgotten then.
    pub fn forget(&self, id: &str) -> Result<(), Error> {
        forget::forget(self.shared(), id)
    }

    /// How the history on disk stands; `None` for an engine without a state directory, whose history is in memory only.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let engine = plugin_engine::Engine::builder().state_dir(dir.path()).build()?;
    /// let status = engine.history_status().expect("there is a state directory");
    /// assert_eq!(status.problem, None);
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "history-sqlite")]
    #[must_use]
    pub fn history_status(&self) -> Option<HistoryStatus> {
        let shared = self.shared();
        let durable = shared.durable.as_ref()?;
        Some(durable.status(&shared.board))
    }

    /// Has everything written to disk that has happened by now, and waits for that no longer than `limit` of real time. `false` if it is not written by
    /// then; `true` also for an engine without a history on disk. Nobody has to: it is done each 200 ms.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let engine = plugin_engine::Engine::builder().state_dir(dir.path()).build()?;
    /// assert!(engine.flush_history(Duration::from_secs(60)));
    /// # Ok(()) }
    /// ```
    #[cfg(feature = "history-sqlite")]
    pub fn flush_history(&self, limit: Duration) -> bool {
        let shared = self.shared();
        shared.durable.as_ref().is_none_or(|durable| {
            let last = self.last_seq();
            durable.flush(limit) && durable.status(&shared.board).durable_seq >= last
        })
    }

    /// The number of the last transition. A counter that has not moved means that nothing has happened.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let before = engine.last_seq();
    /// engine.run_cycle();
    /// assert_eq!(engine.last_seq(), before, "nothing was due");
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn last_seq(&self) -> u64 {
        self.shared().board.ledger.next_seq.load(Ordering::SeqCst)
    }
}
