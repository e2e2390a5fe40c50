//! Plots as SVG, to stand inside a page: text and axes have the colour of its text and the engine that of its links, whatever the theme.
//! A logarithmic scale, because there are five powers of ten between the first contestant and the last.

use std::fmt::Write as _;

use crate::markdown::ENGINE;
use crate::report::{Report, short};
use crate::{histories, loads, scale, updates};

const WIDTH: f64 = 940.0;
/// Of the page's link colour; the other is for a plot that is looked at alone.
const ENGINE_COLOUR: &str = "var(--links, #20609f)";

/// Writing to a string does not fail.
macro_rules! add {
    ($text:expr, $($what:tt)*) => { let _ = writeln!($text, $($what)*); };
}

/// The plots, by the names of their files: of groups whose figures lie far apart.
pub(crate) fn plots(report: &Report) -> Vec<(String, String)> {
    let mut plots: Vec<_> = [
        ("updates", updates::GROUP),
        ("append", histories::APPEND),
        ("loads", loads::GROUP),
    ]
    .map(|(name, group)| (format!("cost-{name}.svg"), bars(report, group)))
    .into();
    plots.push(("cost-scale.svg".to_owned(), curves(report)));
    plots
}

/// A logarithmic axis from one power of ten to another.
struct Axis {
    low: f64,
    high: f64,
    from: f64,
    to: f64,
}

impl Axis {
    fn around(values: impl Iterator<Item = f64> + Clone, from: f64, to: f64) -> Self {
        let low = values.clone().fold(f64::INFINITY, f64::min).log10().floor();
        let high = values.fold(0.0, f64::max).log10().ceil();
        Self {
            low,
            high: high.max(low + 1.0),
            from,
            to,
        }
    }

    fn at(&self, value: f64) -> f64 {
        let share = (value.log10() - self.low) / (self.high - self.low);
        self.from + share * (self.to - self.from)
    }

    /// Its powers of ten.
    fn ticks(&self) -> impl Iterator<Item = f64> {
        (self.low as i32..=self.high as i32).map(|power| 10f64.powi(power))
    }
}

fn begin(height: f64, title: &str) -> String {
    let mut svg = String::new();
    add!(
        svg,
        "<svg xmlns=\"http://www.w3.org/2000/svg\" viewBox=\"0 0 {WIDTH} {height}\" role=\"img\" aria-label=\"{title}\" style=\"width:100%;height:auto\" font-family=\"sans-serif\" font-size=\"13\" fill=\"currentColor\">"
    );
    add!(svg, "<title>{title}</title>");
    svg
}

/// A time in the unit in which one says it.
fn time(nanos: f64) -> String {
    let (value, unit) = match nanos {
        nanos if nanos < 1e3 => (nanos, "ns"),
        nanos if nanos < 1e6 => (nanos / 1e3, "µs"),
        nanos if nanos < 1e9 => (nanos / 1e6, "ms"),
        nanos => (nanos / 1e9, "s"),
    };
    let digits = match value {
        value if value < 10.0 && value.fract() > 0.0 => 1,
        _ => 0,
    };
    format!("{value:.digits$} {unit}")
}

fn bars(report: &Report, group: &str) -> String {
    const STEP: f64 = 24.0;
    const LEFT: f64 = 390.0;
    const RIGHT: f64 = 860.0;
    let mut rows: Vec<_> = report.group(group).collect();
    rows.sort_by(|one, other| one.median.total_cmp(&other.median));
    let bottom = 10.0 + STEP * rows.len() as f64;
    let mut svg = begin(bottom + 30.0, &format!("{group}: nanoseconds, logarithmic"));
    let axis = Axis::around(rows.iter().map(|row| row.least), LEFT, RIGHT);
    let axis = Axis {
        high: rows
            .iter()
            .map(|row| row.median)
            .fold(10.0, f64::max)
            .log10()
            .ceil(),
        ..axis
    };
    for tick in axis.ticks() {
        let x = axis.at(tick);
        add!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"4\" x2=\"{x:.1}\" y2=\"{bottom}\" stroke=\"currentColor\" stroke-opacity=\"0.2\"/>"
        );
        add!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{}</text>",
            bottom + 18.0,
            time(tick)
        );
    }
    for (at, row) in rows.iter().enumerate() {
        let y = 8.0 + STEP * at as f64;
        let (name, width) = (row.name.as_str(), axis.at(row.median) - LEFT);
        let (paint, weight) = match name.starts_with(ENGINE) {
            true => (format!("fill=\"{ENGINE_COLOUR}\""), "bold"),
            false => (
                "fill=\"currentColor\" fill-opacity=\"0.4\"".to_owned(),
                "normal",
            ),
        };
        let middle = y + 13.0;
        add!(
            svg,
            "<text x=\"{}\" y=\"{middle}\" text-anchor=\"end\" font-weight=\"{weight}\">{name}</text>",
            LEFT - 8.0
        );
        add!(
            svg,
            "<rect x=\"{LEFT}\" y=\"{y}\" width=\"{width:.1}\" height=\"18\" {paint}/>"
        );
        add!(
            svg,
            "<text x=\"{:.1}\" y=\"{middle}\" font-weight=\"{weight}\">{}</text>",
            LEFT + width + 6.0,
            time(row.median)
        );
    }
    svg.push_str("</svg>\n");
    svg
}

fn curves(report: &Report) -> String {
    const TOP: f64 = 16.0;
    const BOTTOM: f64 = 330.0;
    let mut svg = begin(
        BOTTOM + 50.0,
        "nanoseconds per update over the number of plugins, both logarithmic",
    );
    let points = || report.points.iter();
    let across = Axis::around(points().map(|point| point.plugins as f64), 80.0, 640.0);
    let up = Axis::around(points().map(|point| point.median), BOTTOM, TOP);
    for tick in across.ticks() {
        let x = across.at(tick);
        add!(
            svg,
            "<line x1=\"{x:.1}\" y1=\"{TOP}\" x2=\"{x:.1}\" y2=\"{BOTTOM}\" stroke=\"currentColor\" stroke-opacity=\"0.15\"/>"
        );
        let plugins = short(tick.max(1.0)).replace(".00", "").replace(".0", "");
        add!(
            svg,
            "<text x=\"{x:.1}\" y=\"{}\" text-anchor=\"middle\">{plugins}</text>",
            BOTTOM + 18.0
        );
    }
    add!(
        svg,
        "<text x=\"{:.1}\" y=\"{}\" text-anchor=\"middle\">plugins, all due in each cycle</text>",
        (across.from + across.to) / 2.0,
        BOTTOM + 38.0
    );
    for tick in up.ticks() {
        let y = up.at(tick);
        add!(
            svg,
            "<line x1=\"{}\" y1=\"{y:.1}\" x2=\"{}\" y2=\"{y:.1}\" stroke=\"currentColor\" stroke-opacity=\"0.2\"/>",
            across.from,
            across.to
        );
        add!(
            svg,
            "<text x=\"{}\" y=\"{:.1}\" text-anchor=\"end\">{}</text>",
            across.from - 8.0,
            y + 4.0,
            time(tick)
        );
    }
    for (at, (curve, paint)) in [
        (scale::ONE_WORKER, format!("stroke=\"{ENGINE_COLOUR}\"")),
        (
            scale::TWO_WORKERS,
            format!("stroke=\"{ENGINE_COLOUR}\" stroke-dasharray=\"7 4\""),
        ),
        (
            scale::BARE,
            "stroke=\"currentColor\" stroke-opacity=\"0.6\"".to_owned(),
        ),
    ]
    .iter()
    .enumerate()
    {
        let of_it = points().filter(|point| point.curve == *curve);
        let path: Vec<_> = of_it
            .map(|point| {
                format!(
                    "{:.1},{:.1}",
                    across.at(point.plugins as f64),
                    up.at(point.median)
                )
            })
            .collect();
        add!(
            svg,
            "<polyline points=\"{}\" fill=\"none\" stroke-width=\"2.5\" {paint}/>",
            path.join(" ")
        );
        let y = TOP + 14.0 + 24.0 * at as f64;
        add!(
            svg,
            "<line x1=\"664\" y1=\"{}\" x2=\"704\" y2=\"{}\" stroke-width=\"2.5\" {paint}/>",
            y - 4.0,
            y - 4.0
        );
        add!(svg, "<text x=\"712\" y=\"{y}\">{curve}</text>");
    }
    svg.push_str("</svg>\n");
    svg
}
