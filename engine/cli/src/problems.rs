//! Problems of configurations as a person reads them: the line, what in it is wrong, and what would be right.

use std::fmt::Write as _;

use annotate_snippets::{AnnotationKind, Group, Level, Origin, Renderer, Snippet};
use plugin_engine::{ConfigError, Problem, escape_control};
use serde_json::Value;

use crate::logging;

/// All problems, one after another, each ending with an empty line.
pub(crate) fn render(error: &ConfigError, coloured: bool) -> String {
    let renderer = if coloured {
        Renderer::styled()
    } else {
        Renderer::plain()
    };
    let mut text = String::new();
    for problem in error.problems() {
        text.push_str(&renderer.render(&[group(problem)]));
        text.push_str("\n\n");
    }
    let more = error.count() - error.problems().len();
    if more > 0 {
        // Writing to a string does not fail.
        let _ = writeln!(text, "and {more} more\n");
    }
    text
}

/// All problems, one object in each line of the log.
pub(crate) fn json_lines(error: &ConfigError) -> String {
    let one = |problem: &Problem| {
        let place = |number: Option<usize>| number.map_or(Value::Null, Value::from);
        let path = problem.path().map(|path| path.to_string_lossy());
        let more = [
            ("code", Value::from(problem.code().as_str())),
            ("file", path.map_or(Value::Null, Value::from)),
            ("line", place(problem.line())),
            ("column", place(problem.column())),
        ];
        logging::json_line("WARN", &problem.to_string(), &more)
    };
    let mut text: String = error.problems().iter().map(one).collect();
    let more = error.count() - error.problems().len();
    if more > 0 {
        let more = format!("and {more} more problems");
        text.push_str(&logging::json_line("WARN", &more, &[]));
    }
    text
}

fn group(problem: &Problem) -> Group<'static> {
    let title = Level::ERROR
        .primary_title(harmless(problem.reason()))
        .id(problem.code().as_str());
    let mut group = Group::with_title(title);
    let path = problem
        .path()
        .map(|path| harmless(&path.to_string_lossy()))
        .unwrap_or_default();
    if problem.line().is_none() && !path.is_empty() {
        group = group.element(Origin::path(path.clone()));
    }
    if let (Some((text, mark)), Some(line), Some(column)) =
        (problem.source_line(), problem.line(), problem.column())
    {
        // Escapes make text longer, so what is meant is found anew.
        let before = harmless_code(&text[..mark.start]);
        let meant = harmless_code(&text[mark.clone()]);
        let after = harmless_code(&text[mark.end..]);
        let span = before.len()..before.len() + meant.len();
        let snippet = Snippet::source(format!("{before}{meant}{after}"))
            .line_start(line)
            .annotation(AnnotationKind::Primary.span(span));
        // The column is counted in what is shown, unless that is not what is written.
        group = if before.chars().count() + 1 == column {
            group.element(snippet.path(path))
        } else {
            let origin = Origin::path(path).line(line).char_column(column);
            group.element(origin).element(snippet)
        };
    }
    match problem.help_text() {
        Some(help) => group.element(Level::HELP.message(harmless(help))),
        None => group,
    }
}

/// Text that can neither steer a terminal nor break a line.
fn harmless(text: &str) -> String {
    escape_control(text).into_owned()
}

/// The same, with tabs left to the renderer, which knows how wide they are.
fn harmless_code(text: &str) -> String {
    let parts: Vec<_> = text.split('\t').map(harmless).collect();
    parts.join("\t")
}
