//! `plugin-engine events`: what plugins publish, and what the engine says of them.

use std::fmt::Write;

use clap::Args;
use plugin_engine::escape_control;
use plugin_engine_wire::{Event, Events};

use super::target::{self, Target, exit_status};
use crate::columns::{Align, Cells, Titles};
use crate::listing::{Listed, Listing};
use crate::paint::Style;

#[derive(Debug, Args)]
#[command(after_help = concat!("\
Examples:
  plugin-engine events
  plugin-engine events --follow
  plugin-engine events --follow --pattern 'plugin.*.unhealthy'
  plugin-engine events --follow --json | jq -r .topic

The plugins that are unhealthy now and the last 1,000 events, oldest first; with --follow
those that come, too, until the engine stops or Ctrl-C. In a pattern, * stands for one
part of a topic and ** at the end for all that follow. With --json, {\"lost\":…,\"after\":…}
stands where events are missing.
", exit_status!("also when a followed engine has stopped;")))]
pub(crate) struct EventsArgs {
    /// Go on with those that come
    #[arg(long, short)]
    follow: bool,

    /// Only topics like this one
    #[arg(long, value_name = "PATTERN", default_value = "**")]
    pattern: String,

    #[command(flatten)]
    target: Target,

    /// One JSON object per event
    #[arg(long)]
    json: bool,
}

/// Asks, and returns the exit status.
pub(crate) fn run(args: &EventsArgs) -> i32 {
    target::status(args.target.client().and_then(|client| {
        let path = format!("/events?pattern={}", encoded(&args.pattern));
        let mut shown = Listing::of::<Event>(args.json);
        if args.follow {
            shown.follow::<Event>(&client, &path)
        } else {
            let Events { events } = client.get(&format!("{path}&follow=false"))?;
            Ok(shown.print(&events))
        }
    }))
}

impl Listed for Event {
    const TITLES: Titles = &[
        ("time", Align::Left),
        ("topic", Align::Left),
        ("says", Align::Left),
    ];
    const MANY: &str = "events";

    fn cells(&self) -> Cells {
        let style = if self.topic.ends_with(".unhealthy") {
            Style::Bad
        } else {
            Style::Strong
        };
        vec![
            (Style::Faint, self.at.0.to_string()),
            (style, escape_control(&self.topic).into_owned()),
            (Style::Plain, escape_control(&self.payload).into_owned()),
        ]
    }
}

/// A text as the value in the query of an address.
fn encoded(text: &str) -> String {
    let mut encoded = String::new();
    for byte in text.bytes() {
        if byte.is_ascii_alphanumeric() || b"-._~*".contains(&byte) {
            encoded.push(byte.into());
        } else {
            // Writing to a text cannot fail.
            let _ = write!(encoded, "%{byte:02X}");
        }
    }
    encoded
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_pattern_cannot_say_more_than_a_pattern() {
        assert_eq!(encoded("plugin.*.unhealthy"), "plugin.*.unhealthy");
        assert_eq!(encoded("a&follow=x y#é"), "a%26follow%3Dx%20y%23%C3%A9");
    }
}
