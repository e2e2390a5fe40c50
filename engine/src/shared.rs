//! What the façade and everything behind it share.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::AtomicU64;
use std::sync::{Arc, Weak};
use std::time::Duration;

use parking_lot::{Mutex, RwLock};

use crate::board::Board;
use crate::config::VerifyConfig;
use crate::error::LoadError;
use crate::executor::Executor;
use crate::host::Listener;
use crate::library::Libraries;
use crate::loader::Loader;

/// What was said when the engine was built.
#[derive(Debug, Clone)]
pub(crate) struct Options {
    pub(crate) plugin_dir: Option<PathBuf>,
    pub(crate) config_file: Option<PathBuf>,
    pub(crate) threads_max: usize,
    pub(crate) create_timeout: Duration,
    pub(crate) display_timeout: Duration,
    pub(crate) destroy_timeout: Duration,
    pub(crate) load_timeout: Duration,
    pub(crate) startup_budget: Duration,
}

/// What the façade and everything behind it share.
pub(crate) struct Shared {
    pub(crate) options: Options,
    pub(crate) board: Arc<Board>,
    pub(crate) executor: Arc<Executor>,
    pub(crate) libraries: Arc<Libraries>,
    pub(crate) loader: Loader,
    /// The files that were refused without an id to show the reason under, by path.
    pub(crate) refused: Mutex<BTreeMap<PathBuf, Arc<LoadError>>>,
    /// What plugin files must fulfil, as the engine's file said when it was last read.
    pub(crate) verify_config: RwLock<Arc<VerifyConfig>>,
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
