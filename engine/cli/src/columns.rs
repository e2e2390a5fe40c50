//! Lines in aligned columns that grow with what they hold, for lists whose end is not known when they begin. The last column is as long as
//! it likes.

use crate::paint::{Line, Style, pad, width};

/// What lies between two columns.
const GAP: &str = "  ";

/// To which side a column is aligned.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Align {
    Left,
    Right,
}

/// The titles of columns.
pub(crate) type Titles = &'static [(&'static str, Align)];
/// What stands in a line, column by column.
pub(crate) type Cells = Vec<(Style, String)>;

/// Columns with their titles.
pub(crate) struct Columns {
    titles: Titles,
    widths: Vec<usize>,
}

impl Columns {
    /// Columns just wide enough for their titles.
    pub(crate) fn new(titles: Titles) -> Self {
        Self {
            titles,
            widths: titles.iter().map(|(title, _)| width(title)).collect(),
        }
    }

    /// The line of titles, as wide as the columns are by now.
    pub(crate) fn head(&self) -> Line {
        let titles = self.titles.iter();
        self.line(
            titles
                .map(|(title, _)| (Style::Faint, (*title).to_owned()))
                .collect(),
        )
    }

    /// Lines, each as wide as the widest so far, these included.
    pub(crate) fn lines(&mut self, rows: Vec<Cells>) -> Vec<Line> {
        for row in &rows {
            for (wide, (_, text)) in self.widths.iter_mut().zip(row) {
                *wide = (*wide).max(width(text));
            }
        }
        rows.into_iter().map(|row| self.line(row)).collect()
    }

    fn line(&self, cells: Cells) -> Line {
        let mut line = Line::default();
        let last = self.titles.len() - 1;
        for (at, (style, text)) in cells.into_iter().enumerate() {
            if at == last {
                line.add(style, text);
            } else {
                let text = pad(&text, self.widths[at], self.titles[at].1 == Align::Right);
                line.add(style, text + GAP);
            }
        }
        line
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn columns_grow_and_never_shrink() {
        let mut columns = Columns::new(&[
            ("n", Align::Right),
            ("name", Align::Left),
            ("", Align::Left),
        ]);
        let row = |n: &str, name: &str| -> Cells {
            let cells = [n, name, "."].into_iter();
            cells.map(|text| (Style::Plain, text.to_owned())).collect()
        };
        let shown = |lines: Vec<Line>| -> Vec<String> {
            lines.iter().map(|line| line.text(false)).collect()
        };
        assert_eq!(columns.head().text(false), "n  name  ");
        let lines = columns.lines(vec![row("9", "a"), row("10", "longer")]);
        assert_eq!(shown(lines), [" 9  a       .", "10  longer  ."]);
        assert_eq!(shown(columns.lines(vec![row("7", "b")])), [" 7  b       ."]);
    }
}
