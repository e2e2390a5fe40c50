//! Draws the table of transitions, as it stands in the book:
//! `cargo run --package plugin-engine-core --example diagram > engine/book/src/happens/states.svg`.
//!
//! Where a state is drawn, and along which line an arrow goes, is decided here. Which arrows there are, and what is written at them, comes
//! from the table alone: a transition for which there is no line is an error, and so is a line that no transition takes.

use std::fmt::Write;
use std::process::ExitCode;

use plugin_engine_core::{CAUSES, Cause, PluginState, STATES, next_state};

use PluginState::{Disabled, Enabled, Error, Loaded, Running, Unloaded};

const WIDTH: i32 = 985;
const HEIGHT: i32 = 880;
/// From one line of text to the next.
const LINE: i32 = 15;

/// Where a state is drawn.
struct Place {
    state: PluginState,
    left: i32,
    top: i32,
    right: i32,
    bottom: i32,
    /// Where its name stands.
    name_at: i32,
    /// In how many columns the causes stand that do not leave it.
    columns: usize,
    fill: &'static str,
}

const PLACES: [Place; 6] = [
    place(Unloaded, (330, 20, 650, 130), 62, 1, "#eceff1"),
    place(Loaded, (410, 200, 650, 285), 235, 1, "#e3f2fd"),
    place(Enabled, (330, 340, 650, 530), 372, 2, "#e8f5e9"),
    place(Running, (330, 610, 650, 690), 635, 1, "#c8e6c9"),
    place(Disabled, (10, 20, 150, 810), 390, 1, "#f5f5f5"),
    place(Error, (825, 20, 975, 810), 390, 1, "#ffebee"),
];

const fn place(
    state: PluginState,
    (left, top, right, bottom): (i32, i32, i32, i32),
    name_at: i32,
    columns: usize,
    fill: &'static str,
) -> Place {
    Place {
        state,
        left,
        top,
        right,
        bottom,
        name_at,
        columns,
        fill,
    }
}

/// Along which line an arrow goes.
enum Line {
    /// From one side to the other at this height, with the causes above it.
    Across(i32),
    /// Up or down at this distance from the left, with the causes on its right.
    Along(i32),
    /// Likewise, with the causes on its left, ending at this height.
    AlongLeft(i32, i32),
}

const LINES: [(PluginState, PluginState, Line); 18] = [
    (Unloaded, Loaded, Line::Along(440)),
    (Loaded, Unloaded, Line::Along(560)),
    (Loaded, Enabled, Line::Along(530)),
    (Enabled, Running, Line::Along(370)),
    (Running, Enabled, Line::Along(530)),
    (Enabled, Unloaded, Line::AlongLeft(370, 193)),
    (Unloaded, Error, Line::Across(60)),
    (Error, Unloaded, Line::Across(120)),
    (Loaded, Error, Line::Across(260)),
    (Enabled, Error, Line::Across(400)),
    (Error, Enabled, Line::Across(510)),
    (Running, Error, Line::Across(650)),
    (Disabled, Unloaded, Line::Across(95)),
    (Loaded, Disabled, Line::Across(245)),
    (Enabled, Disabled, Line::Across(390)),
    (Disabled, Enabled, Line::Across(460)),
    (Error, Disabled, Line::Across(735)),
    (Disabled, Error, Line::Across(797)),
];

fn main() -> ExitCode {
    match diagram() {
        Ok(text) => {
            print!("{text}");
            ExitCode::SUCCESS
        }
        Err(error) => {
            eprintln!("diagram: {error}");
            ExitCode::FAILURE
        }
    }
}

/// The causes that lead from one state to another.
fn causes(from: PluginState, to: PluginState) -> Vec<&'static str> {
    let leads = |cause: &&Cause| next_state(from, **cause) == Some(to);
    CAUSES
        .iter()
        .filter(leads)
        .map(|cause| cause.name())
        .collect()
}

/// The causes that are entered in any state and leave it as it is.
fn entered_anywhere() -> Vec<&'static str> {
    let stays = |cause: &&Cause| {
        STATES
            .iter()
            .all(|state| next_state(*state, **cause) == Some(*state))
    };
    CAUSES
        .iter()
        .filter(stays)
        .map(|cause| cause.name())
        .collect()
}

fn diagram() -> Result<String, String> {
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {HEIGHT}\" role=\"img\" font-family=\"sans-serif\" font-size=\"12\">\n\
         <title>The states of a plugin, and the causes that lead from one to another</title>\n\
         <defs><marker id=\"tip\" viewBox=\"0 0 8 8\" refX=\"8\" refY=\"4\" markerWidth=\"8\" markerHeight=\"8\" orient=\"auto\"><path d=\"M0 0L8 4L0 8z\" fill=\"#37474f\"/></marker></defs>\n\
         <rect width=\"{WIDTH}\" height=\"{HEIGHT}\" rx=\"8\" fill=\"#ffffff\"/>\n"
    );
    for place in &PLACES {
        state(&mut svg, place);
    }
    for from in STATES {
        for to in STATES.into_iter().filter(|to| *to != from) {
            let causes = causes(from, to);
            let line = LINES.iter().find(|line| (line.0, line.1) == (from, to));
            match line {
                Some((.., line)) if !causes.is_empty() => arrow(&mut svg, from, to, line, &causes),
                None if causes.is_empty() => {}
                Some(_) => return Err(format!("nothing leads from {from} to {to} any more")),
                None => return Err(format!("there is no line from {from} to {to}")),
            }
        }
    }
    let legend = [
        "In a box: what is entered into the history while the state stays as it is.".to_owned(),
        format!("So are, in every state: {}.", entered_anywhere().join(", ")),
    ];
    for (line, y) in legend.iter().zip([840, 860]) {
        text(&mut svg, (10, y), "start", "", line);
    }
    svg.push_str("</svg>\n");
    Ok(svg)
}

/// Writing to a text cannot fail.
fn text(svg: &mut String, (x, y): (i32, i32), anchor: &str, more: &str, words: &str) {
    let _ = writeln!(
        svg,
        "<text x=\"{x}\" y=\"{y}\" text-anchor=\"{anchor}\"{more}>{words}</text>"
    );
}

const MONO: &str = " font-family=\"monospace\" fill=\"#263238\"";

fn state(svg: &mut String, place: &Place) {
    let (left, top) = (place.left, place.top);
    let (width, height) = (place.right - left, place.bottom - top);
    let _ = writeln!(
        svg,
        "<rect x=\"{left}\" y=\"{top}\" width=\"{width}\" height=\"{height}\" rx=\"6\" fill=\"{}\" stroke=\"#546e7a\"/>",
        place.fill
    );
    let middle = (left + place.right) / 2;
    let bold = " font-size=\"16\" font-weight=\"bold\" fill=\"#000000\"";
    text(
        svg,
        (middle, place.name_at),
        "middle",
        bold,
        &place.state.to_string(),
    );
    let mut stays = causes(place.state, place.state);
    stays.retain(|cause| !entered_anywhere().contains(cause));
    let rows = stays.len().div_ceil(place.columns).max(1);
    for (column, causes) in (0..).zip(stays.chunks(rows)) {
        let step = width / place.columns as i32;
        let x = left + step * column + step / 2;
        for (row, cause) in (0..).zip(causes) {
            text(
                svg,
                (x, place.name_at + 22 + row * LINE),
                "middle",
                MONO,
                cause,
            );
        }
    }
}

fn arrow(svg: &mut String, from: PluginState, to: PluginState, line: &Line, causes: &[&str]) {
    let find = |state| PLACES.iter().find(|place| place.state == state);
    let (Some(start), Some(end)) = (find(from), find(to)) else {
        return;
    };
    let lines = causes.len() as i32;
    let ((x1, y1), (x2, y2), (x, y), anchor) = match *line {
        Line::Across(y) => {
            let rightwards = start.right < end.left;
            let (x1, x2) = if rightwards {
                (start.right, end.left)
            } else {
                (start.left, end.right)
            };
            let label = ((x1 + x2) / 2, y - 6 - (lines - 1) * LINE);
            ((x1, y), (x2, y), label, "middle")
        }
        Line::Along(x) | Line::AlongLeft(x, _) => {
            let (y1, y2) = if start.bottom < end.top {
                (start.bottom, end.top)
            } else {
                (start.top, end.bottom)
            };
            let (label, anchor, middle) = match *line {
                Line::AlongLeft(_, bottom) => (x - 8, "end", bottom - lines * LINE / 2),
                _ => (x + 8, "start", (y1 + y2) / 2),
            };
            let top = middle + 4 - (lines - 1) * LINE / 2;
            ((x, y1), (x, y2), (label, top), anchor)
        }
    };
    let _ = writeln!(
        svg,
        "<path d=\"M{x1} {y1}L{x2} {y2}\" stroke=\"#37474f\" stroke-width=\"1.3\" marker-end=\"url(#tip)\"/>"
    );
    for (row, cause) in (0..).zip(causes) {
        text(svg, (x, y + row * LINE), anchor, MONO, cause);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_picture_in_the_book_is_drawn_from_the_table() {
        let path = concat!(
            env!("CARGO_MANIFEST_DIR"),
            "/../book/src/happens/states.svg"
        );
        let published = std::fs::read_to_string(path).unwrap_or_default();
        assert!(
            published == diagram().unwrap(),
            "draw it anew: cargo run --package plugin-engine-core --example diagram > engine/book/src/happens/states.svg"
        );
    }

    #[test]
    fn every_transition_of_the_table_is_in_the_picture_once() {
        let svg = diagram().unwrap();
        let drawn = svg.matches(MONO).count();
        let anywhere = entered_anywhere().len();
        let of_the_table = plugin_engine_core::table().lines().count() - 2;
        assert!(anywhere > 0);
        assert_eq!(drawn + anywhere * STATES.len(), of_the_table);
    }
}
