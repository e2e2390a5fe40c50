//! What can go wrong, one type per boundary.

use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{CallKind, Denied, Fault, PluginId, RejectReason, Unmet};

use crate::config::ConfigError;

use crate::code::Code;
use crate::discover::DiscoverError;
use crate::state_dir::StateError;
use crate::supervisor::SuperviseError;
use crate::verify::VerifyError;

/// Why an operation of the engine failed. Nothing is half done when one of these comes back.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum Error {
    /// No plugin of this id has ever been seen.
    #[error("no plugin \"{}\" is known; known are: {}", plugin_engine_core::escape_control(plugin_engine_core::bounded(id, 80)), if known.is_empty() { "none" } else { known })]
    UnknownPlugin {
        /// The id that was asked for.
        id: String,
        /// Some ids that are known, joined by commas.
        known: String,
    },
    /// The state of the plugin does not admit the command.
    #[error("{id}: {denied}")]
    Denied {
        /// The plugin.
        id: PluginId,
        /// What was refused, and what is possible now.
        #[source]
        denied: Denied,
    },
    /// The plugin cannot be called now.
    #[error("{id}: {reason}")]
    NotNow {
        /// The plugin.
        id: PluginId,
        /// Why not.
        #[source]
        reason: RejectReason,
    },
    /// Something that the plugin requires is not there.
    #[error("{id}: {unmet}")]
    Unmet {
        /// The plugin.
        id: PluginId,
        /// What is missing.
        #[source]
        unmet: Arc<Unmet>,
    },
    /// The call was made and failed.
    #[error("{id}: {fault}")]
    Fault {
        /// The plugin.
        id: PluginId,
        /// How.
        fault: Arc<Fault>,
    },
    /// A file was refused or could not be loaded.
    #[error(transparent)]
    Load(#[from] LoadError),
    /// A replacement did not take over. What was active goes on as if nothing had been.
    #[error("{id}: reload refused, generation {kept} goes on: {source}")]
    ReloadRefused {
        /// The plugin.
        id: PluginId,
        /// The generation that is active.
        kept: u32,
        /// Why.
        #[source]
        source: ReloadError,
    },
    /// A replacement did not take over, and what had been stopped for it could not be created anew: the plugin is in Error.
    #[error(
        "{id}: reload refused: {source}; and what was active before could not be created anew: {fault}"
    )]
    NotPutBack {
        /// The plugin.
        id: PluginId,
        /// Why the replacement did not take over.
        #[source]
        source: ReloadError,
        /// Why there is no instance any more.
        fault: Arc<Fault>,
    },
    /// The plugin directory cannot be read.
    #[error(transparent)]
    Discover(#[from] DiscoverError),
    /// The configuration is not good.
    #[error(transparent)]
    Config(#[from] ConfigError),
    /// The state directory cannot be used, or a file in it.
    #[error(transparent)]
    State(#[from] StateError),
    /// The engine has been shut down.
    #[error("the engine has been shut down")]
    ShutDown,
    /// A thread that the engine needs could not be started.
    #[error("cannot start the thread {name}")]
    Thread {
        /// The thread.
        name: &'static str,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// A task cannot be supervised.
    #[error(transparent)]
    Supervise(#[from] SuperviseError),
    /// The history on disk cannot be changed.
    #[cfg(feature = "history-sqlite")]
    #[error(transparent)]
    History(#[from] crate::durable::HistoryError),
    /// A command to a plugin came from within one of that plugin's own calls, which it would have to wait for.
    #[error(
        "{id}: this command waits for a call or a reload of the plugin to end, and comes from within it"
    )]
    FromWithinCall {
        /// The plugin.
        id: PluginId,
    },
}

impl Error {
    /// The stable code.
    ///
    /// ```
    /// use plugin_engine::{Code, Engine};
    ///
    /// let error = Engine::builder().workers(0).build().unwrap_err();
    /// assert_eq!(error.code(), Code::CONFIG_RANGE);
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::UnknownPlugin { .. } => Code::UNKNOWN_PLUGIN,
            Self::Denied { .. } => Code::COMMAND_DENIED,
            Self::NotNow { .. } => Code::CALL_REFUSED,
            Self::Unmet { unmet, .. } => Code::of_unmet(unmet),
            Self::Fault { .. } => Code::CALL_FAILED,
            Self::Load(error) => error.code(),
            Self::ReloadRefused { source, .. } => source.code(),
            Self::NotPutBack { .. } => Code::NOT_PUT_BACK,
            Self::Discover(_) => Code::DIRECTORY_UNREADABLE,
            Self::Config(error) => error.code(),
            Self::State(error) => error.code(),
            #[cfg(feature = "history-sqlite")]
            Self::History(_) => Code::HISTORY_NOT_WRITTEN,
            Self::ShutDown => Code::SHUT_DOWN,
            Self::Thread { .. } => Code::NO_THREAD,
            Self::Supervise(error) => error.code(),
            Self::FromWithinCall { .. } => Code::FROM_WITHIN_CALL,
        }
    }
}

/// Why a file was not loaded.
///
/// ```
/// use plugin_engine::Code;
///
/// # let engine = plugin_engine::Engine::builder().build()?;
/// engine.load_file("/nowhere/libclock.so")?;
/// let refused = &engine.refused()[0];
/// assert_eq!(refused.path(), "/nowhere/libclock.so");
/// assert_eq!(refused.code(), Code::FILE_UNREADABLE);
/// # Ok::<(), plugin_engine::Error>(())
/// ```
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum LoadError {
    /// It was refused before any of its code ran.
    #[error("{}: {source}", path.display())]
    Verify {
        /// The file.
        path: PathBuf,
        /// What is wrong with it.
        #[source]
        source: VerifyError,
    },
    /// The thread that loads files could not be started, or failed.
    #[error("{}: cannot be loaded by the thread that loads: {source}", path.display())]
    Thread {
        /// The file.
        path: PathBuf,
        /// Why.
        #[source]
        source: std::io::Error,
    },
    /// The system's loader refused it.
    #[error("{}: the system's loader refuses it: {reason}", path.display())]
    Map {
        /// The file.
        path: PathBuf,
        /// What the loader said.
        reason: String,
    },
    /// Its contract with the engine does not fit.
    #[error("{}: {reason}", path.display())]
    Contract {
        /// The file.
        path: PathBuf,
        /// What does not fit.
        reason: String,
    },
    /// The schema of its settings is none.
    #[error("{}: the schema of its settings is none: {reason}", path.display())]
    Schema {
        /// The file.
        path: PathBuf,
        /// Why not.
        reason: String,
    },
    /// Its constructors or its initialisation have not returned.
    #[error("{}: loading has not finished within {}; code of the file that runs at load has not returned", path.display(), humantime::format_duration(*limit))]
    Timeout {
        /// The file.
        path: PathBuf,
        /// How long it was waited for.
        limit: Duration,
    },
    /// An earlier file still occupies the system's loader.
    #[error("{}: waits for {}, whose code that runs at load has not returned", path.display(), holder.display())]
    LoaderBusy {
        /// The file.
        path: PathBuf,
        /// The file that is being loaded.
        holder: PathBuf,
    },
    /// Another file has the id already.
    #[error("{}: the id {id} belongs to {}", path.display(), holder.display())]
    Duplicate {
        /// The file.
        path: PathBuf,
        /// The id.
        id: PluginId,
        /// The file that has it.
        holder: PathBuf,
    },
    /// The file that a plugin came from is another plugin by now.
    #[error("{}: is the plugin {found} by now, not {expected}", path.display())]
    AnotherPlugin {
        /// The file.
        path: PathBuf,
        /// The id that its manifest has.
        found: PluginId,
        /// The id of the plugin that was to be loaded from it.
        expected: PluginId,
    },
    /// What is said of it is not good, so that it cannot be told which plugins it is.
    #[error("{}: {source}", path.display())]
    Config {
        /// The file.
        path: PathBuf,
        /// What is wrong.
        #[source]
        source: Arc<ConfigError>,
    },
    /// As many files are mapped as may be.
    #[error("{}: {limit} different plugin files are mapped already, which is the most that this engine may map; {}", path.display(), retired_in_words(*retired))]
    TooManyLibraries {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
        /// How many of them nothing uses any more.
        retired: usize,
    },
    /// The process is running out of keys for thread-local values.
    #[error("{}: fewer than {reserve} keys for thread-local values are left to this process; it would end if a plugin asked for one and got none; {}", path.display(), retired_in_words(*retired))]
    ThreadKeys {
        /// The file.
        path: PathBuf,
        /// How many have to be left.
        reserve: usize,
        /// How many mapped files nothing uses any more.
        retired: usize,
    },
    /// A file is being unmapped, and code of it that runs at its end has not returned.
    #[error("{}: waits for {}, which is being unmapped and whose code that runs at its end has not returned", path.display(), holder.display())]
    UnmapBusy {
        /// The file.
        path: PathBuf,
        /// The file that is being unmapped.
        holder: PathBuf,
    },
    /// Every plugin of it has crashed the engine as often as it may, with these bytes.
    #[error("{}: {}", path.display(), held_in_words(plugins))]
    Quarantined {
        /// The file.
        path: PathBuf,
        /// Its plugins, with what there is to say of each.
        plugins: Vec<(PluginId, String)>,
    },
    /// There is room for no more plugins.
    #[error("{}: there are {limit} plugins already, which is the most that an engine holds", path.display())]
    TooManyPlugins {
        /// The file.
        path: PathBuf,
        /// The limit.
        limit: usize,
    },
}

impl LoadError {
    /// The stable code.
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Verify { source, .. } => source.code(),
            Self::Thread { .. } => Code::NO_THREAD,
            Self::Map { .. } => Code::MAP_FAILED,
            Self::Contract { .. } => Code::CONTRACT_MISMATCH,
            Self::Schema { .. } => Code::CONFIG_BAD_SCHEMA,
            Self::Timeout { .. } => Code::LOAD_TIMEOUT,
            Self::LoaderBusy { .. } => Code::LOADER_BUSY,
            Self::Duplicate { .. } => Code::ID_TAKEN,
            Self::AnotherPlugin { .. } => Code::ANOTHER_PLUGIN,
            Self::Config { source, .. } => source.code(),
            Self::TooManyLibraries { .. } => Code::TOO_MANY_LIBRARIES,
            Self::ThreadKeys { .. } => Code::THREAD_KEYS,
            Self::UnmapBusy { .. } => Code::UNMAP_BUSY,
            Self::Quarantined { .. } => Code::QUARANTINED,
            Self::TooManyPlugins { .. } => Code::TOO_MANY_PLUGINS,
        }
    }

    /// The file it is about.
    #[must_use]
    pub fn path(&self) -> &Path {
        match self {
            Self::Verify { path, .. }
            | Self::Thread { path, .. }
            | Self::Map { path, .. }
            | Self::Contract { path, .. }
            | Self::Schema { path, .. }
            | Self::Timeout { path, .. }
            | Self::LoaderBusy { path, .. }
            | Self::Duplicate { path, .. }
            | Self::AnotherPlugin { path, .. }
            | Self::Config { path, .. }
            | Self::TooManyLibraries { path, .. }
            | Self::ThreadKeys { path, .. }
            | Self::UnmapBusy { path, .. }
            | Self::Quarantined { path, .. }
            | Self::TooManyPlugins { path, .. } => path,
        }
    }
}

/// Why a replacement did not take over.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ReloadError {
    /// Its file was refused or could not be loaded.
    #[error("{0}")]
    Load(Arc<LoadError>),
    /// What is said of the plugin is not good.
    #[error("{0}")]
    Config(Arc<ConfigError>),
    /// Its file has a lower version.
    #[error("{}: is version {found}, lower than {active}; allow_downgrade = true allows that", path.display())]
    Downgrade {
        /// The file.
        path: PathBuf,
        /// The version that is active.
        active: Box<str>,
        /// The version of the file.
        found: Box<str>,
    },
    /// A call of the replacement, or of the instance that it was to take over from, did not complete.
    #[error("its {call} did not complete: {fault}")]
    Call {
        /// Which call.
        call: CallKind,
        /// What happened.
        fault: Arc<Fault>,
    },
    /// The plugin was unloaded, or loaded otherwise, while its replacement was being tried.
    #[error("the plugin was unloaded or loaded otherwise while its replacement was being tried")]
    Overtaken,
    /// These bytes were active before, and rolled back.
    #[error("{}: these bytes took over before and were rolled back; put another file there, or reload the plugin by its id", path.display())]
    RolledBackBefore {
        /// The file.
        path: PathBuf,
    },
    /// Too many calls of earlier replacements have not returned.
    #[error("{count} calls of earlier replacements have not returned")]
    TooManyStuck {
        /// How many.
        count: usize,
    },
    /// Too many earlier instances of the plugin are in calls that have not returned, or a thread could not be had for a call.
    #[error("{0}")]
    NotNow(RejectReason),
    /// Something that the replacement requires is not there, so that it cannot be tried.
    #[error("it {0}")]
    Unmet(Arc<Unmet>),
    /// A thread for a call of the replacement could not be started.
    #[error("cannot start a thread for it: {0}")]
    Thread(#[source] std::io::Error),
}

impl ReloadError {
    /// The stable code.
    ///
    /// ```no_run
    /// use plugin_engine::Error;
    ///
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// # engine.load_all();
    /// if let Err(Error::ReloadRefused { source, .. }) = engine.reload("clock") {
    ///     println!("plugin-engine explain {}", source.code());
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::Load(error) => error.code(),
            Self::Config(error) => error.code(),
            Self::Downgrade { .. } => Code::DOWNGRADE,
            Self::Call { .. } => Code::REPLACEMENT_FAILED,
            Self::Overtaken => Code::OVERTAKEN,
            Self::RolledBackBefore { .. } => Code::ROLLED_BACK_BEFORE,
            Self::TooManyStuck { .. } => Code::REPLACEMENTS_STUCK,
            Self::NotNow(_) => Code::CALL_REFUSED,
            Self::Unmet(unmet) => Code::of_unmet(unmet),
            Self::Thread(_) => Code::NO_THREAD,
        }
    }
}

/// How many plugins of one file are named.
const HELD_NAMED_MAX: usize = 8;

fn held_in_words(plugins: &[(PluginId, String)]) -> String {
    let named = plugins.iter().take(HELD_NAMED_MAX);
    let named: Vec<_> = named.map(|(id, why)| format!("{id}: {why}")).collect();
    named.join("; ")
}

impl StateError {
    /// The stable code.
    ///
    /// ```
    /// use plugin_engine::{Engine, Error};
    ///
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// let first = Engine::builder().state_dir(dir.path()).build()?;
    /// let Err(Error::State(second)) = Engine::builder().state_dir(dir.path()).build() else {
    ///     panic!("two engines have one directory");
    /// };
    /// println!("{second} [{}]", second.code());
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn code(&self) -> Code {
        match self {
            Self::InUse { .. } => Code::STATE_DIR_IN_USE,
            _ => Code::STATE_DIR_UNUSABLE,
        }
    }
}

/// What of the mapped files is in the way, and what helps.
fn retired_in_words(retired: usize) -> String {
    let files = if retired == 1 { "file" } else { "files" };
    format!(
        "{retired} mapped {files} that nothing uses any more would make room: restart the process, or let them be unmapped with \
         unmap = \"when-safe\""
    )
}

impl From<LoadError> for ReloadError {
    fn from(error: LoadError) -> Self {
        Self::Load(Arc::new(error))
    }
}
