//! `plugin-engine history`: the transitions of plugins.

use clap::Args;
use plugin_engine::{FilterError, HistoryFilter, PluginId};
use plugin_engine_wire::History;

use super::target::{self, Target, exit_status};
use crate::client::{ClientError, MISUSED};
use crate::history_entry::HistoryEntry;
use crate::listing::Listing;
use crate::moments::now;
use crate::output;
use crate::stored::Stored;

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
too, until the engine stops or Ctrl-C. Where no engine runs, what the last one has left in
the state directory is shown. Between transitions stand starts and stops of the engine and
what was not kept: with --json, objects with a \"mark\"; and {\"lost\":…,\"after\":…} where
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
    let mut shown = Listing::of::<HistoryEntry>(args.json);
    let source = |filter: &HistoryFilter| client.get::<History>(&format!("/history?{filter}"));
    let (status, last_seq) = match past(args, filter.clone(), &mut shown, source) {
        Err(absence) if absence.is_absence() && !args.follow => {
            return left_behind(args, filter, &mut shown, absence);
        }
        asked => asked?,
    };
    if !args.follow || status != 0 || output::is_closed() {
        return Ok(status);
    }
    filter.after = Some(last_seq);
    shown.follow::<HistoryEntry>(&client, &format!("/history?{filter}&follow=true"))
}

/// Shows what an engine that does not run any more has left in its state directory.
fn left_behind(
    args: &HistoryArgs,
    filter: HistoryFilter,
    shown: &mut Listing,
    absence: ClientError,
) -> Result<i32, ClientError> {
    let Some(stored) = Stored::open(args.target.state_dir())? else {
        return Err(absence);
    };
    let (status, _) = past(args, filter, shown, |filter| stored.ask(filter))?;
    Ok(status)
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
        let answer = source(&filter)?;
        let last_seq = answer.last_seq;
        tell_problem(&answer);
        let status = shown.print(&HistoryEntry::all(answer, args.newest_first));
        return Ok((status, last_seq));
    }
    filter.limit = Some(PAGE);
    loop {
        let answer = source(&filter)?;
        let last_seq = answer.last_seq;
        if filter.after == args.after {
            tell_problem(&answer);
            tell_lost(args, &answer);
        }
        let entries = HistoryEntry::all(answer, false);
        let seen = entries.last().map_or(0, HistoryEntry::seq);
        let status = shown.print(&entries);
        if entries.is_empty() || seen >= last_seq || status != 0 || output::is_closed() {
            return Ok((status, seen.max(last_seq)));
        }
        filter.after = Some(seen);
    }
}

fn tell_problem(answer: &History) {
    if let Some(problem) = &answer.problem {
        output::note(format_args!("what is on disk is missing here: {problem}"));
    }
}

/// Says that there was more once, to who has asked for all there is.
fn tell_lost(args: &HistoryArgs, answer: &History) {
    if answer.lost > 0 && args.after.is_none() && args.since.is_none() {
        output::note(format_args!(
            "{} older entries are not held any more",
            answer.lost
        ));
    }
}
