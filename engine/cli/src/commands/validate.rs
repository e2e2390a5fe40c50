//! `plugin-engine validate`: what a host would trip over with a plugin file, found by running it alone in processes of its own.

use std::path::PathBuf;
use std::time::Duration;

use clap::Args;

use crate::output;
use crate::validate::{self, Conclusion, Request};

/// What the exit status says.
const FAILED: i32 = 1;
const NOT_RUN: i32 = 2;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine validate target/release/libclock.so
  plugin-engine validate libfeed.so --settings 'source = \"feed.xml\"'
  plugin-engine validate libfeed.so --settings plugins.d/libfeed.toml --json | jq .result

Runs the file in the real engine, alone, in child processes: it is loaded, created with
good settings and with wrong ones, updated, shown, cancelled, destroyed, reloaded and
unloaded. A crash or a hang ends one child, and is a finding of the check that was made.
A check that has come to nothing after three times --limit and 5s is ended, and no child
may have more than 4 GiB of memory. What updates write, send or delete stays so.
Exit status: 0 if nothing was found but warnings, 1 if something was, 2 if not everything
could be looked at, because the plugin needs settings or other plugins, or for a wrong
command line.")]
pub(crate) struct ValidateArgs {
    /// The plugin file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// The plugin's settings: lines of TOML, or a file with them or with a [settings] table
    #[arg(long, value_name = "FILE|TOML")]
    settings: Option<String>,

    /// A plugin file that is loaded before, because the plugin requires it; may be repeated
    #[arg(long, value_name = "FILE")]
    with: Vec<PathBuf>,

    /// How many updates are made
    #[arg(long, value_name = "N", default_value_t = 1000, value_parser = clap::value_parser!(u64).range(1..))]
    updates: u64,

    /// How long a check goes on, and how long one call is waited for at most
    #[arg(long, value_name = "DURATION", default_value = "10s", value_parser = limit)]
    limit: Duration,

    /// One JSON object
    #[arg(long)]
    json: bool,
}

/// A limit that the engine takes for a call, too.
fn limit(text: &str) -> Result<Duration, String> {
    let limit = super::parse_duration(text)?;
    if (Duration::from_millis(100)..=Duration::from_secs(3_600)).contains(&limit) {
        Ok(limit)
    } else {
        Err("must be from 100ms to 1h".to_owned())
    }
}

/// Validates, and returns the exit status.
pub(crate) fn run(args: &ValidateArgs) -> i32 {
    let request = Request {
        file: &args.file,
        beside: &args.with,
        settings: args.settings.as_deref(),
        updates: args.updates,
        limit: args.limit,
    };
    let validation = match validate::validate(&request) {
        Ok(validation) => validation,
        Err(error) => {
            output::fail_with(&error, error.code());
            return NOT_RUN;
        }
    };
    let printed = if args.json {
        output::print_text(&validate::json(&validation))
    } else {
        output::print(&validate::lines(&validation))
    };
    match validation.conclusion() {
        Conclusion::Passed => printed,
        Conclusion::Failed => FAILED,
        Conclusion::Incomplete => NOT_RUN,
    }
}
