//! What the façade and everything behind it share.

use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::{Arc, Weak};
use std::time::Duration;

use plugin_engine_core::WallTime;

use crate::board::Board;
use crate::cell::Guarded;
use crate::changes::KnownFiles;
use crate::config::ConfigInForce;
use crate::executor::Executor;
use crate::host::Listener;
use crate::library::Libraries;
use crate::loader::Loader;
use crate::refused::RefusedFiles;
use crate::requirements::Requirements;
use crate::state_dir::StateDir;
use crate::supervisor::Supervisor;
use crate::unmap::Reaper;
use crate::verify::VerifyPolicy;

/// What was said when the engine was built.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) plugin_dir: Option<PathBuf>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) threads_max: usize,
    pub(crate) create_timeout: Duration,
    pub(crate) display_timeout: Duration,
    pub(crate) destroy_timeout: Duration,
    /// `None` for as long as any update of that plugin.
    pub(crate) trial_timeout: Option<Duration>,
    pub(crate) state_timeout: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) startup_budget: Duration,
    #[cfg(feature = "watch")]
    pub(crate) watch: WatchTimes,
    /// What plugin files must fulfil, if code said so; the file has no say then.
    pub(crate) verify_policy: Option<Arc<VerifyPolicy>>,
}

/// When a watch looks, and when what it sees counts.
#[cfg(feature = "watch")]
#[derive(Debug, Clone, Copy)]
pub(crate) struct WatchTimes {
    /// How long a change has to stay as it is.
    pub(crate) settle: Duration,
    /// How long something has to be gone.
    pub(crate) grace: Duration,
    /// How long nothing may be noticed without a look.
    pub(crate) rescan: Duration,
}

/// What the façade and everything behind it share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) board: Arc<Board>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) libraries: Arc<Libraries>,
    pub(crate) loader: Loader,
    pub(crate) reaper: Reaper,
    pub(crate) refused: RefusedFiles,
    /// What has to outlive the process is kept in it.
    pub(crate) state_dir: Option<Arc<StateDir>>,
    /// The history on disk, if there is one.
    #[cfg(feature = "history-sqlite")]
    pub(crate) durable: Option<Arc<crate::durable::Durable>>,
    /// As what the files of the plugin directory were last brought in line with what is loaded.
    pub(crate) known_files: KnownFiles,
    /// What the engine's file says, as it was last good.
    pub(crate) engine_config: ConfigInForce,
    /// What plugin files had to fulfil when the engine was built, as its file said.
    pub(crate) verify_at_start: Arc<VerifyPolicy>,
    pub(crate) requirements: Requirements,
    /// Who runs the engine's background threads, and the embedder's tasks.
    pub(crate) supervisor: Arc<Supervisor>,
    /// Those who watch, to be told of the end.
    #[cfg(feature = "watch")]
    pub(crate) watches: crate::watch::Watches,
    /// When it was built.
    pub(crate) started_at: WallTime,
    /// Whether a load has come to its end yet.
    pub(crate) has_loaded: AtomicBool,
    /// How many plugins have been started.
    pub(crate) starts: AtomicU64,
}

impl Shared {
    /// Whom the hosts of plugins tell what plugins say.
    pub(crate) fn listener(&self) -> Weak<dyn Listener> {
        let listener: Weak<Board> = Arc::downgrade(&self.board);
        listener
    }
}

/// Plugins are stopped in the reverse of the order in which they were last started, where none requires another.
pub(crate) fn remember_start(engine: &Shared, guarded: &mut Guarded) {
    guarded.started = engine.starts.fetch_add(1, Ordering::Relaxed) + 1;
}
