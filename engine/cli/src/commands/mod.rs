//! What can be asked of the program. One file per command.

pub(crate) mod config;
pub(crate) mod explain;
pub(crate) mod inspect;
pub(crate) mod lock;
pub(crate) mod run;

use clap::{Parser, Subcommand};

/// Runs plugins from dynamic libraries, and says at any time which state each is in, since when and why.
#[derive(Debug, Parser)]
#[command(
    name = "plugin-engine",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "Example:\n  plugin-engine run --plugins plugins.d\n\n`plugin-engine run --help` says more."
)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Debug, Subcommand)]
pub(crate) enum Command {
    /// Load the plugins of a directory and run their updates until told to stop
    Run(run::RunArgs),
    /// Say what plugin files are, and whether they would be loaded; runs none of their code
    Inspect(inspect::InspectArgs),
    /// List the plugin files of a directory, so that nothing else is loaded from it
    Lock(lock::LockArgs),
    /// Say what the code of a message means, and what to do
    Explain(explain::ExplainArgs),
    /// Check, show and describe configuration files
    #[command(subcommand)]
    Config(config::ConfigCommand),
}
