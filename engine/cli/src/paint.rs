//! Lines of text for a terminal: measured in the columns that a person sees, cut to a width, and coloured last of all.

use unicode_width::UnicodeWidthChar;

/// How a piece of text looks.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Style {
    Plain,
    Strong,
    Faint,
    Good,
    Busy,
    Warning,
    Bad,
}

impl Style {
    const fn code(self) -> &'static str {
        match self {
            Self::Plain => "",
            Self::Strong => "\x1b[1m",
            Self::Faint => "\x1b[2m",
            Self::Good => "\x1b[32m",
            Self::Busy => "\x1b[36m",
            Self::Warning => "\x1b[33m",
            Self::Bad => "\x1b[31m",
        }
    }
}

/// One line, made of pieces. Holds no control characters: whoever adds text that comes from elsewhere escapes it.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(crate) struct Line {
    pieces: Vec<(Style, String)>,
}

impl Line {
    /// A line of one piece.
    pub(crate) fn of(style: Style, text: impl Into<String>) -> Self {
        let mut line = Self::default();
        line.add(style, text);
        line
    }

    /// Adds a piece.
    pub(crate) fn add(&mut self, style: Style, text: impl Into<String>) {
        self.pieces.push((style, text.into()));
    }

    /// What it is made of.
    pub(crate) fn pieces(&self) -> impl Iterator<Item = (Style, &str)> {
        self.pieces.iter().map(|(style, text)| (*style, &**text))
    }

    /// How many columns it takes.
    pub(crate) fn width(&self) -> usize {
        self.pieces.iter().map(|(_, text)| width(text)).sum()
    }

    /// The line, cut to `columns`.
    pub(crate) fn cut(&self, columns: usize) -> Self {
        if self.width() <= columns {
            return self.clone();
        }
        let mut line = Self::default();
        let mut left = columns;
        for (style, text) in &self.pieces {
            let wide = width(text);
            // A piece that just fits is cut too if more would have followed, so that the ellipsis is seen.
            if wide >= left {
                line.add(*style, cut(&format!("{text}…"), left));
                break;
            }
            left -= wide;
            line.add(*style, text.as_str());
        }
        line
    }

    /// The line in as many lines as it takes where none may have more than `columns`, of which there is at least one.
    pub(crate) fn fold(&self, columns: usize) -> Vec<Self> {
        let columns = columns.max(1);
        let mut lines = vec![Self::default()];
        let mut used = 0;
        for (style, text) in &self.pieces {
            let mut piece = String::new();
            for c in text.chars() {
                let wide = char_width(c);
                if used > 0 && used + wide > columns {
                    let last = lines.len() - 1;
                    lines[last].add(*style, std::mem::take(&mut piece));
                    lines.push(Self::default());
                    used = 0;
                }
                piece.push(c);
                used += wide;
            }
            let last = lines.len() - 1;
            lines[last].add(*style, piece);
        }
        lines
    }

    /// As it is written.
    pub(crate) fn text(&self, coloured: bool) -> String {
        let mut written = String::new();
        for (style, text) in &self.pieces {
            let code = style.code();
            if coloured && !code.is_empty() && !text.trim().is_empty() {
                written.push_str(code);
                written.push_str(text);
                written.push_str("\x1b[0m");
            } else {
                written.push_str(text);
            }
        }
        written
    }
}

fn char_width(c: char) -> usize {
    // What has no width joins the character before it.
    c.width().unwrap_or(0)
}

/// How many columns a text takes. Counted by character, which never says less than a terminal uses.
pub(crate) fn width(text: &str) -> usize {
    text.chars().map(char_width).sum()
}

/// A text, cut to `columns` with an ellipsis where something is missing. May be one column short before a wide character.
pub(crate) fn cut(text: &str, columns: usize) -> String {
    if width(text) <= columns {
        return text.to_owned();
    }
    let Some(left) = columns.checked_sub(1) else {
        return String::new();
    };
    let mut used = 0;
    let mut kept: String = text
        .chars()
        .take_while(|&c| {
            used += char_width(c);
            used <= left
        })
        .collect();
    kept.push('…');
    kept
}

/// A text with blanks added to fill `columns`.
pub(crate) fn pad(text: &str, columns: usize, right: bool) -> String {
    let blanks = " ".repeat(columns.saturating_sub(width(text)));
    if right {
        format!("{blanks}{text}")
    } else {
        format!("{text}{blanks}")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_is_cut_by_the_columns_it_takes() {
        for (text, columns, expected) in [
            ("short", 5, "short"),
            ("longer", 5, "long…"),
            ("longer", 1, "…"),
            ("longer", 0, ""),
            ("", 0, ""),
            // Two columns each: three of them take six.
            ("日本語", 6, "日本語"),
            ("日本語", 5, "日本…"),
            // The third would take the columns 5 and 6, so one stays empty.
            ("日本語の", 6, "日本…"),
            // Bytes are not columns.
            ("éééééé", 4, "ééé…"),
            // A combining accent stays with its letter.
            ("e\u{301}e\u{301}e\u{301}", 2, "e\u{301}…"),
            ("🦀🦀", 3, "🦀…"),
        ] {
            let cut = cut(text, columns);
            assert_eq!(cut, expected, "{text} in {columns}");
            assert!(width(&cut) <= columns);
        }
    }

    #[test]
    fn text_is_filled_up_by_the_columns_it_takes() {
        assert_eq!(pad("日本", 6, false), "日本  ");
        assert_eq!(pad("12", 4, true), "  12");
        assert_eq!(pad("12345", 4, true), "12345");
    }

    #[test]
    fn a_line_is_cut_across_its_pieces() {
        let mut line = Line::of(Style::Good, "good");
        line.add(Style::Bad, "bad");
        assert_eq!(line.width(), 7);
        assert_eq!(line.cut(7), line);
        assert_eq!(line.cut(6).text(false), "goodb…");
        assert_eq!(line.cut(4).text(false), "goo…");
        assert_eq!(line.cut(0).text(false), "");
    }

    #[test]
    fn a_line_is_folded_across_its_pieces_and_nothing_is_lost() {
        let mut line = Line::of(Style::Good, "good");
        line.add(Style::Bad, "日本語");
        let folded = |columns| -> Vec<String> {
            line.fold(columns)
                .iter()
                .map(|line| line.text(false))
                .collect()
        };
        assert_eq!(folded(10), ["good日本語"]);
        assert_eq!(folded(7), ["good日", "本語"]);
        assert_eq!(folded(1).concat(), "good日本語");
        assert_eq!(line.fold(3)[2].text(true), "\x1b[31m本\x1b[0m");
        assert_eq!(Line::default().fold(5).len(), 1);
    }

    #[test]
    fn colour_is_added_last_and_only_where_wanted() {
        let mut line = Line::of(Style::Bad, "bad");
        line.add(Style::Plain, " plain");
        assert_eq!(line.text(false), "bad plain");
        assert_eq!(line.text(true), "\x1b[31mbad\x1b[0m plain");
    }
}
