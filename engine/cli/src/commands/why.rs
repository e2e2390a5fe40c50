//! `plugin-engine why`: why a plugin is in its state.

use clap::Args;
use hyper::StatusCode;
use plugin_engine::{Code, PluginId, escape_control};
use plugin_engine_wire::Why;

use super::target::{self, Target, exit_status};
use crate::client::ClientError;
use crate::moments::now;
use crate::output;
use crate::paint::{Line, Style};
use crate::stored::Stored;

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine why clock
  plugin-engine why clock --json | jq .

The state and since when, the transitions that led there, the error with its place, and
what happens next and when. Where no engine runs, how it was when the last one ended, from
what that has left in the state directory.
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
    let why = match client.get(&format!("/plugins/{}/why", args.id)) {
        Err(absence) if absence.is_absence() => left_behind(args, absence)?,
        asked => asked?,
    };
    if args.json {
        return Ok(output::print_objects([why]));
    }
    let lines = why.lines.iter();
    let lines: Vec<_> = lines
        .map(|line| Line::of(Style::Plain, escape_control(line)))
        .collect();
    Ok(output::print(&lines))
}

/// What an engine that does not run any more has left in its state directory says of it.
fn left_behind(args: &WhyArgs, absence: ClientError) -> Result<Why, ClientError> {
    let Some(stored) = Stored::open(args.target.state_dir())? else {
        return Err(absence);
    };
    let why = stored.explain(&args.id, now())?;
    if why.is_known {
        Ok(Why::from(&why))
    } else {
        // As an engine that runs would say it.
        Err(ClientError::Refused {
            status: StatusCode::NOT_FOUND,
            code: Some(Code::UNKNOWN_PLUGIN.as_str().to_owned()),
            message: why.lines().join("; "),
        })
    }
}
