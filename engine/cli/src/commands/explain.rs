//! `plugin-engine explain`: what a code means, and what to do.

use clap::Args;
use plugin_engine::Code;
use serde::Serialize;

use crate::output;
use crate::paint::{Line, Style};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine explain PE0113
  plugin-engine explain

Every refusal has a code, in brackets at the end of its message. A code keeps its
meaning in all later versions. Exit status: 0, or 1 if there is no such code.")]
pub(crate) struct ExplainArgs {
    /// The code, such as PE0113; without one, all codes are listed
    #[arg(value_name = "CODE")]
    code: Option<String>,

    /// One JSON object per code
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct CodeJson {
    code: &'static str,
    title: &'static str,
    cause: &'static str,
    example: &'static str,
    remedy: &'static str,
}

/// Explains, and returns the exit status.
pub(crate) fn run(args: &ExplainArgs) -> i32 {
    let codes: Vec<_> = match &args.code {
        None => Code::all().collect(),
        Some(text) => match Code::find(text) {
            Some(code) => vec![code],
            None => {
                return output::fail(format_args!(
                    "there is no code \"{text}\"; `plugin-engine explain` lists all"
                ));
            }
        },
    };
    if args.json {
        return output::print_text(&codes.iter().map(json).collect::<String>());
    }
    match (&args.code, &codes[..]) {
        (Some(_), [code]) => output::print(&explanation(code)),
        _ => output::print(&codes.iter().map(title).collect::<Vec<_>>()),
    }
}

fn json(code: &Code) -> String {
    let object = CodeJson {
        code: code.as_str(),
        title: code.title(),
        cause: code.cause(),
        example: code.example(),
        remedy: code.remedy(),
    };
    // Texts can always be written as JSON.
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

fn title(code: &Code) -> Line {
    let mut line = Line::of(Style::Strong, code.as_str());
    line.add(Style::Plain, format!("  {}", code.title()));
    line
}

fn explanation(code: &Code) -> Vec<Line> {
    let mut lines = vec![title(code), Line::default()];
    lines.extend(output::wrap(code.cause(), 0, Style::Plain));
    lines.extend([
        Line::default(),
        Line::of(Style::Faint, "It looks like this:"),
        Line::default(),
    ]);
    lines.push(Line::of(Style::Plain, format!("  {}", code.example())));
    lines.extend([
        Line::default(),
        Line::of(Style::Faint, "What to do:"),
        Line::default(),
    ]);
    lines.extend(output::wrap(code.remedy(), 2, Style::Plain));
    lines
}
