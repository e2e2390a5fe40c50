//! How an engine is made.

mod settle;
#[cfg(feature = "watch")]
mod watching;

use std::fmt;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use crate::board::Board;
use crate::census::{Census, ThreadCensus};
use crate::changes::KnownFiles;
use crate::clock::{Clock, SystemClock, TimeSource};
use crate::config::{self, ConfigInForce, EngineConfig};
use crate::crashes::Crashes;
use crate::engine::Engine;
use crate::error::Error;
use crate::executor::Executor;
use crate::ledger::Ledger;
use crate::library::Libraries;
use crate::loader::Loader;
use crate::plugins;
use crate::refused::RefusedFiles;
use crate::registry::Registry;
use crate::requirements::Requirements;
use crate::shared::Shared;
use crate::state_dir::StateDir;
use crate::supervisor::{FaultHook, FaultPoint, Supervisor, TaskContext};
use crate::unmap::Reaper;
use crate::verify::VerifyPolicy;
use settle::StartOptions;

/// Makes an [`Engine`]. Every value has a default; each is checked by [`EngineBuilder::build`].
///
/// ```
/// use plugin_engine::Engine;
/// use std::time::Duration;
///
/// let engine = Engine::builder()
///     .plugin_dir("plugins.d")
///     .workers(2)
///     .threads_max(64)
///     .libraries_max(100)
///     .create_timeout(Duration::from_secs(10))
///     .display_timeout(Duration::from_secs(1))
///     .destroy_timeout(Duration::from_secs(1))
///     .trial_timeout(Duration::from_secs(5))
///     .state_timeout(Duration::from_secs(5))
///     .load_timeout(Duration::from_secs(5))
///     .startup_budget(Duration::from_secs(20))
///     .history_bytes_max(64 << 20)
///     .backtraces(false)
///     .build()?;
/// assert_eq!(engine.usage().threads_max, 64);
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
#[derive(Default)]
pub struct EngineBuilder {
    plugin_dir: Option<PathBuf>,
    config_file: Option<PathBuf>,
    workers: Option<usize>,
    threads_max: Option<usize>,
    libraries_max: Option<usize>,
    create_timeout: Option<Duration>,
    display_timeout: Option<Duration>,
    destroy_timeout: Option<Duration>,
    trial_timeout: Option<Duration>,
    state_timeout: Option<Duration>,
    load_timeout: Option<Duration>,
    startup_budget: Option<Duration>,
    #[cfg(feature = "watch")]
    watch_settle: Option<Duration>,
    #[cfg(feature = "watch")]
    watch_grace: Option<Duration>,
    #[cfg(feature = "watch")]
    watch_rescan: Option<Duration>,
    backtraces: Option<bool>,
    history_bytes_max: Option<usize>,
    #[cfg(feature = "history-sqlite")]
    history_kept_for: Option<Duration>,
    #[cfg(feature = "history-sqlite")]
    history_file_bytes_max: Option<u64>,
    verify_policy: Option<VerifyPolicy>,
    clock: Option<Arc<dyn Clock>>,
    census: Option<Box<dyn ThreadCensus>>,
    state_dir: Option<PathBuf>,
    faults: Option<FaultHook>,
}

impl fmt::Debug for EngineBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("EngineBuilder")
            .field("plugin_dir", &self.plugin_dir)
            .field("config_file", &self.config_file)
            .field("state_dir", &self.state_dir)
            .field("workers", &self.workers)
            .finish_non_exhaustive()
    }
}

impl Engine {
    /// Begins to make an engine.
    ///
    /// ```
    /// let engine = plugin_engine::Engine::builder().workers(2).build()?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }
}

impl EngineBuilder {
    /// The directory that plugin files are dropped into. Without one, plugins come only by [`Engine::load_file`].
    pub fn plugin_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.plugin_dir = Some(dir.into());
        self
    }

    /// The engine's configuration file. Its `[engine]` is read by [`EngineBuilder::build`], where what is said here by code comes
    /// first; `[[plugin]]`, `[defaults]` and `[verify]` are read by every [`Engine::load_all`] and [`Engine::load_file`].
    /// A file that no longer requires signatures, or no longer names a lock, as it did at the build, is an error of the load.
    ///
    /// ```
    /// use plugin_engine::Engine;
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let file = dir.path().join("engine.toml");
    /// std::fs::write(&file, "[engine]\nworkers = 2\n")?;
    /// let engine = Engine::builder().config_file(&file).build()?;
    /// assert_eq!(engine.usage().workers, 2);
    /// # Ok(()) }
    /// ```
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.config_file = Some(file.into());
        self
    }

    /// How many plugins are called at the same time when none of them is slow: 1 to 256, by default one per processor.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = Some(count);
        self
    }

    /// The limit of threads that call plugins, slow and hung calls included: from one more than the workers to 65,536,
    /// by default 512. When all but as many as there are workers are in slow calls, plugins that hung the last time are no
    /// longer called, and say so.
    pub fn threads_max(mut self, count: usize) -> Self {
        self.threads_max = Some(count);
        self
    }

    /// How many different plugin files may be mapped, each of which stays so unless `unmap` is `when-safe`: 1 to 1,000,000, by default 900. A process has keys for
    /// thread-local values for about a thousand files that use them (with glibc); a load that would leave fewer than 64 is refused
    /// whatever is said here.
    pub fn libraries_max(mut self, count: usize) -> Self {
        self.libraries_max = Some(count);
        self
    }

    /// How long a create may take: 1 ms to one day, by default 30 s.
    pub fn create_timeout(mut self, timeout: Duration) -> Self {
        self.create_timeout = Some(timeout);
        self
    }

    /// How long a display may take: 1 ms to one day, by default 2 s.
    pub fn display_timeout(mut self, timeout: Duration) -> Self {
        self.display_timeout = Some(timeout);
        self
    }

    /// How long a destroy may take: 1 ms to one day, by default 5 s.
    pub fn destroy_timeout(mut self, timeout: Duration) -> Self {
        self.destroy_timeout = Some(timeout);
        self
    }

    /// How long the trial update of a replacement may take: 1 ms to one day, by default as long as any update of that plugin.
    pub fn trial_timeout(mut self, timeout: Duration) -> Self {
        self.trial_timeout = Some(timeout);
        self
    }

    /// How long saving the state for a replacement may take, and how long restoring it: 1 ms to one day, by default 5 s.
    pub fn state_timeout(mut self, timeout: Duration) -> Self {
        self.state_timeout = Some(timeout);
        self
    }

    /// How long the code of a file that runs at load (its constructors) is waited for, in real time: 1 ms to one day, by
    /// default 10 s.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.load_timeout = Some(timeout);
        self
    }

    /// How long [`Engine::load_all`] waits for plugins to be created, in real time; those that take longer go on by
    /// themselves and are named as deferred. 1 ms to one day, by default 35 s.
    pub fn startup_budget(mut self, budget: Duration) -> Self {
        self.startup_budget = Some(budget);
        self
    }

    /// How much memory the histories of all plugins may take together, in bytes; by default 256 MiB. When it is used up, older
    /// entries leave earlier; each plugin keeps 16 of each kind in any case.
    pub fn history_bytes_max(mut self, bytes: usize) -> Self {
        self.history_bytes_max = Some(bytes);
        self
    }

    /// How long entries of the history are kept on disk, where there is a state directory: one minute to ten years, by default 30 days.
    ///
    /// ```
    /// use std::time::Duration;
    ///
    /// let week = Duration::from_secs(7 * 24 * 3_600);
    /// let builder = plugin_engine::Engine::builder().state_dir("state").history_kept_for(week);
    /// ```
    #[cfg(feature = "history-sqlite")]
    pub fn history_kept_for(mut self, time: Duration) -> Self {
        self.history_kept_for = Some(time);
        self
    }

    /// How many bytes the history may take on disk before its oldest entries leave: 1 MiB to 16 TiB, by default 1 GiB.
    ///
    /// ```
    /// let builder = plugin_engine::Engine::builder().state_dir("state").history_file_bytes_max(64 << 20);
    /// ```
    #[cfg(feature = "history-sqlite")]
    pub fn history_file_bytes_max(mut self, bytes: u64) -> Self {
        self.history_file_bytes_max = Some(bytes);
        self
    }

    /// Whether panics are recorded with a backtrace (module and offset per frame). By default as `RUST_BACKTRACE` says.
    pub fn backtraces(mut self, wanted: bool) -> Self {
        self.backtraces = Some(wanted);
        self
    }

    /// What plugin files must fulfil beyond being good plugins: signatures, a lock, owners. By default what `[verify]` of the
    /// configuration file says, which has no say when this is given.
    ///
    /// ```
    /// use plugin_engine::{Engine, VerifyPolicy};
    ///
    /// let mut policy = VerifyPolicy::default();
    /// policy.trusted_owners = vec![1_001];
    /// let engine = Engine::builder().plugin_dir("plugins.d").verify_policy(policy).build()?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn verify_policy(mut self, policy: VerifyPolicy) -> Self {
        self.verify_policy = Some(policy);
        self
    }

    /// A count of the process's threads and keys, without which no plugin file is unmapped, whatever `unmap` is. See [`ThreadCensus`].
    ///
    /// ```
    /// use plugin_engine::{Engine, LiveThread, ThreadCensus, ThreadKey};
    ///
    /// /// One that admits that it knows nothing, so that nothing is unmapped.
    /// struct Nobody;
    ///
    /// impl ThreadCensus for Nobody {
    ///     fn trouble(&self) -> Option<String> { Some("nobody counts".to_owned()) }
    ///     fn threads(&self) -> Vec<LiveThread> { Vec::new() }
    ///     fn keys(&self) -> Vec<ThreadKey> { Vec::new() }
    ///     fn delete_key(&self, _: ThreadKey) {}
    /// }
    ///
    /// let engine = Engine::builder().thread_census(Nobody).build()?;
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn thread_census(mut self, census: impl ThreadCensus) -> Self {
        self.census = Some(Box::new(census));
        self
    }

    /// The directory in which the engine keeps what has to outlive its process: which plugin each thread is calling, and how often each
    /// plugin has crashed the engine. Made if it is not there, and this engine's alone until it is shut down. Without one nothing is
    /// written, and a crash is nobody's.
    ///
    /// A crash is counted for the plugin whose call it came about in. That takes marks which [`install_crash_marks`] has the process
    /// leave; without them a plugin was only being called when the process ended.
    ///
    /// [`install_crash_marks`]: crate::install_crash_marks
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let state = dir.path().join("state");
    /// plugin_engine::install_crash_marks();
    /// let engine = plugin_engine::Engine::builder().state_dir(&state).build()?;
    /// assert!(state.is_dir());
    /// # Ok(()) }
    /// ```
    pub fn state_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.state_dir = Some(dir.into());
        self
    }

    /// Another clock than the machine's.
    ///
    /// ```
    /// use plugin_engine::{Engine, ManualClock, WallTime};
    ///
    /// let clock = ManualClock::new(WallTime::default());
    /// let engine = Engine::builder().clock(clock.clone()).build()?;
    /// clock.advance(std::time::Duration::from_secs(3_600));
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Has this called at certain points of the engine's background tasks, on their own threads, so that tests can make them fail.
    #[doc(hidden)]
    pub fn inject_faults(
        mut self,
        faults: impl Fn(&TaskContext, FaultPoint) + Send + Sync + 'static,
    ) -> Self {
        self.faults = Some(Arc::new(faults));
        self
    }

    /// Makes the engine and starts its threads.
    ///
    /// ```
    /// use plugin_engine::{Code, Engine};
    ///
    /// let engine = Engine::builder().plugin_dir("plugins.d").build()?;
    /// let refused = Engine::builder().workers(1_000).build().unwrap_err();
    /// assert_eq!(refused.code(), Code::CONFIG_RANGE);
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    ///
    /// # Errors
    /// A value is out of its range, the state directory cannot be used or another engine has it, or a thread could not be started.
    pub fn build(self) -> Result<Engine, Error> {
        let file = match &self.config_file {
            Some(path) => config::read_engine(path)?,
            None => EngineConfig::default(),
        };
        let (options, start) = self.settle(&file.engine)?;
        let file = Arc::new(file);
        let StartOptions {
            workers,
            backtraces,
            history_bytes_max,
            #[cfg(feature = "history-sqlite")]
            history_kept,
            libraries_max,
            clock,
            census,
            state_dir,
            faults,
        } = start;
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let time = TimeSource::new(Arc::clone(&clock));
        let state_dir = match &state_dir {
            Some(dir) => Some(Arc::new(StateDir::open(dir)?)),
            None => None,
        };
        let crashes = match &state_dir {
            Some(dir) => Crashes::open(Arc::clone(dir), options.threads_max, &time)?,
            None => Crashes::default(),
        };
        let crashes = Arc::new(crashes);
        let supervisor = Arc::new(Supervisor::new(Arc::clone(&clock), faults));
        let board = Arc::new(Board {
            ledger: Ledger::new(time, history_bytes_max),
            registry: Registry::new(),
            crashes: Arc::clone(&crashes),
            stopping: crate::threading::atomic::AtomicBool::new(false),
            backtraces,
        });
        #[cfg(feature = "history-sqlite")]
        let durable = match &state_dir {
            Some(dir) => Some(Arc::new(crate::durable::Durable::open(
                dir,
                &board,
                history_kept,
            )?)),
            #[cfg(feature = "simulation")]
            None if crate::simulation::disk::is_there() => {
                crate::durable::Durable::on_stage(&board, history_kept).map(Arc::new)
            }
            None => None,
        };
        let executor = Executor::new(Arc::clone(&board), workers, options.threads_max);
        let executor = Arc::new(executor);
        let census = census.map(Census::begin);
        let libraries = Libraries::new(libraries_max, Arc::clone(&clock), census.clone());
        let libraries = Arc::new(libraries);
        let listener: Weak<Board> = Arc::downgrade(&board);
        let loader = Loader::new(
            Arc::clone(&libraries),
            crashes,
            listener,
            Arc::clone(&clock),
            options.load_timeout,
            Arc::clone(&executor.joining),
            Arc::clone(&supervisor),
        );
        let weak = Arc::downgrade(&executor);
        // The clock is the embedder's, and what it calls must not keep what the clock is kept by.
        let moved = Arc::downgrade(&board);
        let supervised = Arc::downgrade(&supervisor);
        clock.on_move(Box::new(move || {
            if let (Some(executor), Some(board)) = (weak.upgrade(), moved.upgrade()) {
                board.ledger.time.look_at_wall();
                executor.watchdog.sweep(&executor);
                executor.asides.tell();
                board.ledger.probations.ring();
                board.ledger.run.notify();
            }
            if let Some(supervisor) = supervised.upgrade() {
                supervisor.clock_moved();
            }
        }));
        let started_at = board.ledger.time.wall_at(board.ledger.time.now());
        let shared = Arc::new(Shared {
            board,
            started_at,
            executor,
            libraries,
            loader,
            reaper: Reaper::new(census),
            refused: RefusedFiles::default(),
            state_dir,
            #[cfg(feature = "history-sqlite")]
            durable,
            requirements: Requirements::default(),
            supervisor,
            known_files: KnownFiles::default(),
            verify_at_start: Arc::clone(&file.verify),
            engine_config: ConfigInForce::new(file),
            #[cfg(feature = "watch")]
            watches: crate::watch::Watches::default(),
            has_loaded: AtomicBool::new(false),
            starts: AtomicU64::new(0),
            options,
        });
        plugins::enter_past_calls(&shared);
        #[cfg(feature = "history-sqlite")]
        crate::durable::start(&shared).map_err(Error::Supervise)?;
        let engine = Engine::new(shared);
        engine.start()?;
        // Not before: of an engine that is not built nobody learns what was found.
        engine.shared().board.crashes.taken_over()?;
        Ok(engine)
    }
}
