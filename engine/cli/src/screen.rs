//! The terminal as one thing with one lock: a table that is repainted in place, and lines that come between without tearing
//! it. Everything that the program writes on standard error goes through here, also where there is no table.

use std::io::{self, Write};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use plugin_engine::{ConfigError, escape_control};

use crate::logging::{self, LogFormat};
use crate::paint::Line;
use crate::problems;
use crate::terminal::{self, Keys};

/// How long leaving in a hurry waits for a thread that is writing to a terminal that does not take it.
const RESTORE_WAIT: Duration = Duration::from_millis(200);

/// The terminal, or what stands in for it.
pub(crate) struct Screen {
    inner: Mutex<Inner>,
    coloured: bool,
    /// How lines on standard error are written.
    format: LogFormat,
}

#[derive(Default)]
struct Inner {
    /// The lines that are on the terminal, as they were given and as they were written.
    lines: Vec<Line>,
    widths: Vec<usize>,
    columns: usize,
    keys: Keys,
    open: bool,
}

impl Screen {
    pub(crate) fn new(format: LogFormat) -> Arc<Self> {
        Arc::new(Self {
            inner: Mutex::default(),
            coloured: terminal::wants_colour(),
            format,
        })
    }

    /// How lines on standard error are written.
    pub(crate) fn format(&self) -> LogFormat {
        self.format
    }

    fn lock(&self) -> MutexGuard<'_, Inner> {
        self.inner.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Paints a table in place of the one before. Writes nothing if it is the same.
    pub(crate) fn paint(&self, lines: Vec<Line>) -> io::Result<()> {
        let mut inner = self.lock();
        let columns = terminal::size().columns;
        if inner.open && inner.lines == lines && inner.columns == columns {
            return Ok(());
        }
        let mut written = inner.return_to_top(columns);
        if !inner.open {
            inner.open = true;
            inner.keys.hush();
            written.push_str(HIDE_CURSOR);
        }
        inner.lines = lines;
        inner.columns = columns;
        inner.write_lines(&mut written, self.coloured);
        write_out(&written)
    }

    /// Writes lines on standard error, above the table if there is one. `text` ends with a line feed.
    pub(crate) fn write_above(&self, text: &[u8]) -> io::Result<()> {
        let mut inner = self.lock();
        if !inner.open {
            return io::stderr().write_all(text);
        }
        let columns = terminal::size().columns;
        write_out(&format!("{}{CLEAR_BELOW}", inner.return_to_top(columns)))?;
        inner.widths.clear();
        let result = io::stderr().write_all(text);
        let mut again = String::new();
        inner.columns = columns;
        inner.write_lines(&mut again, self.coloured);
        write_out(&again)?;
        result
    }

    /// One line of the program itself on standard error. What it quotes is made harmless.
    pub(crate) fn say(&self, text: impl std::fmt::Display) {
        self.say_as("WARN", text);
    }

    /// [`Screen::say`] of why the program ends.
    pub(crate) fn fail(&self, text: impl std::fmt::Display) {
        self.say_as("ERROR", text);
    }

    fn say_as(&self, level: &str, text: impl std::fmt::Display) {
        let text = text.to_string();
        let line = match self.format {
            LogFormat::Text => format!("plugin-engine: {}\n", escape_control(&text)),
            LogFormat::Json => logging::json_line(level, &text, &[]),
        };
        // Nobody can be told that standard error is closed.
        let _ = self.write_above(line.as_bytes());
    }

    /// What is wrong with a configuration, as a person reads it, or in an object each.
    pub(crate) fn say_problems(&self, error: &ConfigError) {
        let text = match self.format {
            LogFormat::Text => problems::render(error, terminal::errors_are_coloured()),
            LogFormat::Json => problems::json_lines(error),
        };
        let _ = self.write_above(text.as_bytes());
    }

    /// Leaves the last table where it is, and gives the terminal back as it was. What is painted after that begins below.
    pub(crate) fn close(&self) {
        self.lock().close();
    }

    /// [`Screen::close`] for a process that leaves at once: waits for nobody who is stuck.
    pub(crate) fn close_in_a_hurry(&self) {
        let until = Instant::now() + RESTORE_WAIT;
        loop {
            if let Ok(mut inner) = self.inner.try_lock() {
                return inner.close();
            }
            if Instant::now() >= until {
                return;
            }
            std::thread::sleep(Duration::from_millis(5));
        }
    }
}

const HIDE_CURSOR: &str = "\x1b[?25l";
const SHOW_CURSOR: &str = "\x1b[?25h";
const CLEAR_LINE: &str = "\x1b[2K";
const CLEAR_BELOW: &str = "\x1b[J";

impl Inner {
    /// What moves the cursor from below the table to its first line. A terminal that has become narrower since has broken
    /// the lines that no longer fit, so they are counted as it shows them now.
    fn return_to_top(&self, columns: usize) -> String {
        let rows: usize = self
            .widths
            .iter()
            .map(|wide| wide.div_ceil(columns.max(1)).max(1))
            .sum();
        if rows == 0 {
            return "\r".to_owned();
        }
        format!("\r\x1b[{rows}A")
    }

    fn write_lines(&mut self, written: &mut String, coloured: bool) {
        self.widths.clear();
        for line in &self.lines {
            // Lines were made for a width; the terminal may have changed since.
            let line = line.cut(self.columns);
            written.push_str(CLEAR_LINE);
            written.push_str(&line.text(coloured));
            written.push('\n');
            self.widths.push(line.width());
        }
        written.push_str(CLEAR_BELOW);
    }

    fn close(&mut self) {
        if !self.open {
            return;
        }
        let _ = write_out(SHOW_CURSOR);
        self.keys.restore();
        self.open = false;
        self.lines.clear();
        self.widths.clear();
    }
}

/// Writes a whole picture at once, so that nobody sees half of it.
fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}
