//! All that is known of one plugin, as lines for a person.

use plugin_engine::{Health, WallTime, escape_control};
use plugin_engine_wire::{Fault, Snapshot, Time, Usage};

use crate::moments::{at_and_from_now, from_now};
use crate::paint::{Line, Style, pad};
use crate::table::{brief, state_style};

/// How wide the names of what is told are.
const LABEL_WIDTH: usize = 15;

/// The lines.
pub(crate) fn details(plugin: &Snapshot, now: WallTime) -> Vec<Line> {
    let mut lines = vec![title(plugin, now)];
    let mut add = |label: &str, style: Style, text: String| {
        let mut line = Line::of(
            Style::Faint,
            format!("  {}", pad(label, LABEL_WIDTH, false)),
        );
        line.add(style, escape_control(&text));
        lines.push(line);
    };
    if let Some(error) = &plugin.error {
        for (at, (style, text)) in fault(error, now).into_iter().enumerate() {
            add(if at == 0 { "error" } else { "" }, style, text);
        }
    }
    let (style, text) = health(plugin);
    add("health", style, text);
    if let Some(call) = &plugin.in_flight {
        let abandoned = if call.abandoned {
            ", past its deadline"
        } else {
            ""
        };
        let text = format!(
            "{}, begun {}{abandoned}",
            call.call,
            from_now(call.since, now)
        );
        add("in flight", Style::Warning, text);
    }
    let moments: [(&str, Option<Time>); 5] = [
        ("next update", plugin.next_update),
        ("last update", plugin.last_update),
        ("last success", plugin.last_success),
        ("last display", plugin.last_display),
        ("last progress", plugin.last_progress),
    ];
    for (label, at) in moments {
        if let Some(at) = at {
            add(label, Style::Plain, at_and_from_now(at, now));
        }
    }
    add("every", Style::Plain, times(plugin));
    add("calls", Style::Plain, calls(plugin));
    if let Some(usage) = &plugin.usage {
        add("durations", Style::Plain, durations(usage));
    }
    add("file", Style::Plain, file(plugin));
    if let Some(sha256) = &plugin.sha256 {
        add("sha256", Style::Plain, sha256.clone());
    }
    let entries = plugin.history_len;
    let text = format!("{entries} entries, the last is {}", plugin.seq);
    add("history", Style::Plain, text);
    lines
}

fn title(plugin: &Snapshot, now: WallTime) -> Line {
    let mut line = Line::of(Style::Strong, escape_control(&plugin.id));
    line.add(Style::Plain, " is ");
    line.add(state_style(plugin), escape_control(&plugin.state));
    if let Some(since) = plugin.since {
        line.add(
            Style::Plain,
            format!(" since {}", at_and_from_now(since, now)),
        );
    }
    line
}

fn fault(error: &Fault, now: WallTime) -> Vec<(Style, String)> {
    let mut text = format!("{}: {}", error.kind, error.message);
    if let Some(location) = &error.location {
        text = format!("{text} (at {location})");
    }
    let again = if error.recoverable {
        "tried again by itself"
    } else {
        "not tried again by itself"
    };
    let in_a_row = match error.consecutive {
        0 | 1 => String::new(),
        number => format!(", {number} in a row"),
    };
    let when = format!("{}{in_a_row}, {again}", at_and_from_now(error.at, now));
    let mut lines = vec![(Style::Bad, text), (Style::Plain, when)];
    let frames = error.backtrace.iter().flat_map(|frames| frames.lines());
    lines.extend(frames.map(|frame| (Style::Faint, frame.to_owned())));
    lines
}

fn health(plugin: &Snapshot) -> (Style, String) {
    let style = match &plugin.health {
        health if health == Health::Healthy.name() => Style::Good,
        health if health == Health::Degraded.name() => Style::Warning,
        health if health == Health::Unhealthy.name() => Style::Bad,
        _ => Style::Plain,
    };
    let mut text = plugin.health.to_string();
    if let Some(reason) = &plugin.health_reason {
        text = format!("{text}: {reason}");
    }
    if plugin.breaker != "off" {
        text = format!(
            "{text}; its circuit breaker is {}",
            plugin.breaker.replace('_', "-")
        );
    }
    (style, text)
}

fn times(plugin: &Snapshot) -> String {
    let time = |millis| humantime::format_duration(std::time::Duration::from_millis(millis));
    format!(
        "{}, and may take {}",
        time(plugin.interval_ms),
        time(plugin.timeout_ms)
    )
}

fn calls(plugin: &Snapshot) -> String {
    let counts = [
        (plugin.successes, "completed"),
        (plugin.failures, "failed"),
        (plugin.timeouts, "timed out"),
        (plugin.panics, "panicked"),
        (plugin.late, "returned late"),
        (plugin.skipped, "skipped"),
    ];
    let counts = counts.iter().filter(|(number, _)| *number > 0);
    let counts: Vec<_> = counts
        .map(|(number, what)| format!("{number} {what}"))
        .collect();
    match &counts[..] {
        [] => plugin.calls.to_string(),
        _ => format!("{}: {}", plugin.calls, counts.join(", ")),
    }
}

fn durations(usage: &Usage) -> String {
    let of = &usage.updates;
    let mut text = format!(
        "mean {}, longest {}",
        brief(of.wall_mean_us),
        brief(of.wall_max_us)
    );
    if let Some(spread) = &of.percentiles {
        text = format!(
            "{text}; half within {}, 99 % within {}",
            brief(spread.p50_us),
            brief(spread.p99_us)
        );
    }
    if let Some(percent) = usage.recent.and_then(|recent| recent.cpu_percent) {
        text = format!("{text}; {percent:.1} % of a processor lately");
    }
    text
}

fn file(plugin: &Snapshot) -> String {
    let mut text = plugin.file.clone().unwrap_or_else(|| "none".to_owned());
    if let Some(version) = &plugin.version {
        text = format!("{text}, version {version}");
    }
    format!("{text}, generation {}", plugin.generation)
}

#[cfg(test)]
mod tests {
    use super::*;

    const PLUGIN: &str = include_str!("../../wire/fixtures/snapshot.json");

    fn shown(change: impl FnOnce(&mut Snapshot)) -> Vec<String> {
        let mut plugin: Snapshot = serde_json::from_str(PLUGIN).unwrap();
        change(&mut plugin);
        let seen_at = humantime::parse_rfc3339("2026-01-31T02:59:58Z").unwrap();
        let lines = details(&plugin, seen_at.into());
        lines.iter().map(|line| line.text(false)).collect()
    }

    #[test]
    fn all_that_is_known_is_told_with_times_from_now() {
        assert_eq!(
            shown(|_| {}),
            [
                "hangs is Enabled since 2026-01-31T02:59:55.123Z (2.8s ago)",
                "  error          timeout: has not returned within 500ms (at src/lib.rs:3:5)",
                "                 2026-01-31T02:59:54.123Z (3.8s ago), 2 in a row, tried again by itself",
                "  health         degraded: has not returned within 500ms; its circuit breaker is half-open",
                "  in flight      update, begun 4.8s ago, past its deadline",
                "  next update    2026-01-31T02:59:56.123Z (1.8s ago)",
                "  last update    2026-01-31T02:59:55.123Z (2.8s ago)",
                "  last display   2026-01-31T02:59:52.123Z (5.8s ago)",
                "  last progress  2026-01-31T02:59:53.123Z (4.8s ago)",
                "  every          1s, and may take 500ms",
                "  calls          23: 23 completed, 2 timed out, 3 skipped",
                "  file           plugins.d/libhangs.so, version 0.1.0, generation 1",
                "  sha256         abababababababababababababababababababababababababababababababab",
                "  history        48 entries, the last is 96",
            ]
        );
    }
}
