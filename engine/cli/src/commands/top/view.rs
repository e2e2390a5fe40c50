//! How `top` is drawn: a table of plugins with their last minutes as bars, or one plugin in detail.

use plugin_engine::{WallTime, escape_control};
use plugin_engine_wire::{Snapshot, Time};
use ratatui::Frame;
use ratatui::layout::{Constraint, Layout, Rect};
use ratatui::style::{Color, Modifier, Style};
use ratatui::text::{Line, Span};
use ratatui::widgets::{Cell, Paragraph, Row, Table, TableState};

use super::feed::Details;
use super::model::{Detail, Model};
use super::timeline::{SECONDS, Timeline, Tone};
use crate::columns::Columns;
use crate::details::details;
use crate::history_entry::HistoryEntry;
use crate::listing::Listed;
use crate::paint::{self, cut};
use crate::table::{brief, span, state_style};

/// How wide an id may be.
const ID_WIDTH_MAX: usize = 24;
/// How wide the bars of time should at least be, and are at most.
const BAR_WIDTH: (usize, usize) = (20, 100);

/// Colours and signs; without colours the signs alone have to do.
#[derive(Debug, Clone, Copy)]
pub(super) struct Look {
    pub(super) coloured: bool,
}

impl Look {
    fn style(self, style: paint::Style) -> Style {
        let plain = Style::new();
        let colour = match style {
            paint::Style::Plain => return plain,
            paint::Style::Strong => return plain.add_modifier(Modifier::BOLD),
            paint::Style::Faint => return plain.add_modifier(Modifier::DIM),
            paint::Style::Good => Color::Green,
            paint::Style::Busy => Color::Cyan,
            paint::Style::Warning => Color::Yellow,
            paint::Style::Bad => Color::Red,
        };
        if self.coloured {
            plain.fg(colour)
        } else {
            plain
        }
    }

    fn line(self, line: &paint::Line) -> Line<'static> {
        let pieces = line
            .pieces()
            .map(|(style, text)| Span::styled(text.to_owned(), self.style(style)));
        Line::from_iter(pieces)
    }

    fn bar(self, timeline: &Timeline, width: usize) -> Line<'static> {
        let cells = timeline.bar(width).into_iter().map(|tone| {
            let (sign, style) = match tone {
                Tone::Unknown => (" ", paint::Style::Plain),
                Tone::Off => ("·", paint::Style::Faint),
                Tone::Busy => ("▂", paint::Style::Busy),
                Tone::Good => ("▃", paint::Style::Good),
                Tone::Failing => ("▆", paint::Style::Warning),
                Tone::Bad => ("█", paint::Style::Bad),
            };
            Span::styled(sign, self.style(style))
        });
        Line::from_iter(cells)
    }
}

/// Draws all of it.
pub(super) fn draw(frame: &mut Frame<'_>, model: &mut Model, look: Look, now: WallTime) {
    let [top, middle, bottom] = Layout::vertical([
        Constraint::Length(1),
        Constraint::Min(0),
        Constraint::Length(1),
    ])
    .areas(frame.area());
    frame.render_widget(look.line(&title(model)), top);
    let keys = match &mut model.detail {
        Some(detail) => {
            draw_detail(frame, middle, &model.plugins, detail, look, now);
            "Esc back · ↑↓ scroll · q quit"
        }
        None => {
            draw_table(frame, middle, model, look, now);
            "↑↓ select · Enter more · q quit"
        }
    };
    let keys = paint::Line::of(paint::Style::Faint, keys);
    frame.render_widget(look.line(&keys), bottom);
}

fn title(model: &Model) -> paint::Line {
    let mut line = paint::Line::of(paint::Style::Strong, "plugin-engine");
    if let Some(problem) = &model.problem {
        line.add(paint::Style::Bad, format!("  {}", escape_control(problem)));
        return line;
    }
    let count = |tone: Tone| {
        let plugins = model.plugins.iter();
        plugins.filter(|plugin| Tone::of(plugin) == tone).count()
    };
    let (failing, bad) = (count(Tone::Failing), count(Tone::Bad));
    line.add(
        paint::Style::Plain,
        format!("  {} plugins", model.plugins.len()),
    );
    if failing > 0 {
        line.add(paint::Style::Warning, format!("  {failing} failing"));
    }
    if bad > 0 {
        line.add(paint::Style::Bad, format!("  {bad} in Error"));
    }
    line
}

fn draw_table(frame: &mut Frame<'_>, area: Rect, model: &Model, look: Look, now: WallTime) {
    let ids = model
        .plugins
        .iter()
        .map(|plugin| paint::width(&escape_control(&plugin.id)));
    let id = ids.max().unwrap_or(0).clamp(2, ID_WIDTH_MAX);
    // Two columns lie between any two.
    let fixed = [id, 8, 9, 6, 6];
    let taken: usize = fixed.iter().map(|width| width + 2).sum();
    let bar = usize::from(area.width)
        .saturating_sub(taken)
        .clamp(BAR_WIDTH.0, BAR_WIDTH.1);
    let widths = fixed.into_iter().chain([bar]);
    let widths = widths.map(|width| Constraint::Length(u16::try_from(width).unwrap_or(u16::MAX)));
    let last = format!("last {} minutes", SECONDS / 60);
    let head = ["id", "state", "health", "next", "mean", &last];
    let faint = look.style(paint::Style::Faint);
    let head = Row::new(head.map(|title| Cell::from(title.to_owned()))).style(faint);
    let unknown = Timeline::default();
    let rows = model.plugins.iter().map(|plugin| {
        let timeline = model.timelines.get(&plugin.id).unwrap_or(&unknown);
        let [id_cell, state, health, next, mean] = cells(plugin, id, look, now);
        Row::new([
            id_cell,
            state,
            health,
            next,
            mean,
            Cell::from(look.bar(timeline, bar)),
        ])
    });
    let table = Table::new(rows, widths)
        .header(head)
        .column_spacing(2)
        .row_highlight_style(Style::new().add_modifier(Modifier::REVERSED));
    let mut state = TableState::new().with_selected(Some(model.selected));
    frame.render_stateful_widget(table, area, &mut state);
}

fn cells(plugin: &Snapshot, id_width: usize, look: Look, now: WallTime) -> [Cell<'static>; 5] {
    let cell = |style, text: &str| {
        let text = escape_control(text).into_owned();
        Cell::from(Span::styled(text, look.style(style)))
    };
    let next = match plugin.next_update {
        Some(Time(at)) if at > now => span(at.saturating_since(now)),
        Some(_) => "due".to_owned(),
        None => "-".to_owned(),
    };
    let mean = plugin
        .usage
        .as_ref()
        .and_then(|usage| usage.recent?.update_mean_us);
    let health = match &*plugin.health {
        "unhealthy" => paint::Style::Bad,
        "degraded" => paint::Style::Warning,
        _ => paint::Style::Plain,
    };
    [
        cell(
            paint::Style::Strong,
            &cut(&escape_control(&plugin.id), id_width),
        ),
        cell(state_style(plugin), &plugin.state),
        cell(health, &plugin.health),
        cell(paint::Style::Plain, &next),
        cell(
            paint::Style::Plain,
            &mean.map_or_else(|| "-".to_owned(), brief),
        ),
    ]
}

fn draw_detail(
    frame: &mut Frame<'_>,
    area: Rect,
    plugins: &[Snapshot],
    detail: &mut Detail,
    look: Look,
    now: WallTime,
) {
    let plugin = plugins.iter().find(|plugin| plugin.id == detail.id);
    let mut lines = match plugin {
        Some(plugin) => details(plugin, now),
        None => vec![paint::Line::of(paint::Style::Faint, "the plugin is gone")],
    };
    match &detail.told {
        None => lines.push(paint::Line::of(paint::Style::Faint, "…")),
        Some(told) => add_told(&mut lines, told),
    }
    let columns = usize::from(area.width);
    let lines = lines.iter().flat_map(|line| line.fold(columns));
    let lines: Vec<_> = lines.map(|line| look.line(&line)).collect();
    let most = lines.len().saturating_sub(usize::from(area.height));
    // Kept, so that the first key in the other direction shows.
    detail.scrolled = detail.scrolled.min(u16::try_from(most).unwrap_or(u16::MAX));
    frame.render_widget(Paragraph::new(lines).scroll((detail.scrolled, 0)), area);
}

fn add_told(lines: &mut Vec<paint::Line>, told: &Details) {
    let title = |text: &str| paint::Line::of(paint::Style::Strong, text);
    lines.extend([paint::Line::default(), title("It shows")]);
    match &told.display {
        Ok(text) => lines.extend(text.lines().map(|line| {
            paint::Line::of(paint::Style::Plain, format!("  {}", escape_control(line)))
        })),
        Err(why) => lines.push(paint::Line::of(
            paint::Style::Faint,
            format!("  nothing: {}", escape_control(why)),
        )),
    }
    lines.extend([paint::Line::default(), title("History, the newest first")]);
    match &told.history {
        Ok(entries) => {
            let mut columns = Columns::new(HistoryEntry::TITLES);
            let entries = entries.iter().cloned();
            let rows = entries.map(|entry| HistoryEntry::from(entry).cells());
            lines.extend(columns.lines(rows.collect()));
        }
        Err(why) => lines.push(paint::Line::of(paint::Style::Bad, escape_control(why))),
    }
}

#[cfg(test)]
mod tests {
    use plugin_engine_wire::{History, Plugins};
    use ratatui::Terminal;
    use ratatui::backend::TestBackend;
    use ratatui::crossterm::event::{KeyCode, KeyEvent};

    use super::super::feed::News;
    use super::*;

    const PLUGINS: &str = include_str!("../../../../wire/fixtures/plugins.json");
    const HISTORY: &str = include_str!("../../../../wire/fixtures/history.json");
    const PLAIN: Look = Look { coloured: false };

    /// Two seconds after the fixtures.
    fn seen_at() -> WallTime {
        humantime::parse_rfc3339("2026-01-31T02:59:58Z")
            .unwrap()
            .into()
    }

    fn model() -> Model {
        let mut model = Model::default();
        let History { entries, .. } = serde_json::from_str(HISTORY).unwrap();
        for entry in entries {
            model.take(News::Entry(Box::new(entry)), seen_at());
        }
        let Plugins { plugins } = serde_json::from_str(PLUGINS).unwrap();
        model.take(News::Plugins(plugins), seen_at());
        model
    }

    fn drawn(
        model: &mut Model,
        look: Look,
        size: (u16, u16),
    ) -> (Vec<String>, Terminal<TestBackend>) {
        let mut terminal = Terminal::new(TestBackend::new(size.0, size.1)).unwrap();
        terminal
            .draw(|frame| draw(frame, model, look, seen_at()))
            .unwrap();
        let buffer = terminal.backend().buffer();
        let lines = buffer.content().chunks(size.0.into()).map(|line| {
            let line: String = line.iter().map(|cell| cell.symbol()).collect();
            line.trim_end().to_owned()
        });
        (lines.collect(), terminal)
    }

    #[test]
    fn a_row_per_plugin_fits_the_smallest_terminal() {
        let (lines, _) = drawn(&mut model(), PLAIN, (80, 24));
        assert_eq!(lines[0], "plugin-engine  3 plugins  1 failing  1 in Error");
        assert_eq!(
            lines[1],
            "id      state     health     next    mean    last 5 minutes"
        );
        assert!(
            lines[2].starts_with("clock   Enabled   healthy    due     97µs    "),
            "{lines:#?}"
        );
        assert!(lines[2].ends_with('▃'), "{lines:#?}");
        assert!(
            lines[3].starts_with("hangs   Enabled   degraded   due     -       "),
            "{lines:#?}"
        );
        assert!(lines[3].ends_with('▆'), "{lines:#?}");
        assert!(
            lines[4].starts_with("panics  Error     unhealthy  due     -       "),
            "{lines:#?}"
        );
        assert!(lines[4].ends_with('█'), "{lines:#?}");
        assert_eq!(lines[23], "↑↓ select · Enter more · q quit");
        // The bars reach the edge.
        assert_eq!(paint::width(&lines[4]), 80);
    }

    #[test]
    fn states_have_their_colours_and_the_selection_is_seen() {
        let mut model = model();
        model.key(KeyEvent::from(KeyCode::Down));
        let (_, terminal) = drawn(&mut model, Look { coloured: true }, (80, 24));
        let cell = |x: u16, y: u16| terminal.backend().buffer()[(x, y)].clone();
        assert_eq!(cell(79, 2).fg, Color::Green);
        assert_eq!(cell(79, 3).fg, Color::Yellow);
        assert_eq!(cell(79, 4).fg, Color::Red);
        let is_selected = |y: u16| cell(0, y).modifier.contains(Modifier::REVERSED);
        assert_eq!([2, 3, 4].map(is_selected), [false, true, false]);
    }

    #[test]
    fn details_show_error_display_and_history_and_cannot_be_scrolled_away() {
        let mut model = model();
        model.key(KeyEvent::from(KeyCode::Down));
        model.key(KeyEvent::from(KeyCode::Enter));
        let (lines, _) = drawn(&mut model, PLAIN, (80, 24));
        assert!(
            lines[1].starts_with("hangs is Enabled since "),
            "{lines:#?}"
        );
        assert!(
            lines[2].contains("timeout: has not returned within 500ms"),
            "{lines:#?}"
        );
        let History { entries, .. } = serde_json::from_str(HISTORY).unwrap();
        let told = Details {
            id: "hangs".to_owned(),
            history: Ok(entries),
            display: Ok("22 so far\x1b[2J".to_owned()),
        };
        model.take(News::Details(told), seen_at());
        for _ in 0..50 {
            model.key(KeyEvent::from(KeyCode::PageDown));
        }
        let (lines, _) = drawn(&mut model, PLAIN, (120, 12));
        assert!(
            lines.iter().any(|line| line == "  22 so far\\u{1b}[2J"),
            "{lines:#?}"
        );
        assert!(lines[10].contains("update_completed"), "{lines:#?}");
    }

    #[test]
    fn a_problem_is_said_above_what_was_known() {
        let mut model = model();
        model.take(News::Problem("gone\x1b[2J".to_owned()), seen_at());
        let (lines, _) = drawn(&mut model, PLAIN, (80, 24));
        assert_eq!(lines[0], "plugin-engine  gone\\u{1b}[2J");
        assert!(lines[2].starts_with("clock "), "{lines:#?}");
    }

    #[test]
    fn no_size_of_a_terminal_is_too_small_or_too_large() {
        let mut model = model();
        for columns in [1, 2, 10, 40, 79, 81, 200, 400] {
            for rows in [1, 2, 3, 50] {
                drawn(&mut model, PLAIN, (columns, rows));
            }
        }
    }
}
