//! `plugin-engine config check`: everything that is wrong with a file, with its place.

use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use plugin_engine::config::{FileKind, check};
use plugin_engine::effective::effective;
use plugin_engine::{ConfigError, Error, LoadOutcome};
use serde::Serialize;

use super::{tell, tell_error};

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine config check engine.toml
  plugin-engine config check engine.toml --plugins plugins.d
  plugin-engine config check plugins.d/libclock.toml --json | jq .

Whether the file speaks of the engine or of the plugin that it lies beside is seen by
what is in it. No code of a plugin is run, so what only a plugin knows of its settings is
not checked here; references to secrets are not looked up.
Exit status: 0 if all is well, 1 if not, 2 for a wrong command line.")]
pub(crate) struct CheckArgs {
    /// The configuration file
    #[arg(value_name = "FILE")]
    file: PathBuf,

    /// Check also against the plugin files of a directory: whether each entry speaks of one
    #[arg(long, value_name = "DIR")]
    plugins: Option<PathBuf>,

    /// One JSON object per problem on standard output
    #[arg(long)]
    json: bool,
}

/// A problem as one line of JSON. These names are a promise: add, never rename.
#[derive(Serialize)]
struct ProblemJson<'a> {
    code: &'static str,
    path: Option<String>,
    line: Option<usize>,
    column: Option<usize>,
    length: Option<usize>,
    reason: &'a str,
    help: Option<&'a str>,
    source: Option<&'a str>,
}

#[derive(Serialize)]
struct OkJson {
    ok: bool,
    path: String,
    kind: &'static str,
}

pub(super) fn run(args: &CheckArgs) -> io::Result<i32> {
    let kind = match check(&args.file) {
        Ok(kind) => kind,
        Err(error) => {
            report(args, &error)?;
            return Ok(1);
        }
    };
    if !check_plugins(args, kind)? {
        return Ok(1);
    }
    let mut stdout = io::stdout();
    if args.json {
        let kind = match kind {
            FileKind::Engine => "engine",
            _ => "plugin",
        };
        let path = args.file.to_string_lossy().into_owned();
        let ok = OkJson {
            ok: true,
            path,
            kind,
        };
        writeln!(stdout, "{}", serde_json::to_string(&ok)?)?;
    } else {
        writeln!(stdout, "ok")?;
    }
    Ok(0)
}

/// Whether the entries of the engine's file speak of plugins that there are.
fn check_plugins(args: &CheckArgs, kind: FileKind) -> io::Result<bool> {
    let Some(dir) = &args.plugins else {
        return Ok(true);
    };
    let config = (kind == FileKind::Engine).then_some(args.file.as_path());
    let found = match effective(Some(dir), config) {
        Ok(found) => found,
        Err(Error::Config(error)) => {
            report(args, &error)?;
            return Ok(false);
        }
        Err(error) => {
            tell_error(&error);
            return Ok(false);
        }
    };
    let mut good = true;
    for outcome in &found.refused {
        if let LoadOutcome::Misconfigured { error, .. } = outcome {
            report(args, error)?;
            good = false;
        }
    }
    Ok(good)
}

fn report(args: &CheckArgs, error: &ConfigError) -> io::Result<()> {
    if !args.json {
        tell(error);
        return Ok(());
    }
    let mut stdout = io::stdout();
    for problem in error.problems() {
        let json = ProblemJson {
            code: problem.code().as_str(),
            path: problem
                .path()
                .map(|path| path.to_string_lossy().into_owned()),
            line: problem.line(),
            column: problem.column(),
            length: problem.length(),
            reason: problem.reason(),
            help: problem.help_text(),
            source: problem.source_line().map(|(line, _)| line),
        };
        writeln!(stdout, "{}", serde_json::to_string(&json)?)?;
    }
    Ok(())
}
