//! The façade: what an embedder calls. Here is what concerns the engine as a whole; files are in `loads`, one plugin in `by_hand`, cycles
//! in `cycles`, and what is asked of histories, tasks, usage and readiness beside those.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::Health;

use crate::error::Error;
use crate::events::Subscription;
use crate::shared::Shared;
use crate::shutdown::{self, StuckCall};
use crate::snapshot::Snapshot;
use crate::topics::Pattern;

/// How long the last handle of an engine that was not shut down waits when it is dropped.
const DROP_BUDGET: Duration = Duration::from_secs(1);

/// An engine. A handle: clones are the same engine.
///
/// Every method may be called from any thread, also from within a tokio runtime and from within a callback. None panics.
/// Those that wait for a plugin (`enable`, `disable`, `reset`, `unload`, `load`, `update`, `display`, `run_cycle`) wait no longer
/// than the deadlines of the calls they depend on; status reads never wait for any of them.
///
/// When the last handle is dropped without [`Engine::shutdown`], the engine shuts down with a budget of one second.
#[derive(Clone)]
pub struct Engine {
    handle: Arc<Handle>,
}

/// What all clones of a handle share; the engine's own threads hold the part inside, so they do not keep it from being dropped.
struct Handle {
    shared: Arc<Shared>,
}

impl Drop for Handle {
    fn drop(&mut self) {
        shutdown::shutdown(&self.shared, DROP_BUDGET);
    }
}

impl Engine {
    pub(crate) fn new(shared: Arc<Shared>) -> Self {
        Self {
            handle: Arc::new(Handle { shared }),
        }
    }

    pub(crate) fn start(&self) -> Result<(), Error> {
        self.shared().executor.start(&self.shared().supervisor)
    }

    pub(crate) fn shared(&self) -> &Arc<Shared> {
        &self.handle.shared
    }

    /// Everything that is known of a plugin at one moment. An unknown id is Unloaded. Never waits for a plugin.
    ///
    /// Takes no lock, unless writers come in between 64 times, and allocates nothing for an id that is known. A thread that keeps more than eight
    /// of them for long reads the next ones at twice the cost, of some 50 ns; [`Engine::snapshots`] is for having all.
    ///
    /// ```
    /// use plugin_engine::PluginState;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let snapshot = engine.snapshot("nobody");
    /// assert_eq!(snapshot.state, PluginState::Unloaded);
    /// assert!(snapshot.error.is_none());
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn snapshot(&self, id: &str) -> Snapshot {
        let shared = self.shared();
        match shared.board.registry.find(id) {
            Some(cell) => cell.snapshot(&shared.board.ledger.time),
            None => Snapshot::unknown(id),
        }
    }

    /// The snapshots of all plugins, in the order in which they became known. Each is of one moment; together they are not.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for snapshot in engine.snapshots() {
    ///     println!("{} is {} and {}", snapshot.id(), snapshot.state, snapshot.health);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let shared = self.shared();
        shared
            .board
            .registry
            .all()
            .map(|cell| cell.snapshot(&shared.board.ledger.time).kept())
            .collect()
    }

    /// Subscribes to events whose topic fits `pattern`: `*` stands for one part of a topic, `**` at the end for all that follow.
    /// Begins with the present state of each plugin, as `plugin.<id>.state`, and with those that are unhealthy, as `plugin.<id>.unhealthy`:
    /// each unhealthy episode is told once to every subscription, however late it comes.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let unhealthy = engine.subscribe("plugin.*.unhealthy");
    /// while let Some(event) = unhealthy.try_next() {
    ///     eprintln!("{event}");
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use = "dropping the subscription ends it"]
    pub fn subscribe(&self, pattern: &str) -> Subscription {
        let shared = self.shared();
        shared
            .board
            .ledger
            .events
            .subscribe(Pattern::new(pattern), |begin| {
                for cell in shared.board.registry.all() {
                    let snapshot = cell.snapshot(&shared.board.ledger.time);
                    let payload = match &snapshot.error {
                        Some(error) => format!("{} {error}", snapshot.state),
                        None => snapshot.state.to_string(),
                    };
                    begin.state(snapshot.since.unwrap_or_default(), snapshot.id(), &payload);
                    if snapshot.health == Health::Unhealthy {
                        cell.begin_episode(begin);
                    }
                }
            })
    }

    /// The JSON Schema that the plugin's file brings for its settings, as JSON. `None` for an unknown id, while nothing is loaded, and where
    /// the author has none. Never waits for a plugin.
    ///
    /// ```
    /// # use plugin_engine::Engine;
    /// let engine = Engine::builder().build()?;
    /// assert_eq!(engine.settings_schema("nobody"), None);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn settings_schema(&self, id: &str) -> Option<String> {
        let guarded = self.shared().board.registry.find(id)?.lock();
        let schema = guarded.loaded.as_ref()?.library.schema.as_ref()?;
        Some(schema.to_string())
    }

    /// The calls that have passed their deadline and have not returned.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for stuck in engine.stuck_calls() {
    ///     eprintln!("{} of {} has not returned since {}", stuck.call, stuck.id, stuck.since);
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn stuck_calls(&self) -> Vec<StuckCall> {
        shutdown::stuck_calls(self.shared())
    }

    /// How many threads, bytes and libraries the engine uses now.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().workers(2).build()?;
    /// let usage = engine.usage();
    /// assert_eq!(usage.workers, 2);
    /// assert!(usage.threads <= usage.threads_max);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn usage(&self) -> Usage {
        let shared = self.shared();
        let (threads, slow_threads) = shared.executor.threads();
        let libraries = shared.libraries.count();
        Usage {
            workers: shared.executor.workers(),
            threads,
            slow_threads,
            threads_max: shared.options.threads_max,
            history_bytes: shared.board.ledger.history_budget.used(),
            libraries: libraries.all(),
            libraries_in_use: libraries.in_use,
            libraries_retired: libraries.retired,
            libraries_max: shared.libraries.limit(),
            plugins: shared.board.registry.len(),
        }
    }

    /// Stops: no new call starts; calls in flight are asked to return and waited for; instances are destroyed in the reverse
    /// order of their start. All within `budget` of real time. What does not return in time is left behind: logged, in the
    /// history, and named by [`Engine::stuck_calls`]. A second call does nothing. History and snapshots stay readable.
    ///
    /// ```
    /// use plugin_engine::Code;
    /// use std::time::Duration;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// engine.shutdown(Duration::from_secs(5))?;
    /// let error = engine.load_file("plugins.d/libclock.so").unwrap_err();
    /// assert_eq!(error.code(), Code::SHUT_DOWN);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// None at present; what a plugin does cannot make a shutdown fail.
    pub fn shutdown(&self, budget: Duration) -> Result<(), Error> {
        shutdown::shutdown(self.shared(), budget);
        Ok(())
    }
}

impl std::fmt::Debug for Engine {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Engine")
            .field("usage", &self.usage())
            .finish_non_exhaustive()
    }
}

/// What an engine uses.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct Usage {
    /// How many plugins are called at the same time when none of them is slow.
    pub workers: usize,
    /// Threads that call plugins.
    pub threads: usize,
    /// Those of them that are in a call which has lasted a millisecond, abandoned or not.
    pub slow_threads: usize,
    /// The limit of threads.
    pub threads_max: usize,
    /// Memory that the histories take, in bytes.
    pub history_bytes: usize,
    /// Libraries that are mapped; see [`Engine::mapped_libraries`].
    pub libraries: usize,
    /// Those of them that a plugin uses.
    pub libraries_in_use: usize,
    /// Those of them that nothing uses any more.
    pub libraries_retired: usize,
    /// The limit of libraries.
    pub libraries_max: usize,
    /// Ids that are known.
    pub plugins: usize,
}

const _: fn() = || {
    fn is_shared<T: Send + Sync + Clone>() {}
    is_shared::<Engine>();
};
