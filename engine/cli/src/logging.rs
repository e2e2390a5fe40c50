//! Log lines on standard error, of the engine and of plugins, as `RUST_LOG` says.

use std::io;
use std::sync::Arc;

use tracing_subscriber::EnvFilter;
use tracing_subscriber::fmt::MakeWriter;

use crate::screen::Screen;

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
    let started = tracing_subscriber::fmt()
        .with_env_filter(filter)
        .with_ansi(false)
        .with_writer(LogLines(Arc::clone(screen)))
        .try_init();
    // The program starts logging once; there is no other subscriber that could be in the way.
    debug_assert!(started.is_ok(), "logging is started twice");
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
