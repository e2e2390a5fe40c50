//! `plugin-engine liveness`: whether the engine's own tasks make progress.

use clap::Args;
use plugin_engine::{WallTime, escape_control};
use plugin_engine_wire::{Task, Tasks};

use super::target::{self, Target};
use crate::client::ClientError;
use crate::columns::{Align, Cells, Columns};
use crate::moments::{from_now, now};
use crate::output;
use crate::paint::Style;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine liveness
  plugin-engine liveness --json | jq -r 'select(.stale).name'

A line per task of the engine and of the program around it, and per plugin that records
progress. One that should make progress and has not for too long is stale; one that has
ended need not make any.
Exit status: 0, 1 if a task is stale or the engine refuses, 2 for a wrong command line,
3 if no engine answers.")]
pub(crate) struct LivenessArgs {
    #[command(flatten)]
    target: Target,

    /// One JSON object per task
    #[arg(long)]
    json: bool,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &LivenessArgs) -> i32 {
    target::status(ask(args))
}

fn ask(args: &LivenessArgs) -> Result<i32, ClientError> {
    let Tasks { tasks } = args.target.client()?.get("/admin/liveness")?;
    let written = if args.json {
        output::print_objects(&tasks)
    } else {
        let now = now();
        let mut columns = Columns::new(&[
            ("task", Align::Left),
            ("of", Align::Left),
            ("last progress", Align::Right),
            ("busy since", Align::Right),
            ("restarts", Align::Right),
            ("is", Align::Left),
        ]);
        let rows = tasks.iter().map(|task| row(task, now)).collect();
        let lines = columns.lines(rows);
        let mut all = vec![columns.head()];
        all.extend(lines);
        output::print(&all)
    };
    let is_stale = tasks.iter().any(|task| task.stale);
    Ok(written.max(i32::from(is_stale)))
}

fn row(task: &Task, now: WallTime) -> Cells {
    let plain = |text: &str| (Style::Plain, escape_control(text).into_owned());
    let (style, standing) = standing(task);
    let restarts = match task.restarts {
        0 => (Style::Faint, "-".to_owned()),
        number => (Style::Warning, number.to_string()),
    };
    let ago = |at: Option<_>| at.map_or_else(|| "-".to_owned(), |at| from_now(at, now));
    vec![
        (Style::Strong, escape_control(&task.name).into_owned()),
        plain(&task.kind),
        plain(&ago(task.last_tick_at)),
        plain(&ago(task.busy_since)),
        restarts,
        (style, escape_control(&standing).into_owned()),
    ]
}

fn standing(task: &Task) -> (Style, String) {
    let because = |word: &str, why: Option<&str>| match why {
        Some(why) => format!("{word}: {why}"),
        None => word.to_owned(),
    };
    if task.stale {
        return (Style::Bad, because("stale", task.stale_reason.as_deref()));
    }
    if task.ended {
        return (Style::Faint, because("ended", task.end.as_deref()));
    }
    match (task.busy_since, task.protected) {
        (Some(_), true) => (Style::Busy, "busy with something long".to_owned()),
        (Some(_), false) => (Style::Busy, "busy".to_owned()),
        (None, _) => (Style::Good, "alive".to_owned()),
    }
}
