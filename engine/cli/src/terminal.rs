//! What the program asks of a terminal: its size, whether it takes colour, and not to show what is typed.

use std::io::{IsTerminal, Stdin};
use std::os::fd::AsFd;

use rustix::termios::{LocalModes, OptionalActions, Termios};

/// A size that is sensible where a terminal does not tell its own.
const SIZE_DEFAULT: Size = Size {
    columns: 80,
    rows: 24,
};

/// How much a terminal shows.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Size {
    pub(crate) columns: usize,
    pub(crate) rows: usize,
}

/// The size of the terminal behind the standard output, now.
pub(crate) fn size() -> Size {
    match rustix::termios::tcgetwinsize(std::io::stdout()) {
        // A serial line knows no size and says 0.
        Ok(size) if size.ws_col > 0 && size.ws_row > 0 => Size {
            columns: size.ws_col.into(),
            rows: size.ws_row.into(),
        },
        _ => SIZE_DEFAULT,
    }
}

/// Whether a table can be repainted in place there.
pub(crate) fn can_repaint() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stdout().is_terminal() && !dumb
}

/// Whether colour is wanted on a terminal; see <https://no-color.org>.
pub(crate) fn wants_colour() -> bool {
    std::env::var_os("NO_COLOR").is_none_or(|value| value.is_empty())
}

/// A terminal that does not show what is typed, because an echoed key or a line feed would tear the table. Interrupt and
/// suspend keys work on.
pub(crate) struct QuietKeys {
    keyboard: Stdin,
    before: Termios,
}

impl QuietKeys {
    /// Makes the keyboard quiet, if there is one and this process is in its foreground: changing the settings from the
    /// background would stop the process.
    pub(crate) fn begin() -> Option<Self> {
        let keyboard = std::io::stdin();
        if !is_foreground(&keyboard) {
            return None;
        }
        let before = rustix::termios::tcgetattr(&keyboard).ok()?;
        let keys = Self { keyboard, before };
        let mut quiet = keys.before.clone();
        quiet
            .local_modes
            .remove(LocalModes::ECHO | LocalModes::ICANON);
        keys.set(&quiet);
        Some(keys)
    }

    /// Puts the keyboard back as it was.
    pub(crate) fn end(self) {
        if is_foreground(&self.keyboard) {
            self.set(&self.before);
        }
    }

    fn set(&self, modes: &Termios) {
        // A terminal that is gone has no settings to keep in order.
        let _ = rustix::termios::tcsetattr(&self.keyboard, OptionalActions::Now, modes);
    }
}

fn is_foreground(terminal: impl AsFd) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
