//! `plugin-engine history`: the transitions of plugins.

use clap::Args;
use plugin_engine::{FilterError, HistoryFilter, PluginId, PluginState, escape_control};
use plugin_engine_wire::{History, Transition};

use super::target::{self, Target, exit_status};
use crate::client::{ClientError, MISUSED};
use crate::columns::{Align, Cells, Titles};
use crate::listing::{Listed, Listing};
use crate::moments::now;
use crate::output;
use crate::paint::Style;
use crate::table::brief;

/// How many entries are asked for at a time, so that a long history fits into the memory of neither side.
const PAGE: usize = 1_000;

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine history clock --limit 20
  plugin-engine history --since 10m --errors
  plugin-engine history clock --to-state Error --newest-first
  plugin-engine history --cause update_timed_out,update_panicked --generation 2..5
  plugin-engine history --follow --json | jq -r .cause

Oldest first, unless told otherwise; --limit N shows the newest N. A time is RFC 3339
(2026-01-31T12:00:00Z) or an age (10m, 2h 30m). Times are shown in UTC. States and causes
can be said again or with commas between them. With --follow those that come are shown,
too, until the engine stops or Ctrl-C. With --json, {\"lost\":…,\"after\":…} stands where
followed entries are missing.
", exit_status!("also if nothing was found;")))]
pub(crate) struct HistoryArgs {
    /// The plugin; all without one
    #[arg(value_name = "ID", value_parser = target::plugin_id)]
    id: Option<PluginId>,

    /// From this time on
    #[arg(long, value_name = "TIME")]
    since: Option<String>,

    /// Up to this time
    #[arg(long, value_name = "TIME")]
    until: Option<String>,

    /// Only from this state
    #[arg(long, value_name = "STATE")]
    from_state: Vec<String>,

    /// Only to this state
    #[arg(long, value_name = "STATE")]
    to_state: Vec<String>,

    /// Only for this cause, such as update_timed_out
    #[arg(long, value_name = "CAUSE")]
    cause: Vec<String>,

    /// Only what came with an error
    #[arg(long)]
    errors: bool,

    /// Only of this generation, or of several: 2..5
    #[arg(long, value_name = "GENERATION")]
    generation: Option<String>,

    /// Only what came after the entry with this number
    #[arg(long, value_name = "SEQ")]
    after: Option<u64>,

    /// Only the newest so many
    #[arg(long, value_name = "N")]
    limit: Option<usize>,

    /// Show the newest first
    #[arg(long, conflicts_with = "follow")]
    newest_first: bool,

    /// Go on with those that come
    #[arg(long, short)]
    follow: bool,

    #[command(flatten)]
    target: Target,

    /// One JSON object per transition
    #[arg(long)]
    json: bool,
}

impl HistoryArgs {
    fn filter(&self) -> Result<HistoryFilter, FilterError> {
        let now = now();
        let mut filter = HistoryFilter {
            ids: self.id.iter().cloned().collect(),
            errors_only: self.errors,
            after: self.after,
            ..HistoryFilter::default()
        };
        let texts = |key: &'static str, values: &[String]| -> Vec<(&'static str, String)> {
            values.iter().map(|value| (key, value.clone())).collect()
        };
        let said = [
            texts("since", self.since.as_slice()),
            texts("until", self.until.as_slice()),
            texts("from_state", &self.from_state),
            texts("to_state", &self.to_state),
            texts("cause", &self.cause),
            texts("generation", self.generation.as_slice()),
        ];
        for (key, value) in said.concat() {
            filter.set(key, &value, now)?;
        }
        Ok(filter)
    }
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &HistoryArgs) -> i32 {
    let filter = match args.filter() {
        Ok(filter) => filter,
        Err(error) => {
            output::fail(error);
            return MISUSED;
        }
    };
    target::status(ask(args, filter))
}

fn ask(args: &HistoryArgs, mut filter: HistoryFilter) -> Result<i32, ClientError> {
    let client = args.target.client()?;
    let mut shown = Listing::of::<Transition>(args.json);
    let source = |filter: &HistoryFilter| client.get::<History>(&format!("/history?{filter}"));
    let (status, last_seq) = past(args, filter.clone(), &mut shown, source)?;
    if !args.follow || status != 0 || output::is_closed() {
        return Ok(status);
    }
    filter.after = Some(last_seq);
    shown.follow::<Transition>(&client, &format!("/history?{filter}&follow=true"))
}

/// Shows what there is, as `source` has it. Returns the exit status, and the number up to which everything has been looked at.
fn past(
    args: &HistoryArgs,
    mut filter: HistoryFilter,
    shown: &mut Listing,
    source: impl Fn(&HistoryFilter) -> Result<History, ClientError>,
) -> Result<(i32, u64), ClientError> {
    if args.limit.is_some() || args.newest_first {
        filter.newest_first = true;
        filter.limit = args.limit;
        let mut answer = source(&filter)?;
        if !args.newest_first {
            answer.entries.reverse();
        }
        return Ok((shown.print(&answer.entries), answer.last_seq));
    }
    filter.limit = Some(PAGE);
    loop {
        let answer = source(&filter)?;
        if answer.lost > 0 && filter.after.is_none() && args.since.is_none() {
            output::note(format_args!(
                "{} older entries are not held any more",
                answer.lost
            ));
        }
        let seen = answer.entries.last().map_or(0, |entry| entry.seq);
        let status = shown.print(&answer.entries);
        if answer.entries.is_empty()
            || seen >= answer.last_seq
            || status != 0
            || output::is_closed()
        {
            return Ok((status, seen.max(answer.last_seq)));
        }
        filter.after = Some(seen);
    }
}

impl Listed for Transition {
    const TITLES: Titles = &[
        ("number", Align::Right),
        ("time", Align::Left),
        ("id", Align::Left),
        ("state", Align::Left),
        ("cause", Align::Left),
        ("took", Align::Right),
        ("error", Align::Left),
    ];
    const MANY: &str = "entries";

    fn cells(&self) -> Cells {
        let to = match self.to.parse() {
            Ok(PluginState::Error) => Style::Bad,
            _ if self.error.is_some() => Style::Warning,
            Ok(PluginState::Enabled) => Style::Good,
            Ok(PluginState::Running | PluginState::Loaded) => Style::Busy,
            _ => Style::Faint,
        };
        let state = if self.from == self.to {
            self.to.to_string()
        } else {
            format!("{} -> {}", self.from, self.to)
        };
        let took = self.duration_us.map(|micros| brief(micros as f64));
        let error = self.error.as_ref();
        let error = error.map(|error| match &error.location {
            Some(location) => format!("{}: {} (at {location})", error.kind, error.message),
            None => format!("{}: {}", error.kind, error.message),
        });
        let escaped = |text: &str| escape_control(text).into_owned();
        vec![
            (Style::Faint, self.seq.to_string()),
            (Style::Plain, self.at.0.to_string()),
            (Style::Strong, escaped(&self.id)),
            (to, escaped(&state)),
            (Style::Plain, escaped(&self.cause)),
            (Style::Plain, took.unwrap_or_default()),
            (to, escaped(&error.unwrap_or_default())),
        ]
    }
}
