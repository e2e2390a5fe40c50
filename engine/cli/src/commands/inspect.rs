//! `plugin-engine inspect`: what a file says of itself, and what each check says of it. Runs no code of the file.

use std::path::PathBuf;

use clap::Args;
use plugin_engine::{
    Check, Contract, Inspection, Manifest, Verdict, VerifyPolicy, escape_control, inspect,
};
use serde::Serialize;

use crate::output;
use crate::paint::{Line, Style, pad};
use crate::policy::PolicyArgs;

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine inspect plugins.d/libclock.so
  plugin-engine inspect --json plugins.d/*.so | jq .

Looks at each file as a load would, up to the moment at which its code would run.
Exit status: 0 if all would be loaded, 1 if any would be refused.")]
pub(crate) struct InspectArgs {
    /// Plugin files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,

    #[command(flatten)]
    policy: PolicyArgs,

    /// One JSON object per file
    #[arg(long)]
    json: bool,
}

#[derive(Serialize)]
struct InspectionJson<'a> {
    file: String,
    good: bool,
    code: Option<&'static str>,
    reason: Option<String>,
    len: Option<u64>,
    sha256: Option<&'a str>,
    manifest: Option<ManifestJson<'a>>,
    needed: &'a [String],
    checks: Vec<CheckJson>,
}

#[derive(Serialize)]
struct ManifestJson<'a> {
    id: &'a str,
    version: &'a str,
    interval_ms: Option<u128>,
    timeout_ms: Option<u128>,
    requires: Vec<String>,
    plugin_api: &'a str,
    compiler: &'a str,
    target: &'a str,
    panic: &'a str,
    contract: &'static str,
}

#[derive(Serialize)]
struct CheckJson {
    check: &'static str,
    verdict: &'static str,
    code: Option<&'static str>,
    text: Option<String>,
}

/// Inspects, and returns the exit status.
pub(crate) fn run(args: &InspectArgs) -> i32 {
    let policy = match args.policy.read() {
        Ok(policy) => policy,
        Err(status) => return status,
    };
    let mut status = 0;
    for (at, file) in args.files.iter().enumerate() {
        let inspection = inspect_file(file, &policy);
        let printed = if args.json {
            output::print_text(&json(&inspection))
        } else {
            let mut lines = lines(&inspection);
            if at > 0 {
                lines.insert(0, Line::default());
            }
            output::print(&lines)
        };
        status = status.max(printed).max(i32::from(!inspection.is_good()));
    }
    status
}

fn inspect_file(file: &std::path::Path, policy: &VerifyPolicy) -> Inspection {
    inspect(file, policy)
}

fn json(inspection: &Inspection) -> String {
    let refusal = inspection.refusal();
    let object = InspectionJson {
        file: inspection.path.display().to_string(),
        good: inspection.is_good(),
        code: refusal.map(|error| error.code().as_str()),
        reason: refusal.map(ToString::to_string),
        len: inspection.len,
        sha256: inspection.sha256.as_deref(),
        manifest: inspection.manifest.as_ref().map(manifest_json),
        needed: &inspection.needed,
        checks: inspection.checks.iter().map(check_json).collect(),
    };
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

fn manifest_json(manifest: &Manifest) -> ManifestJson<'_> {
    ManifestJson {
        id: manifest.id.as_str(),
        version: &manifest.version,
        interval_ms: manifest.interval.map(|interval| interval.as_millis()),
        timeout_ms: manifest.timeout.map(|timeout| timeout.as_millis()),
        requires: requires(manifest),
        plugin_api: &manifest.api_version,
        compiler: &manifest.compiler,
        target: &manifest.target,
        panic: &manifest.panic,
        contract: manifest.contract.name(),
    }
}

fn requires(manifest: &Manifest) -> Vec<String> {
    manifest.requires.iter().map(ToString::to_string).collect()
}

fn check_json((check, verdict): &(Check, Verdict)) -> CheckJson {
    let (code, text) = match verdict {
        Verdict::Passed(text) | Verdict::Warned(text) => (None, Some(text.clone())),
        Verdict::Refused(error) => (Some(error.code().as_str()), Some(error.to_string())),
        _ => (None, None),
    };
    CheckJson {
        check: check.name(),
        verdict: verdict.name(),
        code,
        text,
    }
}

fn lines(inspection: &Inspection) -> Vec<Line> {
    let path = inspection.path.display().to_string();
    let mut lines = vec![Line::of(Style::Strong, escape_control(&path))];
    let mut say = |what: &str, text: &str| {
        let mut line = Line::of(Style::Faint, format!("  {}", pad(what, 13, false)));
        line.add(Style::Plain, escape_control(text));
        lines.push(line);
    };
    if let Some(manifest) = &inspection.manifest {
        say("id", manifest.id.as_str());
        say("version", &manifest.version);
        let or_default = |duration: Option<std::time::Duration>| match duration {
            Some(duration) => humantime::format_duration(duration).to_string(),
            None => "not given".to_owned(),
        };
        say("interval", &or_default(manifest.interval));
        say("timeout", &or_default(manifest.timeout));
        if !manifest.requires.is_empty() {
            say("requires", &requires(manifest).join(", "));
        }
        say(
            "plugin-api",
            &match manifest.contract {
                Contract::Rust => manifest.api_version.clone(),
                Contract::C => format!("{}, in C", manifest.api_version),
            },
        );
        say(
            "built by",
            &format!("{} for {}", manifest.compiler, manifest.target),
        );
    }
    if let Some(sha256) = &inspection.sha256 {
        say("sha256", sha256);
    }
    lines.push(Line::default());
    for (check, verdict) in &inspection.checks {
        lines.push(check_line(*check, verdict));
    }
    lines.push(Line::default());
    lines.push(match inspection.refusal() {
        None => Line::of(Style::Good, "  would be loaded"),
        Some(error) => {
            let code = error.code();
            let mut line = Line::of(Style::Bad, "  would be refused");
            line.add(
                Style::Plain,
                format!(": `plugin-engine explain {code}` says what to do"),
            );
            line
        }
    });
    lines
}

fn check_line(check: Check, verdict: &Verdict) -> Line {
    let name = check.name().replace('_', " ");
    let mut line = Line::of(Style::Faint, format!("  {}", pad(&name, 13, false)));
    let (style, word, text) = match verdict {
        Verdict::Passed(text) => (Style::Good, "passed", text.clone()),
        Verdict::Warned(text) => (Style::Warning, "warning", text.clone()),
        Verdict::Refused(error) => (Style::Bad, "refused", format!("{error} [{}]", error.code())),
        _ => (Style::Faint, "not reached", String::new()),
    };
    line.add(
        style,
        if text.is_empty() {
            word.to_owned()
        } else {
            pad(word, 9, false)
        },
    );
    line.add(Style::Plain, escape_control(&text));
    line
}
