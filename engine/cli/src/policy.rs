//! What files must fulfil, as a command is told.

use std::path::PathBuf;

use clap::Args;
use plugin_engine::VerifyPolicy;

/// Where a command reads what files must fulfil.
#[derive(Debug, Args)]
pub(crate) struct PolicyArgs {
    /// The engine's configuration, whose `verify` table says what files must fulfil
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,
}

impl PolicyArgs {
    /// The policy; or, after the reason was said on standard error, the exit status.
    pub(crate) fn read(&self) -> Result<VerifyPolicy, i32> {
        match &self.config {
            None => Ok(VerifyPolicy::default()),
            Some(file) => VerifyPolicy::from_config_file(file)
                .map_err(|error| crate::output::fail_with(&error, error.code())),
        }
    }
}
