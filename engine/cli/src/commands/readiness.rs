//! `plugin-engine readiness`: whether the plugins that are required can be called.

use clap::Args;
use plugin_engine::escape_control;
use plugin_engine_wire::Readyz;

use super::target::{self, Target};
use crate::client::ClientError;
use crate::output;
use crate::paint::{Line, Style};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine readiness
  plugin-engine readiness --json | jq .waiting_for

Ready is an engine that has loaded its directory and whose plugins with `required = true`
are all Enabled or Running. A line per plugin that it waits for says why.
Exit status: 0, 1 if it is not ready or the engine refuses, 2 for a wrong command line,
3 if no engine answers.")]
pub(crate) struct ReadinessArgs {
    #[command(flatten)]
    target: Target,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &ReadinessArgs) -> i32 {
    target::status(ask(args))
}

fn ask(args: &ReadinessArgs) -> Result<i32, ClientError> {
    let ready: Readyz = args.target.client()?.get_also_if_bad("/readyz")?;
    let is_ready = ready.ready;
    let written = if args.json {
        output::print_objects([ready])
    } else {
        output::print(&lines(&ready))
    };
    Ok(written.max(i32::from(!is_ready)))
}

fn lines(ready: &Readyz) -> Vec<Line> {
    if ready.ready {
        return vec![Line::of(Style::Good, "ready")];
    }
    let waits = ready.waiting_for.iter().map(|one| {
        let why = match &one.message {
            Some(message) => format!(": {message}"),
            None => String::new(),
        };
        let text = format!("waits for {}, which is {}{why}", one.id, one.state);
        Line::of(Style::Bad, escape_control(&text).into_owned())
    });
    let mut lines: Vec<_> = waits.collect();
    if lines.is_empty() {
        lines.push(Line::of(Style::Bad, "the first load is not done"));
    }
    lines
}
