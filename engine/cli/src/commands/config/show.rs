//! `plugin-engine config show --effective`: what holds for every plugin, and who said it.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use plugin_engine::effective::{Effective, EffectiveConfig, Origin, effective};
use plugin_engine::{LoadOutcome, escape_control};
use serde::Serialize;
use unicode_width::UnicodeWidthStr;

use super::{tell, tell_error};
use crate::output;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine config show --effective --plugins plugins.d
  plugin-engine config show --effective --plugins plugins.d --config engine.toml

For each value it says who said it: a file with the line, the author of the plugin in its
manifest, or nobody, then it is the default. What stands for a secret is shown as it is
written. No code of a plugin is run.
Exit status: 0, or 1 if a file cannot be read, 2 for a wrong command line.")]
pub(crate) struct ShowArgs {
    /// The values that hold, wherever they were said
    #[arg(long, required = true)]
    effective: bool,

    /// The directory of the plugin files
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,

    /// The engine's configuration file
    #[arg(long, value_name = "FILE")]
    config: Option<PathBuf>,

    /// One JSON object per value
    #[arg(long)]
    json: bool,
}

/// A value as one line of JSON. These names are a promise: add, never rename.
#[derive(Serialize)]
struct ValueJson<'a> {
    id: Option<&'a str>,
    file: Option<String>,
    key: &'a str,
    value: &'a str,
    origin: OriginJson,
}

#[derive(Serialize)]
struct OriginJson {
    kind: &'static str,
    path: Option<String>,
    line: Option<usize>,
}

impl From<&Origin> for OriginJson {
    fn from(origin: &Origin) -> Self {
        let (kind, path, line) = match origin {
            Origin::File { path, line } => (
                "file",
                Some(path.to_string_lossy().into_owned()),
                Some(*line),
            ),
            Origin::Manifest => ("manifest", None, None),
            _ => ("default", None, None),
        };
        Self { kind, path, line }
    }
}

pub(super) fn run(args: &ShowArgs) -> io::Result<i32> {
    debug_assert!(args.effective, "the command line insists on it");
    let found = match effective(args.plugins.as_deref(), args.config.as_deref()) {
        Ok(found) => found,
        Err(error) => {
            tell_error(&error);
            return Ok(1);
        }
    };
    for outcome in &found.refused {
        match outcome {
            LoadOutcome::Misconfigured { error, .. } => tell(error),
            outcome => {
                output::fail(outcome);
            }
        }
    }
    let text = if args.json {
        lines_of_json(&found)?
    } else {
        columns(&found)
    };
    io::stdout().write_all(text.as_bytes())?;
    Ok(0)
}

/// Each value with the plugin that it is of.
fn values(
    found: &EffectiveConfig,
) -> impl Iterator<Item = (Option<&str>, Option<String>, &Effective)> {
    let engine = found.engine.iter().map(|value| (None, None, value));
    let plugins = found.plugins.iter().flat_map(|plugin| {
        plugin.values.iter().map(|value| {
            let file = plugin.file.to_string_lossy().into_owned();
            (Some(plugin.id.as_str()), Some(file), value)
        })
    });
    engine.chain(plugins)
}

fn lines_of_json(found: &EffectiveConfig) -> io::Result<String> {
    let mut text = String::new();
    for (id, file, value) in values(found) {
        let json = ValueJson {
            id,
            file,
            key: &value.key,
            value: &value.value,
            origin: OriginJson::from(&value.origin),
        };
        text.push_str(&serde_json::to_string(&json)?);
        text.push('\n');
    }
    Ok(text)
}

fn columns(found: &EffectiveConfig) -> String {
    let mut rows = vec![["id", "key", "value", "said by"].map(str::to_owned)];
    for (id, _, value) in values(found) {
        let cells = [
            id.unwrap_or("-"),
            &value.key,
            &value.value,
            &value.origin.to_string(),
        ];
        rows.push(cells.map(|cell| escape_control(cell).into_owned()));
    }
    let mut widths = [0; 3];
    for row in &rows {
        for (width, cell) in widths.iter_mut().zip(row) {
            // One long value must not push everything else out of sight.
            *width = (*width).max(cell.width()).min(40);
        }
    }
    let mut text = String::new();
    for row in &rows {
        for (cell, width) in row.iter().zip(widths) {
            text.push_str(cell);
            text.push_str(&" ".repeat(width.saturating_sub(cell.width()) + 2));
        }
        text.push_str(&row[3]);
        text.push('\n');
    }
    text
}
