//! What came of a file, in words.

use std::fmt;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{CallKind, Fault, PluginId, PluginState, Unmet, escape_control};

use crate::code::Code;
use crate::config::ConfigError;
use crate::error::{Error, LoadError};

/// What came of one file, or of one plugin of it.
#[derive(Debug, Clone)]
#[non_exhaustive]
pub enum LoadOutcome {
    /// The plugin is enabled.
    Enabled {
        /// The plugin.
        id: PluginId,
        /// Its version.
        version: String,
        /// Its file.
        file: PathBuf,
    },
    /// The plugin is loaded and switched off, as its configuration says.
    Disabled {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
    },
    /// The file is a plugin, but its instance could not be created, or a policy has disposed of it as soon as it was.
    Failed {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// Why.
        fault: Arc<Fault>,
    },
    /// The plugin is loaded, and something that it requires is not there. It starts by itself when that has changed.
    Unmet {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// What is missing.
        unmet: Arc<Unmet>,
    },
    /// The file was refused.
    Refused {
        /// The file.
        file: PathBuf,
        /// Why.
        error: Arc<LoadError>,
    },
    /// What is said of the plugin is not good.
    Misconfigured {
        /// The file of the plugin, or of the configuration where no file is said.
        file: PathBuf,
        /// What is wrong.
        error: Arc<ConfigError>,
    },
    /// The time for starting was used up first; the plugin goes on starting by itself.
    Deferred {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// How long was waited.
        waited: Duration,
    },
    /// Another build, or other settings, took over.
    Reloaded {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// The version before.
        from: String,
        /// The version that is active.
        version: String,
        /// The generation that is active.
        generation: u32,
    },
    /// A replacement did not take over.
    ReloadRefused {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
        /// Why.
        error: Arc<Error>,
    },
    /// The plugin was unloaded, because its file or what is said of it is gone.
    Unloaded {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
    },
    /// Other times hold for the plugin, whose instance is the same.
    Reconfigured {
        /// The plugin.
        id: PluginId,
        /// Its file.
        file: PathBuf,
    },
    /// The plugin was there already; where it is Unloaded, somebody or a policy has unloaded it, and it is not loaded again without being asked for.
    AlreadyLoaded {
        /// The plugin.
        id: PluginId,
        /// Its state.
        state: PluginState,
    },
}

impl LoadOutcome {
    /// Whether the plugin runs, or is switched off on purpose.
    ///
    /// ```no_run
    /// # let engine = plugin_engine::Engine::builder().plugin_dir("plugins.d").build()?;
    /// let all_run = engine.load_all().iter().all(|outcome| outcome.is_good());
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn is_good(&self) -> bool {
        matches!(
            self,
            Self::Enabled { .. }
                | Self::Disabled { .. }
                | Self::Reloaded { .. }
                | Self::Reconfigured { .. }
                | Self::Unloaded { .. }
                | Self::AlreadyLoaded { .. }
        )
    }
}

impl LoadOutcome {
    /// The file that it is about.
    pub(crate) fn file(&self) -> Option<&Path> {
        match self {
            Self::Enabled { file, .. }
            | Self::Disabled { file, .. }
            | Self::Failed { file, .. }
            | Self::Unmet { file, .. }
            | Self::Refused { file, .. }
            | Self::Misconfigured { file, .. }
            | Self::Deferred { file, .. }
            | Self::Reloaded { file, .. }
            | Self::ReloadRefused { file, .. }
            | Self::Reconfigured { file, .. }
            | Self::Unloaded { file, .. } => Some(file),
            Self::AlreadyLoaded { .. } => None,
        }
    }

    /// The stable code, if the plugin does not run and that is not on purpose.
    ///
    /// ```
    /// use plugin_engine::Code;
    ///
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// let outcomes = engine.load_file("/nowhere/libclock.so")?;
    /// assert_eq!(outcomes[0].code(), Some(Code::FILE_UNREADABLE));
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn code(&self) -> Option<Code> {
        match self {
            Self::Failed { .. } => Some(Code::CREATE_FAILED),
            Self::Unmet { unmet, .. } => Some(Code::of_unmet(unmet)),
            Self::Refused { error, .. } => Some(error.code()),
            Self::Misconfigured { error, .. } => Some(error.code()),
            Self::ReloadRefused { error, .. } => Some(error.code()),
            _ => None,
        }
    }
}

impl fmt::Display for LoadOutcome {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Enabled { id, version, file } => {
                let version = escape_control(version);
                write!(
                    f,
                    "{id}: enabled, version {version}, from {}",
                    file.display()
                )
            }
            Self::Disabled { id, file } => {
                write!(f, "{id}: loaded and switched off, from {}", file.display())
            }
            Self::Failed { id, file, fault } => {
                let what = match fault.call {
                    Some(CallKind::Create) => "could not be created",
                    _ => "does not run",
                };
                write!(f, "{id}: {what}, from {}: {fault}", file.display())
            }
            Self::Unmet { id, file, unmet } => {
                write!(f, "{id}: not started, from {}: {unmet}", file.display())
            }
            Self::Refused { error, .. } => write!(f, "refused: {error}"),
            Self::Misconfigured { error, .. } => write!(f, "refused: {error}"),
            Self::Deferred { id, file, waited } => write!(
                f,
                "{id}: still starting after {}, from {}; it goes on by itself",
                humantime::format_duration(*waited),
                file.display()
            ),
            Self::Reloaded {
                id,
                file,
                from,
                version,
                generation,
            } => {
                let (from, version) = (escape_control(from), escape_control(version));
                write!(
                    f,
                    "{id}: reloaded, version {from} -> {version}, generation {generation}, from {}",
                    file.display()
                )
            }
            Self::ReloadRefused { error, .. } => write!(f, "{error}"),
            Self::Unloaded { id, file } => write!(f, "{id}: unloaded, from {}", file.display()),
            Self::Reconfigured { id, file } => {
                write!(f, "{id}: configured anew, from {}", file.display())
            }
            Self::AlreadyLoaded {
                id,
                state: PluginState::Unloaded,
            } => write!(
                f,
                "{id}: was unloaded, and stays so until its file changes or it is loaded by its id"
            ),
            Self::AlreadyLoaded { id, state } => write!(f, "{id}: is loaded already, {state}"),
        }?;
        match self.code() {
            Some(code) => write!(f, " [{code}]"),
            None => Ok(()),
        }
    }
}
