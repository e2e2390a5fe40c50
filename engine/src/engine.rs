//! The façade: what an embedder calls.

use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::Duration;

use plugin_api::View;
use plugin_engine_core::{Health, Moment};

use crate::commands;
use crate::crashes::FoundCall;
use crate::error::{Error, LoadError};
use crate::events::{Pattern, Subscription};
use crate::executor::CycleReport;
use crate::library::MappedLibrary;
use crate::plugins::{self, LoadOutcome};
use crate::readiness;
use crate::reload::{self, Trigger};
use crate::scheduler::{self, Cycle, RunLimit};
use crate::shared::Shared;
use crate::shutdown::{self, StuckCall};
use crate::snapshot::Snapshot;
use crate::supervisor::TaskHandle;
use crate::sync;
use crate::unmap;

/// How long the last handle of an engine that was not shut down waits when it is dropped.
const DROP_BUDGET: Duration = Duration::from_secs(1);

/// Ends the run of a future that is dropped.
struct StopOnDrop(TaskHandle);

impl Drop for StopOnDrop {
    fn drop(&mut self) {
        self.0.cancel();
    }
}

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

    /// Loads every plugin file of the plugin directory that is not loaded yet, by file name, and waits until the plugins are
    /// created, within the start-up budget. One outcome per plugin, or per file that is none.
    ///
    /// A bad file, a bad configuration or a slow plugin keeps no other from being loaded. A directory or an engine
    /// configuration that cannot be read is a line of log and no outcome; [`Engine::try_load_all`] returns it as an error.
    pub fn load_all(&self) -> Vec<LoadOutcome> {
        match self.try_load_all() {
            Ok(outcomes) => outcomes,
            Err(error) => {
                tracing::error!(target: "plugin_engine", %error, "cannot load plugins");
                Vec::new()
            }
        }
    }

    /// [`Engine::load_all`], with what keeps all of it from being done as an error instead of a line of log.
    ///
    /// # Errors
    /// The directory or the engine's configuration cannot be read, or that asks for less of plugin files than when the engine was
    /// built, or the engine was shut down.
    pub fn try_load_all(&self) -> Result<Vec<LoadOutcome>, Error> {
        let mut outcomes = Vec::new();
        self.load_each(|outcome| outcomes.push(outcome))?;
        Ok(outcomes)
    }

    /// [`Engine::try_load_all`], with each outcome handed over as soon as it is known, on this thread and under no lock: a refused file
    /// is told at once, a plugin once it is created.
    ///
    /// # Errors
    /// The directory or the engine's configuration cannot be read: nothing was told then. Or the engine was shut down, which may come
    /// between two files: those after it are not loaded, and how those before it ended is in the history.
    pub fn load_each(&self, told: impl FnMut(LoadOutcome)) -> Result<(), Error> {
        plugins::load_all(self.shared(), told)?;
        readiness::loaded(self.shared());
        Ok(())
    }

    /// Loads one file from anywhere, as the configuration beside it says. A file of the plugin directory, whichever way it is named, is
    /// loaded as [`Engine::load_all`] would; elsewhere a `plugins.lock` of the directory in which the file is named holds, if there is
    /// one, unless the policy names a lock.
    ///
    /// # Errors
    /// The configuration beside it is not good, or the engine was shut down. What is wrong with the file itself is in the
    /// outcome.
    pub fn load_file(&self, path: impl AsRef<Path>) -> Result<Vec<LoadOutcome>, Error> {
        let outcomes = plugins::load_path(self.shared(), path.as_ref())?;
        readiness::loaded(self.shared());
        Ok(outcomes)
    }

    /// Brings what is loaded in line with the plugin directory and the configurations as they are now: a new file is loaded; one that
    /// was replaced, or whose configuration changed, is reloaded; the plugins of one that is gone are unloaded; what was refused is tried
    /// again. Nothing else is touched, and what has not changed is not told. Each outcome is handed over as soon as it is known, on this
    /// thread and under no lock.
    ///
    /// An engine's file that is not good is one of the outcomes; what held before goes on until it changes. A plugin that was switched
    /// off by command stays so; one that was unloaded by command stays so until its file changes.
    ///
    /// A file that is being written at this moment is taken as it is, which may be half of it, and refused; [`Engine::watch`] waits.
    ///
    /// # Errors
    /// The plugin directory cannot be read, or is an empty one in place of the one before, as an unmounted file system leaves it: nothing
    /// changed then. Or the engine was shut down.
    pub fn sync(&self, mut told: impl FnMut(LoadOutcome)) -> Result<(), Error> {
        sync::sync(self.shared(), &mut told)?;
        readiness::loaded(self.shared());
        Ok(())
    }

    /// Watches the plugin directory and the configuration, on a thread of its own, and does what [`Engine::sync`] does for each change
    /// once it has settled: when the file has stayed as it is for a while, so that half a file is none, or has been gone for a while, so
    /// that a file which is taken away and put back is one that was replaced. What was refused is tried again when it changes.
    ///
    /// Besides what the system reports, the directory is looked at every few seconds; where the system reports nothing, that is all, and
    /// a line of log says so. A directory that is gone altogether changes nothing until it is back.
    ///
    /// `told` gets the outcomes, on that thread and under no lock. If it panics, the watch goes on. Of several watches of one engine each
    /// change is told to one.
    ///
    /// The watch ends when its handle is dropped or the engine is shut down; what it is about to do at that moment is done. An engine
    /// without a plugin directory has nothing to watch.
    ///
    /// # Errors
    /// The thread could not be started.
    #[cfg(feature = "watch")]
    pub fn watch(
        &self,
        told: impl FnMut(LoadOutcome) + Send + 'static,
    ) -> Result<crate::watch::WatchHandle, Error> {
        crate::watch::start(self.shared(), Box::new(told))
    }

    /// Loads a plugin again that was unloaded, from the file it came from.
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the file is refused.
    pub fn load(&self, id: &str) -> Result<LoadOutcome, Error> {
        commands::load(self.shared(), id)
    }

    /// Has what is in the plugin's file now, and said of it now, take over from what is active, if it is good. It is verified, loaded,
    /// created and, unless `trial_update` is off, updated once while the instance before goes on; then calls are switched between two
    /// of them, and the instance before is destroyed. No update that is due is missed. A plugin of which nothing is loaded is loaded.
    ///
    /// Where bytes and settings are those that are active, nothing happens, or other times begin to hold.
    ///
    /// # Errors
    /// The id is unknown, or the replacement was refused: the instance before goes on, the same one, and the reason is in the history, too.
    pub fn reload(&self, id: &str) -> Result<LoadOutcome, Error> {
        reload::reload(self.shared(), id)
    }

    /// Brings the plugins of one file in line with it and with the configurations as they are now: [`Engine::reload`] for those that are
    /// loaded, [`Engine::load_file`] for those that are not; what no configuration makes of the file any more is unloaded.
    ///
    /// # Errors
    /// The configuration is not good and nothing of the file is loaded, or the engine was shut down. A replacement that was refused
    /// is an outcome.
    pub fn reload_file(&self, path: impl AsRef<Path>) -> Result<Vec<LoadOutcome>, Error> {
        reload::reload_file(self.shared(), path.as_ref(), Trigger::Asked)
    }

    /// The calls that were in flight when the process before ended that had this engine's state directory: whose call brought it to its
    /// end, and who was only being called. Each is in the history of its plugin, too. Empty without a state directory, and after an engine
    /// that was shut down.
    #[must_use]
    pub fn found_calls(&self) -> &[FoundCall] {
        self.shared().board.crashes.found()
    }

    /// Calls every plugin that is due, and waits for the ends or the deadlines of the calls.
    pub fn run_cycle(&self) -> CycleReport {
        self.start_cycle().wait()
    }

    /// Starts a cycle and returns at once.
    pub fn start_cycle(&self) -> Cycle {
        scheduler::start_cycle(self.shared())
    }

    /// Runs cycles, each when the next plugin is due, until [`Engine::stop`] or [`Engine::shutdown`]. Blocks; no plugin is
    /// called on this thread.
    pub fn run(&self) {
        self.run_until(RunLimit::Stopped);
    }

    /// [`Engine::run`] with a limit. Returns in how many cycles plugins were due.
    pub fn run_until(&self, limit: RunLimit) -> u64 {
        let before = self.shared().board.ledger.run.stops.load(Ordering::SeqCst);
        scheduler::run(self.shared(), limit, before)
    }

    /// [`Engine::run`] as a future, for any executor. Dropping it stops the run.
    ///
    /// # Errors
    /// The thread that runs the cycles could not be started.
    pub async fn run_async(&self) -> Result<(), Error> {
        let run = scheduler::start(self.shared())?;
        let run = StopOnDrop(run);
        run.0.ended().await;
        Ok(())
    }

    /// Tells all runs to return. Calls in flight go on to their ends or deadlines.
    pub fn stop(&self) {
        scheduler::stop(self.shared());
    }

    /// Everything that is known of a plugin at one moment. An unknown id is Unloaded. Never waits for a plugin.
    #[must_use]
    pub fn snapshot(&self, id: &str) -> Snapshot {
        let shared = self.shared();
        match shared.board.registry.find(id) {
            Some(cell) => cell.snapshot(&shared.board.ledger.time),
            None => Snapshot::unknown(id),
        }
    }

    /// The snapshots of all plugins, in the order in which they became known. Each is of one moment; together they are not.
    #[must_use]
    pub fn snapshots(&self) -> Vec<Snapshot> {
        let shared = self.shared();
        shared
            .board
            .registry
            .all()
            .map(|cell| cell.snapshot(&shared.board.ledger.time))
            .collect()
    }

    /// Subscribes to events whose topic fits `pattern`: `*` stands for one part of a topic, `**` at the end for all that follow.
    /// Begins with the present state of each plugin, as `plugin.<id>.state`, and with those that are unhealthy, as `plugin.<id>.unhealthy`:
    /// each unhealthy episode is told once to every subscription, however late it comes.
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

    /// The files that were refused and have no plugin that shows the reason: nobody could read whose they are, or another file
    /// has the id.
    #[must_use]
    pub fn refused(&self) -> Vec<Arc<LoadError>> {
        self.shared().refused.unshown()
    }

    /// Switches a plugin on: creates an instance where there is none.
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or create failed.
    pub fn enable(&self, id: &str) -> Result<(), Error> {
        commands::enable(self.shared(), id)
    }

    /// Switches a plugin off: destroys its instance and keeps its code.
    ///
    /// # Errors
    /// The id is unknown, or the state does not admit it.
    pub fn disable(&self, id: &str) -> Result<(), Error> {
        commands::disable_by_hand(self.shared(), id)
    }

    /// Begins anew: a new instance, no error. Leaves the state Error, and loads what was unloaded because it was unhealthy or that has
    /// crashed the engine.
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or create failed.
    pub fn reset(&self, id: &str) -> Result<(), Error> {
        commands::reset(self.shared(), id)
    }

    /// Unloads a plugin: destroys its instance and lets go of its library, whose code stays mapped unless `unmap` is `when-safe`, see
    /// [`Engine::mapped_libraries`]. Its history is kept.
    ///
    /// # Errors
    /// The id is unknown, or the state does not admit it.
    pub fn unload(&self, id: &str) -> Result<(), Error> {
        commands::unload_by_hand(self.shared(), id)
    }

    /// Updates a plugin now, due or not, and waits for the end or the deadline.
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the update failed, panicked or passed its deadline.
    pub fn update(&self, id: &str) -> Result<(), Error> {
        commands::update(self.shared(), id)
    }

    /// What a plugin shows of itself.
    ///
    /// # Errors
    /// The id is unknown, the state does not admit it, or the display failed, panicked or passed its deadline.
    pub fn display(&self, id: &str) -> Result<View, Error> {
        commands::display(self.shared(), id)
    }

    /// The JSON Schema that the plugin's file brings for its settings, as JSON. `None` for an unknown id, while nothing is loaded, and where
    /// the author has none. Never waits for a plugin.
    #[must_use]
    pub fn settings_schema(&self, id: &str) -> Option<String> {
        let guarded = self.shared().board.registry.find(id)?.lock();
        let schema = guarded.loaded.as_ref()?.library.schema.as_ref()?;
        Some(schema.to_string())
    }

    /// The calls that have passed their deadline and have not returned.
    #[must_use]
    pub fn stuck_calls(&self) -> Vec<StuckCall> {
        shutdown::stuck_calls(self.shared())
    }

    /// The plugin files whose code is in this process, in the order in which they were mapped, each with why it still is. One that
    /// nothing uses any more stays for the life of the process, unless `unmap` is `when-safe` for all of its plugins and nothing can run
    /// it any more. Never waits for a plugin.
    #[must_use]
    pub fn mapped_libraries(&self) -> Vec<MappedLibrary> {
        unmap::mapped(self.shared())
    }

    /// How many threads, bytes and libraries the engine uses now.
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

    /// When the next plugin is due, by the engine's own clock.
    #[must_use]
    pub fn next_due(&self) -> Option<Moment> {
        self.shared().board.ledger.timers.lock().next_due()
    }

    /// Stops: no new call starts; calls in flight are asked to return and waited for; instances are destroyed in the reverse
    /// order of their start. All within `budget` of real time. What does not return in time is left behind: logged, in the
    /// history, and named by [`Engine::stuck_calls`]. A second call does nothing. History and snapshots stay readable.
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
