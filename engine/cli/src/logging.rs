//! Log lines on standard error, of the engine and of plugins, as `RUST_LOG` says; in text, or as one JSON object in each line.

use std::io::{self, Write};
use std::sync::Arc;
use std::time::SystemTime;

use clap::{Args, ValueEnum};
use serde_json::{Map, Value};
use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::screen::Screen;

/// How lines on standard error are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, ValueEnum)]
pub(crate) enum LogFormat {
    /// For people.
    #[default]
    Text,
    /// One object in each line.
    Json,
}

#[derive(Debug, Args)]
pub(crate) struct LogArgs {
    /// How lines on standard error are written: for people, or as one JSON object in each
    #[arg(
        long,
        value_name = "FORMAT",
        value_enum,
        default_value_t,
        env = "PLUGIN_ENGINE_LOG_FORMAT"
    )]
    pub(crate) log_format: LogFormat,
}

/// Starts logging. `default` is what is logged where `RUST_LOG` says nothing.
pub(crate) fn start(screen: &Arc<Screen>, default: &str) {
    let asked = std::env::var("RUST_LOG").unwrap_or_default();
    let parsed = EnvFilter::try_new(if asked.is_empty() { default } else { &asked });
    let filter = parsed.unwrap_or_else(|error| {
        screen.say(format_args!(
            "RUST_LOG is not understood and ignored ({error}); an example is RUST_LOG=plugin_engine=debug"
        ));
        EnvFilter::new(default)
    });
    let lines = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(LogLines(Arc::clone(screen)));
    let started = match screen.format() {
        LogFormat::Text => lines.try_init(),
        LogFormat::Json => {
            tell_panics_in_json();
            lines
                .json()
                .flatten_event(true)
                .with_current_span(false)
                .with_span_list(false)
                .try_init()
        }
    };
    // The program starts logging once; there is no other subscriber that could be in the way.
    debug_assert!(started.is_ok(), "logging is started twice");
}

/// What Rust itself would write about a panic is an object, too. Not through the screen, whose lock the thread that panics may have.
fn tell_panics_in_json() {
    std::panic::set_hook(Box::new(|panic| {
        let thread = std::thread::current();
        let more = [("thread", Value::from(thread.name()))];
        let line = json_line("ERROR", &panic.to_string(), &more);
        let _ = io::stderr().write_all(line.as_bytes());
    }));
}

/// A line of the program itself, in the shape of those that are logged.
pub(crate) fn json_line(level: &str, message: &str, more: &[(&str, Value)]) -> String {
    let now = humantime::format_rfc3339_micros(SystemTime::now());
    let mut object = Map::new();
    for (key, value) in [
        ("timestamp", now.to_string()),
        ("level", level.to_owned()),
        ("message", message.to_owned()),
        ("target", "plugin_engine_cli".to_owned()),
    ] {
        object.insert(key.to_owned(), Value::from(value));
    }
    for (key, value) in more {
        object.insert((*key).to_owned(), value.clone());
    }
    format!("{}\n", Value::from(object))
}

struct LogLines(Arc<Screen>);

impl<'a> MakeWriter<'a> for LogLines {
    type Writer = LogLine<'a>;

    fn make_writer(&'a self) -> LogLine<'a> {
        LogLine(&self.0)
    }
}

/// A writer for one log line, which comes in one piece.
struct LogLine<'a>(&'a Screen);

impl io::Write for LogLine<'_> {
    fn write(&mut self, line: &[u8]) -> io::Result<usize> {
        self.0.write_above(line)?;
        Ok(line.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}
