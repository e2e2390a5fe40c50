//! `plugin-engine display`: what a plugin shows of itself.

use std::io::{self, IsTerminal};
use std::time::Duration;

use clap::Args;
use plugin_engine::{PluginId, escape_control};
use plugin_engine_wire::View;

use super::patience;
use super::target::{self, Target, exit_status};
use crate::client::{ClientError, Content};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine display clock
  plugin-engine display system > system.svg
  plugin-engine display clock --json | jq -r .kind

The plugin is called for it, between two updates. What it shows is written as it is; to a
terminal only text is, with control characters escaped. With --json its kind, and the
content as \"text\" or \"base64\".
", exit_status!("")))]
pub(crate) struct DisplayArgs {
    /// The plugin
    #[arg(value_name = "ID", value_parser = target::plugin_id)]
    id: PluginId,

    #[command(flatten)]
    target: Target,

    /// How long to wait [default: its timeout twice, and 70 s]
    #[arg(long, value_name = "DURATION", value_parser = super::parse_duration)]
    wait: Option<Duration>,

    /// One JSON object with the kind and the content
    #[arg(long)]
    json: bool,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &DisplayArgs) -> i32 {
    target::status(ask(args))
}

fn ask(args: &DisplayArgs) -> Result<i32, ClientError> {
    let client = args.target.client()?;
    let limit = match args.wait {
        Some(limit) => limit,
        None => patience::of(&client, &args.id)?,
    };
    let path = format!("/plugins/{}/display", args.id);
    if args.json {
        let content = client.content(&path, "application/json", limit)?;
        let view: View = content.read()?;
        return Ok(output::print_objects([view]));
    }
    let content = client.content(&path, "*/*", limit)?;
    Ok(write(&args.id, &content))
}

fn write(id: &PluginId, content: &Content) -> i32 {
    if !io::stdout().is_terminal() {
        return output::print_bytes(&content.bytes);
    }
    match std::str::from_utf8(&content.bytes) {
        Ok(text) if content.is_text() => output::print_text(&for_terminal(text)),
        _ => output::fail(format_args!(
            "{id} shows {}, which is nothing for a terminal; write it to a file: plugin-engine display {id} > FILE",
            content.media_type
        )),
    }
}

/// The text with no control character but the ends of its lines, of which the last one has one, too.
fn for_terminal(text: &str) -> String {
    let lines = text.lines();
    lines
        .flat_map(|line| [escape_control(line).into_owned(), "\n".to_owned()])
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_cannot_steer_the_terminal() {
        assert_eq!(for_terminal("a\x1b[2J\r\nb"), "a\\u{1b}[2J\nb\n");
        assert_eq!(for_terminal(""), "");
    }
}
