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

/// Whether what goes to standard error may be coloured.
pub(crate) fn errors_are_coloured() -> bool {
    let dumb = std::env::var_os("TERM").is_some_and(|term| term == "dumb");
    std::io::stderr().is_terminal() && !dumb && wants_colour()
}

/// The keyboard of a terminal, which can be told not to show what is typed: an echoed key or a line feed would tear the table.
/// Interrupt and suspend keys work on.
#[derive(Default)]
pub(crate) struct Keys {
    /// As the terminal was when the program began. Asked for once only: a shell that takes its terminal back before this process
    /// has put it in order hands it out again as it found it, without echo.
    before: Option<Termios>,
    quiet: bool,
}

impl Keys {
    /// Makes the keyboard quiet, if there is one and this process is in its foreground: changing the settings from the
    /// background would stop the process.
    pub(crate) fn hush(&mut self) {
        let keyboard = std::io::stdin();
        if !is_foreground(&keyboard) {
            return;
        }
        if self.before.is_none() {
            self.before = rustix::termios::tcgetattr(&keyboard).ok();
        }
        if let Some(before) = &self.before {
            let mut quiet = before.clone();
            quiet
                .local_modes
                .remove(LocalModes::ECHO | LocalModes::ICANON);
            set(&keyboard, &quiet);
            self.quiet = true;
        }
    }

    /// Puts the keyboard back as it was.
    pub(crate) fn restore(&mut self) {
        let keyboard = std::io::stdin();
        if let Some(before) = &self.before
            && self.quiet
            && is_foreground(&keyboard)
        {
            set(&keyboard, before);
            self.quiet = false;
        }
    }
}

fn set(keyboard: &Stdin, modes: &Termios) {
    // A terminal that is gone has no settings to keep in order.
    let _ = rustix::termios::tcsetattr(keyboard, OptionalActions::Now, modes);
}

fn is_foreground(terminal: impl AsFd) -> bool {
    rustix::termios::tcgetpgrp(terminal).is_ok_and(|group| group == rustix::process::getpgrp())
}
