//! `plugin-engine status`: how the plugins of a running engine stand.

use std::io::IsTerminal;

use clap::Args;
use plugin_engine::{PluginId, WallTime, escape_control};
use plugin_engine_wire::{EngineInfo, Plugins, RefusedFile, Snapshot};
use serde::Serialize;

use super::target::{self, Target, exit_status};
use crate::client::{Client, ClientError};
use crate::details::details;
use crate::moments::{from_now, now};
use crate::output;
use crate::paint::{Line, Style};
use crate::table::{Space, table};
use crate::terminal;

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine status
  plugin-engine status clock
  plugin-engine status --state /var/lib/plugin-engine
  plugin-engine status --json | jq -r 'select(.state == \"Error\").id'

Without an id: a line per plugin, the files that are refused, and how the engine is. With
one: all that is known of that plugin. With --json a snapshot per line, and after them
{\"refused\":{…}} for each refused file.
", exit_status!("also if plugins are in Error;")))]
pub(crate) struct StatusArgs {
    /// The plugin; all without one
    #[arg(value_name = "ID", value_parser = target::plugin_id)]
    id: Option<PluginId>,

    #[command(flatten)]
    target: Target,

    /// One JSON object per plugin
    #[arg(long)]
    json: bool,
}

/// A refused file, told from the snapshots around it.
#[derive(Serialize)]
struct RefusedLine<'a> {
    refused: &'a RefusedFile,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &StatusArgs) -> i32 {
    target::status(args.target.client().and_then(|client| match &args.id {
        Some(id) => one(&client, id, args.json),
        None => all(&client, args.json),
    }))
}

fn one(client: &Client, id: &PluginId, json: bool) -> Result<i32, ClientError> {
    let plugin: Snapshot = client.get(&format!("/plugins/{id}"))?;
    Ok(if json {
        output::print_objects([plugin])
    } else {
        output::print(&details(&plugin, now()))
    })
}

fn all(client: &Client, json: bool) -> Result<i32, ClientError> {
    let Plugins { plugins } = client.get("/plugins")?;
    let engine: EngineInfo = client.get("/engine")?;
    if json {
        let status = output::print_objects(&plugins);
        let refused = engine.refused.iter();
        let refused = output::print_objects(refused.map(|refused| RefusedLine { refused }));
        return Ok(status.max(refused));
    }
    let now = now();
    let mut lines = table(&plugins, now, space());
    lines.extend(engine.refused.iter().map(refused));
    lines.extend(summary(&engine, plugins.len(), now));
    Ok(output::print(&lines))
}

/// As wide as the terminal, where there is one. As high as it takes: what has gone past can be scrolled back to.
fn space() -> Space {
    if !std::io::stdout().is_terminal() {
        return Space::UNLIMITED;
    }
    Space {
        columns: terminal::size().columns,
        ..Space::UNLIMITED
    }
}

fn refused(file: &RefusedFile) -> Line {
    let mut line = Line::of(Style::Bad, "refused");
    let message = escape_control(&file.message);
    line.add(
        Style::Plain,
        format!("  {message} [{}]", escape_control(&file.code)),
    );
    line
}

/// How the engine as a whole is.
fn summary(engine: &EngineInfo, plugins: usize, now: WallTime) -> Vec<Line> {
    let count = |number: usize, what: &str| match number {
        1 => format!("1 {what}"),
        _ => format!("{number} {what}s"),
    };
    let mut text = format!(
        "{}; engine {}, process {}, started {}",
        count(plugins, "plugin"),
        engine.version,
        engine.pid,
        from_now(engine.started_at, now)
    );
    if let Some(dir) = &engine.plugin_dir {
        text = format!("{text}, over {dir}");
    }
    let mut lines = vec![Line::of(Style::Faint, escape_control(&text))];
    if !engine.stuck_calls.is_empty() {
        let calls = engine.stuck_calls.iter();
        let calls: Vec<_> = calls
            .map(|stuck| {
                format!(
                    "{} of {} ({})",
                    stuck.call,
                    stuck.id,
                    from_now(stuck.since, now)
                )
            })
            .collect();
        let text = format!("calls that have not returned: {}", calls.join(", "));
        lines.push(Line::of(Style::Warning, escape_control(&text)));
    }
    if let Some(problem) = &engine.history.problem {
        let text = format!("the history is in memory only: {problem}");
        lines.push(Line::of(Style::Bad, escape_control(&text)));
    }
    lines
}
