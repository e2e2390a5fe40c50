//! `plugin-engine enable` and the other commands that change how a plugin of a running engine stands.

use std::time::Duration;

use clap::{Args, Subcommand};
use plugin_engine::{PluginId, escape_control};
use plugin_engine_wire::{CommandDone, Snapshot};

use super::patience;
use super::target::{self, Target, exit_status};
use crate::client::ClientError;
use crate::output;
use crate::paint::{Line, Style};
use crate::table::state_style;

/// The part of the help that all of them have.
macro_rules! after_help {
    ($examples:literal) => {
        concat!(
            "Examples:\n",
            $examples,
            "\n\nIt is done when the command returns. After --wait it is not waited for any longer, and the\n\
             engine goes on with it.\n",
            exit_status!("if it is done or was so already;")
        )
    };
}

#[derive(Debug, Subcommand)]
pub(crate) enum PluginCommand {
    /// Switch a plugin of a running engine on
    #[command(after_help = after_help!("  plugin-engine enable clock"))]
    Enable(PluginArgs),
    /// Switch a plugin of a running engine off; it stays so, also when the engine is started again
    #[command(after_help = after_help!("  plugin-engine disable clock"))]
    Disable(PluginArgs),
    /// Load a plugin of a running engine that was unloaded
    #[command(after_help = after_help!("  plugin-engine load clock"))]
    Load(PluginArgs),
    /// Put the file of a plugin as it is now in the place of the one that runs, if it is good
    #[command(after_help = after_help!("  plugin-engine reload clock\n  plugin-engine reload clock --json | jq .snapshot.generation"))]
    Reload(PluginArgs),
    /// Begin anew with a plugin of a running engine: a new instance, no error
    #[command(after_help = after_help!("  plugin-engine reset clock"))]
    Reset(PluginArgs),
    /// Destroy a plugin's instance and let go of its library; `load` brings it back
    #[command(after_help = after_help!("  plugin-engine unload clock"))]
    Unload(PluginArgs),
    /// Update a plugin of a running engine now, due or not
    #[command(after_help = after_help!("  plugin-engine update clock\n  plugin-engine update clock --wait 5m"))]
    Update(PluginArgs),
    /// Take a plugin that is unloaded, and all that is remembered of it, off the list
    #[command(after_help = after_help!("  plugin-engine forget clock"))]
    Forget(PluginArgs),
}

#[derive(Debug, Args)]
pub(crate) struct PluginArgs {
    /// The plugin
    #[arg(value_name = "ID", value_parser = target::plugin_id)]
    id: PluginId,

    #[command(flatten)]
    target: Target,

    /// How long to wait until it is done [default: its timeout twice, and 70 s]
    #[arg(long, value_name = "DURATION", value_parser = super::parse_duration)]
    wait: Option<Duration>,

    /// One JSON object with what was done and how the plugin stands after it
    #[arg(long)]
    json: bool,
}

/// Tells the engine, and returns the exit status.
pub(crate) fn run(command: &PluginCommand) -> i32 {
    let (name, args) = match command {
        PluginCommand::Enable(args) => ("enable", args),
        PluginCommand::Disable(args) => ("disable", args),
        PluginCommand::Load(args) => ("load", args),
        PluginCommand::Reload(args) => ("reload", args),
        PluginCommand::Reset(args) => ("reset", args),
        PluginCommand::Unload(args) => ("unload", args),
        PluginCommand::Update(args) => ("update", args),
        PluginCommand::Forget(args) => ("forget", args),
    };
    target::status(tell(name, args))
}

fn tell(name: &str, args: &PluginArgs) -> Result<i32, ClientError> {
    let client = args.target.client()?;
    let limit = match args.wait {
        Some(limit) => limit,
        None => patience::of(&client, &args.id)?,
    };
    let done: CommandDone = client.post(&format!("/plugins/{}/{name}", args.id), limit)?;
    Ok(if args.json {
        output::print_objects([done])
    } else {
        output::print(&[line(&done)])
    })
}

/// What was done, and how the plugin stands after it.
fn line(done: &CommandDone) -> Line {
    let Snapshot { state, error, .. } = &done.snapshot;
    let mut line = Line::of(Style::Strong, escape_control(&done.id));
    line.add(
        Style::Plain,
        format!(": {} done, is ", escape_control(&done.command)),
    );
    line.add(state_style(&done.snapshot), escape_control(state));
    if let Some(error) = error {
        let text = format!(", with the error {}: {}", error.kind, error.message);
        line.add(Style::Plain, escape_control(&text));
    }
    if let Some(message) = &done.message {
        line.add(Style::Plain, format!("; {}", escape_control(message)));
    }
    line
}
