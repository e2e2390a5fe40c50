//! What was measured, as it is stored: rows, points of curves, and what the budgets say.

use serde::{Deserialize, Serialize};

use crate::rounds::Table;

/// What a contestant does beside the call, one bit each.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub(crate) struct Does {
    /// It says at a deadline that a call is late.
    pub(crate) deadline: bool,
    /// A call that never returns keeps nobody else waiting.
    pub(crate) hang: bool,
    /// A call that crashes leaves the process alive.
    pub(crate) crash: bool,
    /// State, counts and the last transitions are kept.
    pub(crate) records: bool,
}

impl Does {
    pub(crate) const NOTHING: Self = Self::of([false; 4]);
    pub(crate) const RECORDS: Self = Self::of([false, false, false, true]);
    /// All that can be done for code of this process.
    pub(crate) const IN_PROCESS: Self = Self::of([true, true, false, true]);
    pub(crate) const ALL: Self = Self::of([true; 4]);

    const fn of([deadline, hang, crash, records]: [bool; 4]) -> Self {
        Self {
            deadline,
            hang,
            crash,
            records,
        }
    }

    pub(crate) fn each(self) -> [(&'static str, bool); 4] {
        [
            ("deadline", self.deadline),
            ("a hang stops no other", self.hang),
            ("a crash stops no other", self.crash),
            ("records", self.records),
        ]
    }
}

/// One contestant in one discipline: nanoseconds per operation.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Row {
    pub(crate) group: String,
    pub(crate) name: String,
    /// Only where a call is made.
    pub(crate) does: Option<Does>,
    pub(crate) least: f64,
    pub(crate) median: f64,
    pub(crate) most: f64,
}

/// A point of a curve: nanoseconds per update with so many plugins.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Point {
    pub(crate) curve: String,
    pub(crate) plugins: usize,
    pub(crate) least: f64,
    pub(crate) median: f64,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "snake_case")]
pub(crate) enum Unit {
    /// How often the one fits into the other.
    Times,
    Nanoseconds,
}

/// A figure that a budget is for.
#[derive(Debug, Serialize, Deserialize)]
pub(crate) struct Judged {
    pub(crate) what: String,
    pub(crate) unit: Unit,
    /// By the medians.
    pub(crate) value: f64,
    /// By the least of each, which a busy machine disturbs less.
    pub(crate) least: f64,
    pub(crate) at_most: f64,
}

impl Judged {
    pub(crate) fn holds(&self) -> bool {
        self.value <= self.at_most
    }
}

/// A figure as far as it matters.
pub(crate) fn short(value: f64) -> String {
    match value {
        value if value < 1.0 => format!("{value:.3}"),
        value if value < 20.0 => format!("{value:.2}"),
        value if value < 200.0 => format!("{value:.1}"),
        value => {
            let digits = format!("{value:.0}");
            let mut text = String::new();
            for (at, digit) in digits.chars().enumerate() {
                if at > 0 && (digits.len() - at).is_multiple_of(3) {
                    text.push(',');
                }
                text.push(digit);
            }
            text
        }
    }
}

/// One run.
#[derive(Debug, Default, Serialize, Deserialize)]
pub(crate) struct Report {
    pub(crate) processors: usize,
    pub(crate) rounds: usize,
    /// Names of what is compared with, with their versions.
    pub(crate) versions: Vec<(String, String)>,
    pub(crate) rows: Vec<Row>,
    pub(crate) points: Vec<Point>,
    pub(crate) judged: Vec<Judged>,
}

impl Report {
    /// Takes over what a table has.
    pub(crate) fn take(&mut self, group: &str, table: &Table, does: impl Fn(&str) -> Option<Does>) {
        for (name, [least, median, most]) in table.rows() {
            self.rows.push(Row {
                group: group.to_owned(),
                name: name.clone(),
                does: does(name),
                least: *least,
                median: *median,
                most: *most,
            });
        }
    }

    pub(crate) fn group(&self, group: &str) -> impl Iterator<Item = &Row> {
        let group = group.to_owned();
        self.rows.iter().filter(move |row| row.group == group)
    }

    fn row(&self, name: &str) -> Option<&Row> {
        self.rows.iter().find(|row| row.name == name)
    }

    fn point(&self, curve: &str, plugins: usize) -> Option<&Point> {
        let mut points = self.points.iter();
        points.find(|point| point.curve == curve && point.plugins == plugins)
    }

    /// Judges how often `below` fits into `above`.
    pub(crate) fn judge_ratio(&mut self, what: &str, above: &str, below: &str, at_most: f64) {
        let figures = |name| self.row(name).map(|row| (row.median, row.least));
        let (above, below) = (figures(above), figures(below));
        self.judge_quotient(what, above, below, at_most);
    }

    /// The same of two points, each a curve and a number of plugins.
    pub(crate) fn judge_points(
        &mut self,
        what: &str,
        above: (&str, usize),
        below: (&str, usize),
        at_most: f64,
    ) {
        let figures = |(curve, plugins): (&str, usize)| {
            let point = self.point(curve, plugins)?;
            Some((point.median, point.least))
        };
        let (above, below) = (figures(above), figures(below));
        self.judge_quotient(what, above, below, at_most);
    }

    /// The same of what was found, each a median and the least.
    fn judge_quotient(
        &mut self,
        what: &str,
        above: Option<(f64, f64)>,
        below: Option<(f64, f64)>,
        at_most: f64,
    ) {
        if let (Some(above), Some(below)) = (above, below) {
            self.judged.push(Judged {
                what: what.to_owned(),
                unit: Unit::Times,
                value: above.0 / below.0,
                least: above.1 / below.1,
                at_most,
            });
        }
    }

    /// Judges by how much one takes longer than the other, or how long it takes if there is no other.
    pub(crate) fn judge_nanos(
        &mut self,
        what: &str,
        name: &str,
        without: Option<&str>,
        at_most: f64,
    ) {
        let Some(row) = self.row(name) else { return };
        let (mut value, mut least) = (row.median, row.least);
        if let Some(without) = without {
            let Some(without) = self.row(without) else {
                return;
            };
            value -= without.median;
            least -= without.least;
        }
        self.judged.push(Judged {
            what: what.to_owned(),
            unit: Unit::Nanoseconds,
            value,
            least,
            at_most,
        });
    }

    pub(crate) fn print(&self) {
        let mut group = "";
        for row in &self.rows {
            if row.group != group {
                group = &row.group;
                println!("\n{group:<66} {:>12} {:>12}", "median, ns", "least, ns");
            }
            let (median, least) = (short(row.median), short(row.least));
            println!("{:<66} {median:>12} {least:>12}", row.name);
            let lacks = row.does.into_iter().flat_map(Does::each);
            let lacks: Vec<_> = lacks
                .filter(|(_, does)| !does)
                .map(|(what, _)| what)
                .collect();
            if !lacks.is_empty() {
                println!("    without: {}", lacks.join(", "));
            }
        }
        println!(
            "\n{:<46} {:>8} {:>12} {:>12}",
            "per update", "plugins", "median, ns", "least, ns"
        );
        for point in &self.points {
            let (median, least) = (short(point.median), short(point.least));
            println!(
                "{:<46} {:>8} {median:>12} {least:>12}",
                point.curve, point.plugins
            );
        }
        println!(
            "\n{:<66} {:>10} {:>10} {:>10}",
            "budgets", "median", "least", "at most"
        );
        for judged in &self.judged {
            let unit = match judged.unit {
                Unit::Times => "×",
                Unit::Nanoseconds => "ns",
            };
            println!(
                "{:<66} {:>10} {:>10} {:>10} {unit:<3} {}",
                judged.what,
                short(judged.value),
                short(judged.least),
                short(judged.at_most),
                if judged.holds() { "holds" } else { "MISSED" }
            );
        }
    }
}
