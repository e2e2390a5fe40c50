//! What every command to a running engine is told: which engine, and mostly which plugin.

use std::path::{Path, PathBuf};

use clap::Args;
use plugin_engine::{PluginId, PluginIdError};

use crate::client::{Client, ClientError};

/// What an exit status of such a command says, for the end of its help.
macro_rules! exit_status {
    ($zero:literal) => {
        concat!(
            "Exit status: 0, ",
            $zero,
            "\n1 if the engine refuses, 2 for a wrong command line, 3 if no engine answers."
        )
    };
}
pub(crate) use exit_status;

/// Which engine.
#[derive(Debug, Args)]
pub(crate) struct Target {
    /// The state directory that the engine was started with
    #[arg(
        long = "state",
        value_name = "DIR",
        env = "PLUGIN_ENGINE_STATE",
        default_value = "./state"
    )]
    state_dir: PathBuf,
}

impl Target {
    /// Whoever asks it.
    pub(crate) fn client(&self) -> Result<Client, ClientError> {
        Client::new(&self.state_dir)
    }

    pub(crate) fn state_dir(&self) -> &Path {
        &self.state_dir
    }
}

/// An id from the command line, so that none is asked for that there cannot be.
pub(crate) fn plugin_id(text: &str) -> Result<PluginId, PluginIdError> {
    PluginId::new(text)
}

/// The exit status of a question: that of the answer, or of why there was none, which is said.
pub(crate) fn status(asked: Result<i32, ClientError>) -> i32 {
    asked.unwrap_or_else(|error| error.tell())
}
