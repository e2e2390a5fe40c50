//! The tables of the book, in one file, each between the anchors that a chapter includes it by.

use std::fmt::Write as _;

use crate::report::{Report, Unit, short};
use crate::{histories, loads, reads, updates};

/// Writing to a string does not fail.
macro_rules! line {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

pub(crate) fn tables(report: &Report) -> String {
    let mut text =
        "<!-- Written by tests/comparison.sh. What is changed here by hand is lost with the next run. -->\n".to_owned();
    section(&mut text, "with", |text| with(text, report));
    section(&mut text, "updates", |text| calls(text, report));
    section(&mut text, "budgets", |text| budgets(text, report));
    section(&mut text, "scale", |text| scale(text, report));
    for (anchor, group) in [
        ("snapshots", reads::SNAPSHOTS),
        ("events", reads::EVENTS),
        ("append", histories::APPEND),
        ("query", histories::QUERY),
        ("loads", loads::GROUP),
    ] {
        section(&mut text, anchor, |text| plain(text, report, group));
    }
    text
}

fn section(text: &mut String, anchor: &str, write: impl FnOnce(&mut String)) {
    line!(text, "<!-- ANCHOR: {anchor} -->");
    write(text);
    line!(text, "<!-- ANCHOR_END: {anchor} -->");
}

fn with(text: &mut String, report: &Report) {
    let versions = report.versions.iter();
    let versions: Vec<_> = versions
        .map(|(name, version)| format!("{name} {version}"))
        .collect();
    line!(
        text,
        "Medians of {} rounds on a virtual machine with {} processors; {}.",
        report.rounds,
        report.processors,
        versions.join(", ")
    );
}

/// With what each does beside the call.
fn calls(text: &mut String, report: &Report) {
    let mut rows: Vec<_> = report.group(updates::GROUP).collect();
    rows.sort_by(|one, other| one.median.total_cmp(&other.median));
    let engine = rows.iter().find(|row| row.name == updates::ENGINE);
    let engine = engine.map_or(f64::NAN, |row| row.median);
    line!(
        text,
        "| {} | ns | least | × the engine | deadline | a hang stops no other | a crash stops no other | records |",
        updates::GROUP
    );
    line!(text, "|---|---:|---:|---:|:-:|:-:|:-:|:-:|");
    for row in rows {
        let marks = match row.does {
            Some(does) => does.each().map(|(_, does)| if does { "yes" } else { "–" }),
            None => [""; 4],
        };
        let bold = if row.name.starts_with(ENGINE) {
            "**"
        } else {
            ""
        };
        line!(
            text,
            "| {bold}{}{bold} | {} | {} | {} | {} |",
            row.name,
            short(row.median),
            short(row.least),
            short(row.median / engine),
            marks.join(" | ")
        );
    }
}

/// What names of contestants begin with that are the engine's.
pub(crate) const ENGINE: &str = "the engine";

fn plain(text: &mut String, report: &Report, group: &str) {
    line!(text, "| {group} | ns | least |\n|---|---:|---:|");
    for row in report.group(group) {
        let bold = if row.name.starts_with(ENGINE) {
            "**"
        } else {
            ""
        };
        let (median, least) = (short(row.median), short(row.least));
        line!(text, "| {bold}{}{bold} | {median} | {least} |", row.name);
    }
}

fn scale(text: &mut String, report: &Report) {
    let mut curves: Vec<&str> = Vec::new();
    let mut sizes: Vec<usize> = Vec::new();
    for point in &report.points {
        if !curves.contains(&point.curve.as_str()) {
            curves.push(&point.curve);
        }
        if !sizes.contains(&point.plugins) {
            sizes.push(point.plugins);
        }
    }
    line!(text, "| ns per update, all due | {} |", curves.join(" | "));
    line!(text, "|---:|{}", "---:|".repeat(curves.len()));
    for plugins in sizes {
        let cells = curves.iter().map(|curve| {
            let mut points = report.points.iter();
            let point = points.find(|point| point.curve == *curve && point.plugins == plugins);
            point.map_or_else(|| "–".to_owned(), |point| short(point.median))
        });
        let cells: Vec<_> = cells.collect();
        line!(
            text,
            "| {} | {} |",
            short(plugins as f64)
                .trim_end_matches(".00")
                .trim_end_matches(".0"),
            cells.join(" | ")
        );
    }
}

fn budgets(text: &mut String, report: &Report) {
    line!(
        text,
        "| budget | measured | at most | |\n|---|---:|---:|---|"
    );
    for judged in &report.judged {
        let unit = match judged.unit {
            Unit::Times => "",
            Unit::Nanoseconds => " ns",
        };
        let holds = if judged.holds() {
            "holds"
        } else {
            "**missed**"
        };
        let (value, at_most) = (short(judged.value), short(judged.at_most));
        line!(
            text,
            "| {} | {value}{unit} | {at_most}{unit} | {holds} |",
            judged.what
        );
    }
}
