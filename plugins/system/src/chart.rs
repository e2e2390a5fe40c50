//! The chart: what was sampled as an SVG document. Nothing here measures anything.
//!
//! All rules of the style sheet are limited to this document's own class, so that it may stand in the middle of a page
//! without changing the page's looks.

use std::fmt::{self, Write as _};
use std::time::Duration;

use crate::sample::{Disk, Facts, History};

const WIDTH: f64 = 640.0;
const LEFT: f64 = 60.0;
const RIGHT: f64 = WIDTH - 24.0;
const HEADER_HEIGHT: f64 = 44.0;
const PLOT_HEIGHT: f64 = 110.0;
const DISK_HEIGHT: f64 = 40.0;

/// Further disks are only counted.
const DISKS_MAX: usize = 8;
/// A longer path is cut at its start, because its end tells more.
const MOUNT_CHARS_MAX: usize = 48;

const STYLE: &str = "
.system-chart .paper { fill: #ffffff; }
.system-chart text { fill: #5b6773; font: 11px system-ui, sans-serif; }
.system-chart .title { fill: #1f2933; font-size: 13px; font-weight: 600; }
.system-chart .over { paint-order: stroke; stroke: #ffffff; stroke-width: 4px; stroke-linejoin: round; }
.system-chart .start { text-anchor: start; }
.system-chart .end { text-anchor: end; }
.system-chart .middle { text-anchor: middle; }
.system-chart .rule { stroke: #dfe4ea; }
.system-chart .limit { stroke: #5b6773; stroke-dasharray: 4 4; }
.system-chart .line { fill: none; stroke-width: 2; stroke-linejoin: round; stroke-linecap: round; }
.system-chart .area { fill-opacity: 0.12; }
.system-chart .load.line { stroke: #c2571a; }
.system-chart .load.area { fill: #c2571a; }
.system-chart .memory.line { stroke: #2563c4; }
.system-chart .memory.area { fill: #2563c4; }
.system-chart .trough { fill: #dfe4ea; }
.system-chart .disk { fill: #3a7d5c; }
.system-chart .full { fill: #c22f3d; }
@media (prefers-color-scheme: dark) {
  .system-chart .paper { fill: #15191e; }
  .system-chart text { fill: #97a3af; }
  .system-chart .title { fill: #e4e8ec; }
  .system-chart .over { stroke: #15191e; }
  .system-chart .rule { stroke: #2d353d; }
  .system-chart .limit { stroke: #97a3af; }
  .system-chart .load.line { stroke: #f0935a; }
  .system-chart .load.area { fill: #f0935a; }
  .system-chart .memory.line { stroke: #74a7f7; }
  .system-chart .memory.area { fill: #74a7f7; }
  .system-chart .trough { fill: #2d353d; }
  .system-chart .disk { fill: #68b48e; }
  .system-chart .full { fill: #f27882; }
}
";

/// Draws what was sampled; a chart without lines where nothing was yet.
pub(crate) fn draw(history: &History, facts: &Facts) -> String {
    let mut canvas = Canvas::default();
    draw_load(&mut canvas, history, facts);
    draw_memory(&mut canvas, history, facts);
    draw_disks(&mut canvas, &facts.disks);
    canvas.finish()
}

fn draw_load(canvas: &mut Canvas, history: &History, facts: &Facts) {
    let now = history.latest().map_or_else(none_yet, |sample| {
        let [one, five, fifteen] = sample.load;
        format!("{one:.2} in 1 min, {five:.2} in 5 min, {fifteen:.2} in 15 min")
    });
    canvas.header("Load average", &now);
    let processors = facts.processors as f64;
    let peak = history
        .by_age()
        .map(|(_, sample)| sample.load[0])
        .fold(processors, f64::max);
    let scale = Scale {
        top: round_up(peak),
        window: history.window(),
    };
    canvas.plot(
        "load",
        &scale,
        |value| trimmed(value, ""),
        history.by_age().map(|(age, sample)| (age, sample.load[0])),
    );
    let plural = if facts.processors == 1 { "" } else { "s" };
    canvas.limit(
        &scale,
        processors,
        &format!("{} processor{plural}", facts.processors),
    );
    canvas.time_axis(&scale);
}

fn draw_memory(canvas: &mut Canvas, history: &History, facts: &Facts) {
    let now = history.latest().map_or_else(none_yet, |sample| {
        usage(sample.memory_used, facts.memory_total)
    });
    canvas.header("Memory", &now);
    let scale = Scale {
        top: 100.0,
        window: history.window(),
    };
    canvas.plot(
        "memory",
        &scale,
        |value| trimmed(value, " %"),
        history
            .by_age()
            .map(|(age, sample)| (age, percent(sample.memory_used, facts.memory_total))),
    );
    canvas.time_axis(&scale);
}

fn draw_disks(canvas: &mut Canvas, disks: &[Disk]) {
    let hidden = disks.len().saturating_sub(DISKS_MAX);
    let note = match (disks.len(), hidden) {
        (0, _) => "none found".to_owned(),
        (_, 0) => String::new(),
        _ => format!("and {hidden} more"),
    };
    canvas.header("Disks", &note);
    for disk in disks.iter().take(DISKS_MAX) {
        canvas.bar(
            &shortened(&disk.mount),
            &usage(disk.used, disk.total),
            percent(disk.used, disk.total),
        );
    }
}

fn none_yet() -> String {
    "no sample yet".to_owned()
}

/// How values and ages become places in a plot.
struct Scale {
    top: f64,
    window: Duration,
}

impl Scale {
    fn x(&self, age: Duration) -> f64 {
        let share = age.as_secs_f64() / self.window.as_secs_f64();
        RIGHT - share.min(1.0) * (RIGHT - LEFT)
    }

    /// The distance from the top of the plot.
    fn y(&self, value: f64) -> f64 {
        PLOT_HEIGHT * (1.0 - (value / self.top).clamp(0.0, 1.0))
    }
}

/// The document as it grows, from the top down.
#[derive(Default)]
struct Canvas {
    body: String,
    y: f64,
    plot_top: f64,
}

impl Canvas {
    /// Writing to a string cannot fail.
    fn put(&mut self, element: fmt::Arguments<'_>) {
        let _ = self.body.write_fmt(element);
        self.body.push('\n');
    }

    fn text(&mut self, class: &str, x: f64, y: f64, text: &str) {
        let text = escaped(text);
        self.put(format_args!(
            r#"<text class="{class}" x="{x:.1}" y="{y:.1}">{text}</text>"#
        ));
    }

    fn rule(&mut self, class: &str, y: f64) {
        self.put(format_args!(
            r#"<line class="{class}" x1="{LEFT}" y1="{y:.1}" x2="{RIGHT}" y2="{y:.1}"/>"#
        ));
    }

    fn header(&mut self, title: &str, now: &str) {
        let baseline = self.y + 24.0;
        self.text("title", 16.0, baseline, title);
        if !now.is_empty() {
            self.text("end", RIGHT, baseline, now);
        }
        self.y += HEADER_HEIGHT;
    }

    /// A line over time with the area below it, and the axis of its values.
    fn plot(
        &mut self,
        class: &str,
        scale: &Scale,
        label: impl Fn(f64) -> String,
        values: impl Iterator<Item = (Duration, f64)>,
    ) {
        self.plot_top = self.y;
        for share in [0.0, 0.5, 1.0] {
            let value = scale.top * share;
            let y = self.plot_top + scale.y(value);
            self.rule("rule", y);
            self.text("end", LEFT - 8.0, y + 4.0, &label(value));
        }
        let points: Vec<_> = values
            .map(|(age, value)| (scale.x(age), self.plot_top + scale.y(value)))
            .collect();
        if let (Some((first, _)), Some((last, _))) = (points.first(), points.last()) {
            let line = joined(&points);
            let bottom = self.plot_top + PLOT_HEIGHT;
            self.put(format_args!(
                r#"<polygon class="{class} area" points="{first:.1},{bottom:.1} {line} {last:.1},{bottom:.1}"/>"#
            ));
            self.put(format_args!(
                r#"<polyline class="{class} line" points="{line}"/>"#
            ));
        }
        self.y += PLOT_HEIGHT;
    }

    /// A dashed line across the latest plot, with what it stands for.
    fn limit(&mut self, scale: &Scale, value: f64, text: &str) {
        let y = self.plot_top + scale.y(value);
        self.rule("limit", y);
        self.text("over", LEFT + 6.0, y + 15.0, text);
    }

    fn time_axis(&mut self, scale: &Scale) {
        let y = self.y + 16.0;
        let middle = (LEFT + RIGHT) / 2.0;
        self.text("start", LEFT, y, &ago(scale.window));
        self.text("middle", middle, y, &ago(scale.window / 2));
        self.text("end", RIGHT, y, "now");
        self.y += 28.0;
    }

    fn bar(&mut self, name: &str, usage: &str, percent: f64) {
        let class = if percent >= 90.0 { "full" } else { "disk" };
        let (x, y, width) = (16.0, self.y + 20.0, RIGHT - 16.0);
        let filled = width * percent.clamp(0.0, 100.0) / 100.0;
        self.text("start", x, y - 7.0, name);
        self.text("end", RIGHT, y - 7.0, usage);
        self.put(format_args!(
            r#"<rect class="trough" x="{x}" y="{y:.1}" width="{width:.1}" height="8" rx="2"/>"#
        ));
        self.put(format_args!(
            r#"<rect class="{class}" x="{x}" y="{y:.1}" width="{filled:.1}" height="8" rx="2"/>"#
        ));
        self.y += DISK_HEIGHT;
    }

    fn finish(self) -> String {
        let height = self.y + 12.0;
        let body = self.body;
        format!(
            "<svg xmlns=\"http://www.w3.org/2000/svg\" class=\"system-chart\" role=\"img\" width=\"{WIDTH}\" \
             height=\"{height}\" viewBox=\"0 0 {WIDTH} {height}\">\n\
             <title>Load, memory and disks</title>\n<style>{STYLE}</style>\n\
             <rect class=\"paper\" width=\"{WIDTH}\" height=\"{height}\" rx=\"8\"/>\n{body}</svg>\n"
        )
    }
}

/// The points of a line, without those that are less than a unit right of the one before: nobody could tell them apart.
fn joined(points: &[(f64, f64)]) -> String {
    let mut text = String::new();
    let mut drawn = f64::NEG_INFINITY;
    for (index, (x, y)) in points.iter().enumerate() {
        if x - drawn >= 1.0 || index + 1 == points.len() {
            let _ = write!(text, "{x:.1},{y:.1} ");
            drawn = *x;
        }
    }
    text.truncate(text.trim_end().len());
    text
}

/// The next number above `value`, or `value` itself, that halves well: 1, 2, 4, 6, 8, 10 and so on.
fn round_up(value: f64) -> f64 {
    if value <= 1.0 {
        return 1.0;
    }
    let step = 2.0 * 10_f64.powf((value.log10() - 1.0).ceil().max(0.0));
    (value / step).ceil() * step
}

fn percent(part: u64, whole: u64) -> f64 {
    if whole == 0 {
        return 0.0;
    }
    part as f64 / whole as f64 * 100.0
}

/// A number with at most one decimal, and what it counts.
fn trimmed(value: f64, unit: &str) -> String {
    if value.fract() == 0.0 {
        format!("{value:.0}{unit}")
    } else {
        format!("{value:.1}{unit}")
    }
}

fn ago(age: Duration) -> String {
    match age.as_secs() {
        seconds @ ..60 => format!("{seconds} s ago"),
        seconds => trimmed(seconds as f64 / 60.0, " min ago"),
    }
}

fn usage(used: u64, total: u64) -> String {
    let share = percent(used, total);
    format!("{} of {} ({share:.0} %)", bytes(used), bytes(total))
}

fn bytes(count: u64) -> String {
    let mut value = count as f64;
    for unit in ["B", "KiB", "MiB", "GiB", "TiB"] {
        if value < 1024.0 {
            return format!(
                "{value:.*} {unit}",
                usize::from(value < 10.0 && unit != "B")
            );
        }
        value /= 1024.0;
    }
    format!("{value:.1} PiB")
}

fn shortened(mount: &str) -> String {
    let length = mount.chars().count();
    if length <= MOUNT_CHARS_MAX {
        return mount.to_owned();
    }
    let end: String = mount.chars().skip(length + 1 - MOUNT_CHARS_MAX).collect();
    format!("…{end}")
}

/// Text as XML takes it. XML has no way to write most control characters, so a sign stands for them.
fn escaped(text: &str) -> String {
    let mut escaped = String::with_capacity(text.len());
    for character in text.chars() {
        match character {
            '&' => escaped.push_str("&amp;"),
            '<' => escaped.push_str("&lt;"),
            '>' => escaped.push_str("&gt;"),
            '"' => escaped.push_str("&quot;"),
            '\'' => escaped.push_str("&apos;"),
            '\u{fffe}' | '\u{ffff}' => escaped.push(char::REPLACEMENT_CHARACTER),
            other if other.is_control() => escaped.push(char::REPLACEMENT_CHARACTER),
            other => escaped.push(other),
        }
    }
    escaped
}

#[cfg(test)]
mod tests {
    use std::time::Instant;

    use super::*;
    use crate::sample::Sample;

    const GIB: u64 = 1 << 30;

    fn history(samples: u32, load_max: f64) -> History {
        let mut history = History::new(Duration::from_secs(300));
        let start = Instant::now();
        for index in 0..samples {
            let turn = f64::from(index) / 40.0;
            let sample = Sample {
                load: [load_max * (1.0 + turn.sin()) / 2.0, 0.9, 0.6],
                memory_used: ((5.0 + (turn / 2.0).cos()) * GIB as f64) as u64,
            };
            history.push(start + Duration::from_secs(index.into()), sample);
        }
        history
    }

    fn facts(disks: &[(&str, u64)]) -> Facts {
        Facts {
            processors: 4,
            memory_total: 16 * GIB,
            disks: disks
                .iter()
                .map(|(mount, used)| Disk {
                    mount: (*mount).to_owned(),
                    used: used * GIB,
                    total: 100 * GIB,
                })
                .collect(),
        }
    }

    fn texts(svg: &str) -> Vec<String> {
        let document = roxmltree::Document::parse(svg).unwrap();
        document
            .descendants()
            .filter(|node| node.has_tag_name(("http://www.w3.org/2000/svg", "text")))
            .filter_map(|node| node.text().map(str::to_owned))
            .collect()
    }

    #[test]
    fn it_is_well_formed_with_and_without_samples() {
        for samples in [0, 1, 300] {
            let svg = draw(&history(samples, 3.0), &facts(&[("/", 40)]));
            assert!(texts(&svg).contains(&"Load average".to_owned()), "{svg}");
            assert_eq!(svg.contains("<polyline"), samples > 0);
            assert!(!svg.contains("NaN") && !svg.contains("inf"), "{svg}");
        }
    }

    #[test]
    fn a_mount_point_cannot_break_out_of_its_text() {
        let name = "/mnt/<b>&\"'\u{1b}[31m";
        let svg = draw(&history(2, 1.0), &facts(&[(name, 10)]));
        let shown = name.replace('\u{1b}', "\u{fffd}");
        assert!(texts(&svg).contains(&shown), "{svg}");
    }

    #[test]
    fn many_disks_are_counted_and_long_names_are_cut_at_the_start() {
        let long = format!("/{}/end", "ü".repeat(100));
        let svg = draw(&history(2, 1.0), &facts(&[(long.as_str(), 95); 10]));
        let texts = texts(&svg);
        assert!(texts.contains(&"and 2 more".to_owned()));
        let cut = texts.iter().find(|text| text.ends_with("/end")).unwrap();
        assert!(cut.starts_with('…') && cut.chars().count() == MOUNT_CHARS_MAX);
        assert_eq!(svg.matches(r#"<rect class="full""#).count(), DISKS_MAX);
    }

    #[test]
    fn the_axis_covers_the_load_and_halves_well() {
        for (value, top) in [
            (0.3, 1.0),
            (1.0, 1.0),
            (3.0, 4.0),
            (9.0, 10.0),
            (10.0, 10.0),
        ] {
            assert_eq!(round_up(value), top, "{value}");
        }
        for value in [11.0, 63.5, 128.0, 1999.0] {
            let top = round_up(value);
            assert!(top >= value && top <= value * 2.0, "{value}: {top}");
        }
    }

    #[test]
    fn bytes_are_told_in_the_largest_unit_that_fits() {
        assert_eq!(bytes(0), "0 B");
        assert_eq!(bytes(1536), "1.5 KiB");
        assert_eq!(bytes(64 * GIB), "64 GiB");
        assert_eq!(bytes(u64::MAX), "16384.0 PiB");
    }

    #[test]
    fn points_closer_than_a_unit_are_left_out_but_never_the_last() {
        let points = [(1.0, 5.0), (1.4, 6.0), (2.1, 7.0), (2.3, 8.0)];
        assert_eq!(joined(&points), "1.0,5.0 2.1,7.0 2.3,8.0");
    }
}
