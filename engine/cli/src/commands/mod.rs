//! What can be asked of the program. One file per command.

pub(crate) mod completions;
pub(crate) mod config;
pub(crate) mod display;
pub(crate) mod events;
pub(crate) mod explain;
pub(crate) mod history;
pub(crate) mod inspect;
pub(crate) mod liveness;
pub(crate) mod lock;
pub(crate) mod man;
pub(crate) mod new;
mod patience;
pub(crate) mod plugin_commands;
pub(crate) mod readiness;
pub(crate) mod run;
pub(crate) mod status;
mod target;
pub(crate) mod top;
pub(crate) mod validate;
pub(crate) mod why;

use std::time::Duration;

use clap::{Parser, Subcommand};

/// Runs plugins from dynamic libraries, and says at any time which state each is in, since when and why.
#[derive(Debug, Parser)]
#[command(
    name = "plugin-engine",
    version,
    arg_required_else_help = true,
    disable_help_subcommand = true,
    after_help = "\
Examples:
  plugin-engine run --plugins plugins.d --state state
  plugin-engine status --state state
  plugin-engine why clock --state state

Commands to a running engine go over the socket in its state directory. Each command has
a --help with examples, and says what its exit status means."
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
    /// Say what a host would trip over with a plugin file, by running it alone in a process of its own
    Validate(validate::ValidateArgs),
    /// Say how the plugins of a running engine stand
    Status(status::StatusArgs),
    /// Show the transitions of plugins: what happened, when and why
    History(history::HistoryArgs),
    /// Say why a plugin is in its state, and what happens next
    Why(why::WhyArgs),
    /// Show what plugins publish and what the engine says of them
    Events(events::EventsArgs),
    /// Say whether the engine's own tasks make progress
    Liveness(liveness::LivenessArgs),
    /// Watch the plugins of a running engine live on a terminal
    Top(top::TopArgs),
    /// Say whether the plugins that are required can be called
    Readiness(readiness::ReadinessArgs),
    /// Show what a plugin shows of itself
    Display(display::DisplayArgs),
    #[command(flatten)]
    Plugin(plugin_commands::PluginCommand),
    /// List the plugin files of a directory, so that nothing else is loaded from it
    Lock(lock::LockArgs),
    /// Write the project of a new plugin, which builds and has tests
    New(new::NewArgs),
    /// Say what the code of a message means, and what to do
    Explain(explain::ExplainArgs),
    /// Check, show and describe configuration files
    #[command(subcommand)]
    Config(config::ConfigCommand),
    /// Write what a shell needs to complete the command line
    Completions(completions::CompletionsArgs),
    /// Write the manual, a page per command
    Man(man::ManArgs),
}

/// A time that is longer than none.
fn parse_duration(text: &str) -> Result<Duration, String> {
    match humantime::parse_duration(text) {
        Ok(duration) if duration.is_zero() => Err("must be longer than zero".to_owned()),
        Ok(duration) => Ok(duration),
        Err(error) => Err(format!("{error}; write 20s, 5m or 1h 30m")),
    }
}
