//! What a command that ends by itself writes: lines on standard output, failures on standard error.

use std::io::{self, IsTerminal, Write};

use plugin_engine::{Code, escape_control};
use serde::Serialize;

use crate::paint::{Line, Style, width};
use crate::terminal;

/// The widest that running text is set, in columns; longer lines are hard to read.
const TEXT_COLUMNS_MAX: usize = 100;

/// Writes lines on standard output, coloured if that is a terminal. Whoever does not read to the end, as `head` does, is no failure.
pub(crate) fn print(lines: &[Line]) -> i32 {
    let coloured = io::stdout().is_terminal() && terminal::wants_colour();
    let mut text = String::new();
    for line in lines {
        text.push_str(&line.text(coloured));
        text.push('\n');
    }
    print_text(&text)
}

/// Writes text on standard output as it is.
pub(crate) fn print_text(text: &str) -> i32 {
    print_bytes(text.as_bytes())
}

/// Writes bytes on standard output as they are.
pub(crate) fn print_bytes(bytes: &[u8]) -> i32 {
    let mut out = io::stdout().lock();
    match out.write_all(bytes).and_then(|()| out.flush()) {
        Ok(()) => 0,
        Err(error) if error.kind() == io::ErrorKind::BrokenPipe => 0,
        Err(error) => fail(format_args!("cannot write to standard output: {error}")),
    }
}

/// Whether nobody reads the standard output any more. Asked by who writes for as long as somebody reads.
pub(crate) fn is_closed() -> bool {
    use rustix::event::{PollFd, PollFlags, Timespec, poll};
    let stdout = io::stdout();
    let mut asked = [PollFd::new(&stdout, PollFlags::empty())];
    let at_once = Timespec::default();
    poll(&mut asked, Some(&at_once)).is_ok() && asked[0].revents().contains(PollFlags::ERR)
}

/// Writes a JSON object per line.
pub(crate) fn print_objects<T: Serialize>(objects: impl IntoIterator<Item = T>) -> i32 {
    let mut text = String::new();
    for object in objects {
        match serde_json::to_string(&object) {
            Ok(object) => text.extend([&object, "\n"]),
            Err(error) => return fail(format_args!("cannot write this as JSON: {error}")),
        }
    }
    print_text(&text)
}

/// Says on standard error, in one line, what is worth knowing beside the output.
pub(crate) fn note(text: impl std::fmt::Display) {
    // Nobody is left to tell if this fails.
    let _ = writeln!(
        io::stderr(),
        "plugin-engine: {}",
        escape_control(&text.to_string())
    );
}

/// Says on standard error, in one line, why a command failed. Returns the exit status.
pub(crate) fn fail(text: impl std::fmt::Display) -> i32 {
    note(text);
    1
}

/// [`fail`], with the code of the failure.
pub(crate) fn fail_with(text: impl std::fmt::Display, code: Code) -> i32 {
    fail(format_args!("{text} [{code}]"))
}

/// Running text as lines that fit the terminal, each indented.
pub(crate) fn wrap(text: &str, indent: usize, style: Style) -> Vec<Line> {
    let columns = terminal::size().columns.min(TEXT_COLUMNS_MAX);
    wrap_to(text, indent, columns)
        .into_iter()
        .map(|text| Line::of(style, text))
        .collect()
}

fn wrap_to(text: &str, indent: usize, columns: usize) -> Vec<String> {
    let start = " ".repeat(indent);
    let mut lines = vec![start.clone()];
    for word in text.split_whitespace() {
        let last = lines.len() - 1;
        let is_empty = lines[last].len() == indent;
        if !is_empty && width(&lines[last]) + 1 + width(word) > columns {
            lines.push(format!("{start}{word}"));
        } else {
            if !is_empty {
                lines[last].push(' ');
            }
            lines[last].push_str(word);
        }
    }
    lines
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_wrapped_between_words_and_indented() {
        assert_eq!(wrap_to("one two three", 2, 9), ["  one two", "  three"]);
        assert_eq!(
            wrap_to("a-very-long-word x", 2, 9),
            ["  a-very-long-word", "  x"]
        );
        assert_eq!(wrap_to("", 2, 9), ["  "]);
    }
}
