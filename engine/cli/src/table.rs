//! Plugins as a table: a line each, in aligned columns, fitted to the space that there is.

use std::time::Duration;

use plugin_engine::{Health, PluginState, WallTime, escape_control};
use plugin_engine_wire::{Snapshot, Time, Usage};

use crate::paint::{Line, Style, cut, pad, width};

/// What lies between two columns.
const GAP: &str = "  ";
/// How wide the last column, which says what is wrong, should at least be before others give way to it.
const NOTE_WIDTH_MIN: usize = 30;
/// How wide the beginning of an error should at least be where a hint stands beside it; else its kind alone is shown.
const ERROR_WIDTH_MIN: usize = 24;
/// What stands between the two.
const BETWEEN: &str = " · ";
/// How wide an id may be where space is short.
const ID_WIDTH_MAX: usize = 24;

/// The columns before the note. The number is how early one gives way where
/// space is short: the lowest goes first, one without a number never.
const COLUMNS: [(&str, Align, Option<u8>); 12] = [
    ("id", Align::Left, None),
    ("state", Align::Left, None),
    ("calls", Align::Right, Some(0)),
    ("ok", Align::Right, Some(9)),
    ("failed", Align::Right, Some(6)),
    ("timeouts", Align::Right, Some(7)),
    ("panics", Align::Right, Some(5)),
    ("skipped", Align::Right, Some(4)),
    ("mean", Align::Right, Some(2)),
    ("cpu", Align::Right, Some(1)),
    ("last", Align::Right, Some(3)),
    ("next", Align::Right, Some(8)),
];
const NOTE_TITLE: &str = "error";

#[derive(Clone, Copy, PartialEq, Eq)]
enum Align {
    Left,
    Right,
}

/// The space for a table.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Space {
    pub(crate) columns: usize,
    /// Lines, the head included.
    pub(crate) rows: usize,
}

impl Space {
    /// No terminal to fit into.
    pub(crate) const UNLIMITED: Self = Self {
        columns: usize::MAX,
        rows: usize::MAX,
    };
}

struct Row {
    cells: [(Style, String); COLUMNS.len()],
    error: Option<(Style, String)>,
    hint: Option<Hint>,
}

/// What goes on now, beside the error: a call that has not returned.
struct Hint {
    /// The kind of the error, for where there is no space for more of it.
    kind: Option<String>,
    full: String,
    short: String,
}

/// The table of these plugins at the time `now`: a head, and a line per plugin as far as there is space.
pub(crate) fn table(plugins: &[Snapshot], now: WallTime, space: Space) -> Vec<Line> {
    let rows: Vec<Row> = plugins.iter().map(|one| row(one, now)).collect();
    let fits = space.rows.saturating_sub(1);
    // One line tells of those for which there is none.
    let shown = if rows.len() <= fits {
        rows.len()
    } else {
        fits.saturating_sub(1)
    };
    let mut widths = column_widths(&rows);
    if space.columns != usize::MAX {
        fit(&mut widths, space.columns);
    }
    let mut lines = vec![head(&widths)];
    lines.extend(
        rows[..shown]
            .iter()
            .map(|row| row.line(&widths, space.columns)),
    );
    if shown < plugins.len() {
        lines.push(rest(&plugins[shown..]));
    }
    lines
}

/// How wide each column has to be for what it holds. 0 is a column that is left out.
fn column_widths(rows: &[Row]) -> [usize; COLUMNS.len()] {
    let mut widths = COLUMNS.map(|(title, ..)| width(title));
    for row in rows {
        for (column, (_, text)) in widths.iter_mut().zip(&row.cells) {
            *column = (*column).max(width(text));
        }
    }
    widths
}

/// Leaves out columns until there is space for the note.
fn fit(widths: &mut [usize; COLUMNS.len()], columns: usize) {
    let taken = |widths: &[usize; COLUMNS.len()]| -> usize {
        let used = widths.iter().filter(|wide| **wide > 0);
        used.map(|wide| wide + GAP.len()).sum()
    };
    widths[0] = widths[0].min(ID_WIDTH_MAX.max(columns / 4));
    for rank in 0.. {
        if taken(widths) + NOTE_WIDTH_MIN <= columns {
            return;
        }
        let next = COLUMNS.iter().position(|(.., at)| *at == Some(rank));
        let Some(next) = next else { return };
        widths[next] = 0;
    }
}

fn head(widths: &[usize; COLUMNS.len()]) -> Line {
    let mut line = Line::default();
    for ((title, align, _), &wide) in COLUMNS.iter().zip(widths) {
        if wide > 0 {
            let title = pad(title, wide, *align == Align::Right);
            line.add(Style::Faint, title + GAP);
        }
    }
    line.add(Style::Faint, NOTE_TITLE);
    line
}

fn rest(plugins: &[Snapshot]) -> Line {
    let failing = plugins.iter().filter(|one| one.error.is_some()).count();
    let text = match failing {
        0 => format!("… and {} more", plugins.len()),
        _ => format!("… and {} more, {failing} with an error", plugins.len()),
    };
    Line::of(Style::Faint, text)
}

impl Row {
    fn line(&self, widths: &[usize; COLUMNS.len()], columns: usize) -> Line {
        let mut line = Line::default();
        for (((_, align, _), &wide), (style, text)) in COLUMNS.iter().zip(widths).zip(&self.cells) {
            if wide > 0 {
                let text = pad(&cut(text, wide), wide, *align == Align::Right);
                line.add(*style, text + GAP);
            }
        }
        let left = columns.saturating_sub(line.width());
        match (&self.error, &self.hint) {
            (Some((style, error)), Some(hint)) => {
                let (error, hint) = hint.beside(error, left);
                line.add(*style, error);
                if !hint.is_empty() {
                    line.add(Style::Faint, BETWEEN);
                    line.add(Style::Warning, hint);
                }
            }
            (Some((style, error)), None) => line.add(*style, error.as_str()),
            (None, Some(hint)) => line.add(Style::Faint, hint.full.as_str()),
            (None, None) => {}
        }
        line.cut(columns)
    }
}

impl Hint {
    /// As much of the error and of this as fits into `columns`. What goes on now comes before how the error was worded.
    fn beside(&self, error: &str, columns: usize) -> (String, String) {
        let kind = self.kind.as_deref().unwrap_or_default();
        for hint in [&self.full, &self.short] {
            let left = columns.saturating_sub(width(hint) + width(BETWEEN));
            if left >= width(error).min(ERROR_WIDTH_MIN) {
                return (cut(error, left), hint.clone());
            }
            if left >= width(kind) {
                return (kind.to_owned(), hint.clone());
            }
        }
        (error.to_owned(), String::new())
    }
}

/// How the state of a plugin looks.
pub(crate) fn state_style(snapshot: &Snapshot) -> Style {
    let is_unhealthy = snapshot.health == Health::Unhealthy.name();
    let is_degraded = snapshot.health == Health::Degraded.name();
    match snapshot.state.parse() {
        Ok(PluginState::Error) => Style::Bad,
        Ok(PluginState::Enabled) if is_unhealthy => Style::Bad,
        Ok(PluginState::Enabled) if snapshot.error.is_some() || is_degraded => Style::Warning,
        Ok(PluginState::Enabled) => Style::Good,
        Ok(PluginState::Running | PluginState::Loaded) => Style::Busy,
        Ok(PluginState::Unloaded | PluginState::Disabled) => Style::Faint,
        // One that only a later engine knows.
        Err(_) => Style::Plain,
    }
}

fn row(snapshot: &Snapshot, now: WallTime) -> Row {
    let usage = snapshot.usage.as_ref();
    let error = snapshot.error.as_ref();
    let bad = |number: u64| match number {
        0 => (Style::Faint, "-".to_owned()),
        _ => (Style::Plain, number.to_string()),
    };
    let last = match snapshot.last_update {
        Some(Time(at)) => format!("{} ago", span(now.saturating_since(at))),
        None => "-".to_owned(),
    };
    let next = match snapshot.next_update {
        Some(Time(at)) if at > now => format!("in {}", span(at.saturating_since(now))),
        Some(_) => "due".to_owned(),
        None => "-".to_owned(),
    };
    let in_flight = snapshot.in_flight.as_ref();
    let hint = in_flight
        // An update inside its deadline is what the state Running says already.
        .filter(|call| call.abandoned || snapshot.state != PluginState::Running.name())
        .map(|call| {
            let since = span(now.saturating_since(call.since.0));
            let abandoned = if call.abandoned { " (abandoned)" } else { "" };
            Hint {
                kind: error.map(|error| escaped(&error.kind)),
                full: format!("{} running since {since}{abandoned}", escaped(&call.call)),
                short: format!("running since {since}"),
            }
        });
    Row {
        cells: [
            (Style::Strong, escaped(&snapshot.id)),
            (state_style(snapshot), escaped(&snapshot.state)),
            bad(snapshot.calls),
            bad(snapshot.successes),
            bad(snapshot.failures),
            bad(snapshot.timeouts),
            bad(snapshot.panics),
            bad(snapshot.skipped),
            used(usage.and_then(mean)),
            used(usage.and_then(cpu)),
            (Style::Plain, last),
            (Style::Plain, next),
        ],
        error: wrong(snapshot),
        hint,
    }
}

fn used(text: Option<String>) -> (Style, String) {
    match text {
        Some(text) => (Style::Plain, text),
        None => (Style::Faint, "-".to_owned()),
    }
}

/// How long updates took on average lately.
fn mean(usage: &Usage) -> Option<String> {
    usage.recent?.update_mean_us.map(brief)
}

/// What share of a processor the plugin took lately.
fn cpu(usage: &Usage) -> Option<String> {
    let percent = usage.recent?.cpu_percent?;
    Some(if percent < 10.0 {
        format!("{percent:.1}%")
    } else {
        format!("{percent:.0}%")
    })
}

/// A time in microseconds, in a few characters.
pub(crate) fn brief(micros: f64) -> String {
    let (value, unit) = match micros {
        ..999.5 => (micros, "µs"),
        ..999_500.0 => (micros / 1_000.0, "ms"),
        _ => (micros / 1_000_000.0, "s"),
    };
    if value < 9.95 {
        format!("{value:.1}{unit}")
    } else {
        format!("{value:.0}{unit}")
    }
}

/// What is wrong: why the plugin is unhealthy, if it goes on being called like that; else the error; else why the health is not good.
fn wrong(snapshot: &Snapshot) -> Option<(Style, String)> {
    let state = snapshot.state.parse();
    let called = matches!(state, Ok(PluginState::Enabled | PluginState::Running));
    let is_unhealthy = snapshot.health == Health::Unhealthy.name();
    let style = if is_unhealthy || state == Ok(PluginState::Error) {
        Style::Bad
    } else {
        Style::Warning
    };
    let error = snapshot.error.as_ref();
    let error = error.map(|error| format!("{}: {}", escaped(&error.kind), escaped(&error.message)));
    let reason = snapshot.health_reason.as_ref();
    let health = reason.map(|reason| format!("{}: {}", escaped(&snapshot.health), escaped(reason)));
    let text = match error {
        error if is_unhealthy && called => health.or(error),
        None => health,
        error => error,
    };
    text.map(|text| (style, text))
}

fn escaped(text: &str) -> String {
    escape_control(text).into_owned()
}

/// A span of time in a few characters: tenths below ten seconds, then two units at most.
pub(crate) fn span(time: Duration) -> String {
    let seconds = time.as_secs();
    match seconds {
        0..10 => format!("{}.{}s", seconds, time.subsec_millis() / 100),
        10..60 => format!("{seconds}s"),
        60..3_600 => format!("{}m{:02}s", seconds / 60, seconds % 60),
        3_600..86_400 => format!("{}h{:02}m", seconds / 3_600, seconds / 60 % 60),
        _ => format!("{}d{:02}h", seconds / 86_400, seconds / 3_600 % 24),
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine::Engine;
    use plugin_engine_wire::{Fault, InFlightCall};

    use super::*;

    const SECOND: u64 = 1_000_000_000;
    const NOW: WallTime = WallTime::from_unix_nanos(1_000 * SECOND);

    fn at(tenths: u64) -> WallTime {
        WallTime::from_unix_nanos(990 * SECOND + tenths * SECOND / 10)
    }

    fn snapshot(id: &str, state: PluginState) -> Snapshot {
        let engine = Engine::builder().build().unwrap();
        let mut snapshot = Snapshot::new(&engine.snapshot(id), None);
        snapshot.state = state.name().into();
        snapshot.calls = 12;
        snapshot.successes = 12;
        snapshot.last_update = Some(Time(at(92)));
        snapshot.next_update = Some(Time(at(102)));
        snapshot
    }

    fn hangs(message: &str) -> Snapshot {
        let mut hangs = snapshot("hangs", PluginState::Enabled);
        hangs.timeouts = 1;
        hangs.next_update = Some(Time(at(99)));
        hangs.error = Some(Fault {
            kind: "timeout".into(),
            message: message.into(),
            type_name: None,
            at: Time(at(92)),
            recoverable: true,
            consecutive: 1,
            location: None,
            backtrace: None,
        });
        hangs.in_flight = Some(InFlightCall {
            call: "update".into(),
            since: Time(at(68)),
            abandoned: true,
        });
        hangs
    }

    fn painted(snapshots: &[Snapshot], space: Space) -> Vec<String> {
        table(snapshots, NOW, space)
            .iter()
            .map(|line| line.text(false).trim_end().to_owned())
            .collect()
    }

    #[test]
    fn a_table_is_aligned_and_says_what_is_wrong() {
        let plugins = [
            snapshot("clock", PluginState::Running),
            hangs("too\nslow \u{1b}[31m"),
        ];
        assert_eq!(
            painted(&plugins, Space::UNLIMITED),
            [
                "id     state    calls  ok  failed  timeouts  panics  skipped  mean  cpu      last     next  error",
                "clock  Running     12  12       -         -       -        -     -    -  0.8s ago  in 0.2s",
                "hangs  Enabled     12  12       -         1       -        -     -    -  0.8s ago      due  \
                 timeout: too\\nslow \\u{1b}[31m · update running since 3.2s (abandoned)",
            ]
        );
    }

    #[test]
    fn columns_give_way_in_a_narrow_terminal_and_no_line_is_too_wide() {
        let plugins = [
            snapshot("clock", PluginState::Enabled),
            hangs("日本語の長い長い長い長い長いメッセージ"),
        ];
        for columns in 0..140 {
            let space = Space { columns, rows: 24 };
            for line in table(&plugins, NOW, space) {
                let shown = line.cut(columns);
                assert!(shown.width() <= columns, "{columns}: {shown:?}");
            }
        }
        let narrow = painted(
            &plugins,
            Space {
                columns: 60,
                rows: 24,
            },
        );
        assert_eq!(narrow[0], "id     state    ok     next  error");
        assert_eq!(
            narrow[2],
            "hangs  Enabled  12      due  timeout · running since 3.2s"
        );
    }

    #[test]
    fn plugins_without_a_line_are_counted() {
        let plugins = [
            snapshot("a", PluginState::Enabled),
            snapshot("b", PluginState::Enabled),
            hangs("slow"),
            snapshot("d", PluginState::Enabled),
        ];
        let lines = |rows| painted(&plugins, Space { columns: 120, rows });
        assert_eq!(lines(5).len(), 5);
        let four = lines(4);
        assert_eq!(four.len(), 4);
        assert_eq!(four[3], "… and 2 more, 1 with an error");
        assert_eq!(lines(2)[1], "… and 4 more, 1 with an error");
    }

    #[test]
    fn how_long_calls_take_is_said_in_a_few_characters() {
        for (micros, text) in [
            (0.07, "0.1µs"),
            (9.9, "9.9µs"),
            (9.96, "10µs"),
            (999.4, "999µs"),
            (999.6, "1.0ms"),
            (54_321.0, "54ms"),
            (999_499.0, "999ms"),
            (1_500_000.0, "1.5s"),
        ] {
            assert_eq!(brief(micros), text);
        }
    }

    #[test]
    fn spans_of_time_are_short() {
        for (millis, text) in [
            (0, "0.0s"),
            (840, "0.8s"),
            (9_999, "9.9s"),
            (10_000, "10s"),
            (61_000, "1m01s"),
            (3_660_000, "1h01m"),
            (90_000_000, "1d01h"),
        ] {
            assert_eq!(span(Duration::from_millis(millis)), text);
        }
    }
}
