//! `plugin-engine why`: why a plugin is in its state.

use clap::Args;
use plugin_engine::{PluginId, escape_control};
use plugin_engine_wire::Why;

use super::target::{self, Target, exit_status};
use crate::client::ClientError;
use crate::output;
use crate::paint::{Line, Style};

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine why clock
  plugin-engine why clock --json | jq .

The state and since when, the transitions that led there, the error with its place, and
what happens next and when.
", exit_status!("whatever the state is;")))]
pub(crate) struct WhyArgs {
    /// The plugin
    #[arg(value_name = "ID", value_parser = target::plugin_id)]
    id: PluginId,

    #[command(flatten)]
    target: Target,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &WhyArgs) -> i32 {
    target::status(ask(args))
}

fn ask(args: &WhyArgs) -> Result<i32, ClientError> {
    let client = args.target.client()?;
    let why: Why = client.get(&format!("/plugins/{}/why", args.id))?;
    if args.json {
        return Ok(output::print_objects([why]));
    }
    let lines = why.lines.iter();
    let lines: Vec<_> = lines
        .map(|line| Line::of(Style::Plain, escape_control(line)))
        .collect();
    Ok(output::print(&lines))
}
