//! How an engine is made.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64};
use std::sync::{Arc, Weak};
use std::time::Duration;

use plugin_engine_core::{TIMEOUT_MAX, TIMEOUT_MIN};

use crate::board::Board;
use crate::clock::{Clock, SystemClock, TimeSource};
use crate::engine::Engine;
use crate::error::{ConfigError, Error};
use crate::executor::Executor;
use crate::ledger::Ledger;
use crate::library::Libraries;
use crate::loader::Loader;
use crate::refused::RefusedFiles;
use crate::registry::Registry;
use crate::shared::{Options, Shared};
use crate::verify::{self, VerifyPolicy};

const WORKERS_MAX: usize = 256;
const THREADS_MAX: usize = 65_536;

/// Makes an [`Engine`]. Every value has a default; each is checked by [`EngineBuilder::build`].
#[must_use = "a builder does nothing until it is built"]
pub struct EngineBuilder {
    options: Options,
    workers: usize,
    backtraces: bool,
    history_bytes_max: usize,
    clock: Option<Arc<dyn Clock>>,
}

impl Engine {
    /// Begins to make an engine.
    pub fn builder() -> EngineBuilder {
        EngineBuilder::default()
    }
}

impl Default for EngineBuilder {
    fn default() -> Self {
        let workers = std::thread::available_parallelism().map_or(2, usize::from);
        Self {
            options: Options {
                plugin_dir: None,
                config_file: None,
                threads_max: 512,
                create_timeout: Duration::from_secs(30),
                display_timeout: Duration::from_secs(2),
                destroy_timeout: Duration::from_secs(5),
                load_timeout: Duration::from_secs(10),
                startup_budget: Duration::from_secs(35),
                verify_policy: Arc::default(),
            },
            workers: workers.min(WORKERS_MAX),
            backtraces: std::env::var_os("RUST_BACKTRACE").is_some_and(|value| value != "0"),
            history_bytes_max: 256 * 1024 * 1024,
            clock: None,
        }
    }
}

impl EngineBuilder {
    /// The directory that plugin files are dropped into. Without one, plugins come only by [`Engine::load_file`].
    pub fn plugin_dir(mut self, dir: impl Into<PathBuf>) -> Self {
        self.options.plugin_dir = Some(dir.into());
        self
    }

    /// The engine's configuration file, with `[[plugin]]` entries. Read by [`Engine::load_all`].
    pub fn config_file(mut self, file: impl Into<PathBuf>) -> Self {
        self.options.config_file = Some(file.into());
        self
    }

    /// How many plugins are called at the same time when none of them is slow: 1 to 256, by default one per processor.
    pub fn workers(mut self, count: usize) -> Self {
        self.workers = count;
        self
    }

    /// The limit of threads that call plugins, slow and hung calls included: from one more than the workers to 65,536,
    /// by default 512. When all but as many as there are workers are in slow calls, plugins that hung the last time are no
    /// longer called, and say so.
    pub fn threads_max(mut self, count: usize) -> Self {
        self.options.threads_max = count;
        self
    }

    /// How long a create may take: 1 ms to one day, by default 30 s.
    pub fn create_timeout(mut self, timeout: Duration) -> Self {
        self.options.create_timeout = timeout;
        self
    }

    /// How long a display may take: 1 ms to one day, by default 2 s.
    pub fn display_timeout(mut self, timeout: Duration) -> Self {
        self.options.display_timeout = timeout;
        self
    }

    /// How long a destroy may take: 1 ms to one day, by default 5 s.
    pub fn destroy_timeout(mut self, timeout: Duration) -> Self {
        self.options.destroy_timeout = timeout;
        self
    }

    /// How long the code of a file that runs at load (its constructors) is waited for, in real time: 1 ms to one day, by
    /// default 10 s.
    pub fn load_timeout(mut self, timeout: Duration) -> Self {
        self.options.load_timeout = timeout;
        self
    }

    /// How long [`Engine::load_all`] waits for plugins to be created, in real time; those that take longer go on by
    /// themselves and are named as deferred. 1 ms to one day, by default 35 s.
    pub fn startup_budget(mut self, budget: Duration) -> Self {
        self.options.startup_budget = budget;
        self
    }

    /// How much memory the histories of all plugins may take together, in bytes; by default 256 MiB. When it is used up, older
    /// entries leave earlier; each plugin keeps 16 of each kind in any case.
    pub fn history_bytes_max(mut self, bytes: usize) -> Self {
        self.history_bytes_max = bytes;
        self
    }

    /// Whether panics are recorded with a backtrace (module and offset per frame). By default as `RUST_BACKTRACE` says.
    pub fn backtraces(mut self, wanted: bool) -> Self {
        self.backtraces = wanted;
        self
    }

    /// What plugin files must fulfil beyond being good plugins: signatures, a lock, owners. By default nothing more.
    pub fn verify_policy(mut self, policy: VerifyPolicy) -> Self {
        self.options.verify_policy = Arc::new(policy);
        self
    }

    /// Another clock than the machine's.
    pub fn clock(mut self, clock: impl Clock) -> Self {
        self.clock = Some(Arc::new(clock));
        self
    }

    /// Makes the engine and starts its threads.
    ///
    /// # Errors
    /// A value is out of its range, or a thread could not be started.
    pub fn build(self) -> Result<Engine, Error> {
        let Self {
            options,
            workers,
            backtraces,
            history_bytes_max,
            clock,
        } = self;
        check_count("workers", workers, 1, WORKERS_MAX)?;
        check_count("threads_max", options.threads_max, workers + 1, THREADS_MAX)?;
        for (what, timeout) in [
            ("create_timeout", options.create_timeout),
            ("display_timeout", options.display_timeout),
            ("destroy_timeout", options.destroy_timeout),
            ("load_timeout", options.load_timeout),
            ("startup_budget", options.startup_budget),
        ] {
            check_timeout(what, timeout)?;
        }
        verify::check_policy(&options.verify_policy).map_err(ConfigError::Policy)?;
        let clock = clock.unwrap_or_else(|| Arc::new(SystemClock::new()));
        let time = TimeSource::new(Arc::clone(&clock));
        let board = Arc::new(Board {
            ledger: Ledger::new(time, history_bytes_max),
            registry: Registry::new(),
            stopping: AtomicBool::new(false),
            backtraces,
        });
        let executor = Executor::new(Arc::clone(&board), workers, options.threads_max);
        let executor = Arc::new(executor);
        let libraries = Arc::<Libraries>::default();
        let listener: Weak<Board> = Arc::downgrade(&board);
        let loader = Loader::new(
            Arc::clone(&libraries),
            listener,
            Arc::clone(&clock),
            options.load_timeout,
        );
        let weak = Arc::downgrade(&executor);
        let moved = Arc::clone(&board);
        clock.on_move(Box::new(move || {
            if let Some(executor) = weak.upgrade() {
                moved.ledger.time.look_at_wall();
                executor.watchdog.sweep(&executor);
                moved.ledger.run.notify();
            }
        }));
        let shared = Arc::new(Shared {
            board,
            executor,
            libraries,
            loader,
            refused: RefusedFiles::default(),
            starts: AtomicU64::new(0),
            options,
        });
        let engine = Engine::new(shared);
        engine.start()?;
        Ok(engine)
    }
}

fn check_count(what: &'static str, found: usize, min: usize, max: usize) -> Result<(), Error> {
    if (min..=max).contains(&found) {
        return Ok(());
    }
    Err(Error::Config(ConfigError::Range {
        what,
        min: min.to_string(),
        max: max.to_string(),
        found: found.to_string(),
    }))
}

fn check_timeout(what: &'static str, found: Duration) -> Result<(), Error> {
    if (TIMEOUT_MIN..=TIMEOUT_MAX).contains(&found) {
        return Ok(());
    }
    let text = |duration| humantime::format_duration(duration).to_string();
    Err(Error::Config(ConfigError::Range {
        what,
        min: text(TIMEOUT_MIN),
        max: text(TIMEOUT_MAX),
        found: text(found),
    }))
}
