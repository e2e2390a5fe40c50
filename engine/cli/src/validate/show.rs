//! What came of a file, as people and programs read it.

use plugin_engine::{Contract, escape_control};
use serde::Serialize;

use super::check::{Outcome, Verdict};
use super::conduct::{Conclusion, Validation};
use crate::output;
use crate::paint::{Line, Style, pad};

/// As wide as the longest name of a check.
const NAME_COLUMNS: usize = 14;
const VERDICT_COLUMNS: usize = 9;
/// Where the text begins.
const TEXT_COLUMN: usize = 2 + NAME_COLUMNS + VERDICT_COLUMNS;

/// One object per file. These names are a promise: add, never rename.
#[derive(Serialize)]
struct ValidationJson<'a> {
    file: String,
    result: &'static str,
    plugin: Option<PluginJson<'a>>,
    checks: &'a [Outcome],
    duration_ms: u128,
}

#[derive(Serialize)]
struct PluginJson<'a> {
    id: &'a str,
    version: &'a str,
    plugin_api: &'a str,
    contract: &'static str,
}

impl Conclusion {
    const fn name(self) -> &'static str {
        match self {
            Self::Passed => "passed",
            Self::Failed => "failed",
            Self::Incomplete => "incomplete",
        }
    }
}

/// The line of JSON.
pub(crate) fn json(validation: &Validation) -> String {
    let manifest = validation.manifest.as_ref();
    let object = ValidationJson {
        file: validation.file.display().to_string(),
        result: validation.conclusion().name(),
        plugin: manifest.map(|manifest| PluginJson {
            id: manifest.id.as_str(),
            version: &manifest.version,
            plugin_api: &manifest.api_version,
            contract: match manifest.contract {
                Contract::Rust => "rust",
                Contract::C => "c",
            },
        }),
        checks: &validation.outcomes,
        duration_ms: validation.took.as_millis(),
    };
    serde_json::to_string(&object).unwrap_or_default() + "\n"
}

/// The lines for people: a verdict per check, what to do under each that is not good, and the result.
pub(crate) fn lines(validation: &Validation) -> Vec<Line> {
    let path = validation.file.display().to_string();
    let mut head = Line::of(Style::Strong, escape_control(&path));
    if let Some(manifest) = &validation.manifest {
        let version = escape_control(&manifest.version);
        head.add(Style::Plain, format!(": {} {version}", manifest.id));
    }
    let mut lines = vec![head, Line::default()];
    let mut outcomes = validation.outcomes.iter().peekable();
    while let Some(outcome) = outcomes.next() {
        lines.push(check_line(outcome));
        if let Some(remedy) = &outcome.remedy {
            lines.extend(output::wrap(remedy, TEXT_COLUMN, Style::Faint));
        }
        // Why none of many could be made is said once.
        let mut likewise = Vec::new();
        while let Some(next) = outcomes.next_if(|next| next.is_like(outcome)) {
            likewise.push(next.check.name());
        }
        if !likewise.is_empty() {
            let text = format!("likewise: {}", likewise.join(", "));
            lines.extend(output::wrap(&text, TEXT_COLUMN, Style::Faint));
        }
    }
    lines.push(Line::default());
    lines.push(last_line(validation));
    lines
}

impl Outcome {
    /// Whether it was not made for the same reason as another.
    fn is_like(&self, other: &Self) -> bool {
        self.verdict == Verdict::Skipped
            && other.verdict == Verdict::Skipped
            && self.text == other.text
    }
}

fn check_line(outcome: &Outcome) -> Line {
    let name = pad(outcome.check.name(), NAME_COLUMNS, false);
    let mut line = Line::of(Style::Faint, format!("  {name}"));
    let style = match outcome.verdict {
        Verdict::Passed => Style::Good,
        Verdict::Skipped => Style::Faint,
        Verdict::Warning => Style::Warning,
        Verdict::Failed => Style::Bad,
    };
    line.add(style, pad(outcome.verdict.name(), VERDICT_COLUMNS, false));
    line.add(Style::Plain, escape_control(&outcome.text));
    if let Some(code) = &outcome.code {
        line.add(Style::Plain, format!(" [{code}]"));
    }
    line
}

fn last_line(validation: &Validation) -> Line {
    let count = |verdict| {
        let with = validation.outcomes.iter();
        with.filter(|one| one.verdict == verdict).count()
    };
    let (failed, warned) = (count(Verdict::Failed), count(Verdict::Warning));
    let warnings = match warned {
        0 => String::new(),
        1 => ", with a warning".to_owned(),
        count => format!(", with {count} warnings"),
    };
    match validation.conclusion() {
        Conclusion::Passed => Line::of(Style::Good, format!("  passed{warnings}")),
        Conclusion::Incomplete => Line::of(
            Style::Warning,
            format!(
                "  incomplete: {} checks could not be made{warnings}",
                count(Verdict::Skipped)
            ),
        ),
        Conclusion::Failed => {
            let plural = if failed == 1 { "" } else { "s" };
            let mut line = Line::of(Style::Bad, format!("  failed: {failed} finding{plural}"));
            line.add(
                Style::Plain,
                format!("{warnings}; `plugin-engine explain CODE` says more of each"),
            );
            line
        }
    }
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::time::Duration;

    use plugin_engine::Code;

    use super::super::check::Check;
    use super::*;

    fn validation(outcomes: Vec<Outcome>) -> Validation {
        Validation {
            file: PathBuf::from("plugins.d/libclock.so"),
            manifest: None,
            outcomes,
            took: Duration::from_millis(1_234),
        }
    }

    #[test]
    fn a_validation_has_the_promised_fields_as_json() {
        let limits = Outcome::passed(Check::Limits, "interval 1s").measured("bytes", 7);
        let crashed = Outcome::failed(Check::ThreadKeys, Code::VALIDATE_CRASHED, "by SIGSEGV");
        let remedy = serde_json::to_string(Code::VALIDATE_CRASHED.remedy()).unwrap();
        assert_eq!(
            json(&validation(vec![limits, crashed])),
            format!(
                "{}{remedy}{}",
                concat!(
                    r#"{"file":"plugins.d/libclock.so","result":"failed","plugin":null,"checks":["#,
                    r#"{"check":"limits","verdict":"passed","code":null,"text":"interval 1s","remedy":null,"measured":{"bytes":7}},"#,
                    r#"{"check":"thread_keys","verdict":"failed","code":"PE0812","text":"by SIGSEGV","remedy":"#,
                ),
                concat!(r#","measured":{}}],"duration_ms":1234}"#, "\n")
            )
        );
    }

    #[test]
    fn what_was_not_looked_at_is_no_pass_and_a_warning_is_no_failure() {
        let skipped = Outcome::skipped(Check::Unload, "not made");
        let warned = Outcome::warning(Check::Limits, Code::VALIDATE_LIMITS, "odd");
        let passed = Outcome::passed(Check::Load, "");
        for (outcomes, result) in [
            (vec![passed.clone()], Conclusion::Passed),
            (vec![passed.clone(), warned.clone()], Conclusion::Passed),
            (vec![warned, skipped.clone()], Conclusion::Incomplete),
            (
                vec![skipped, Outcome::failed(Check::Load, Code::MAP_FAILED, "")],
                Conclusion::Failed,
            ),
        ] {
            assert_eq!(validation(outcomes).conclusion(), result);
        }
    }

    #[test]
    fn what_a_plugin_says_cannot_steer_the_terminal() {
        let failed = Outcome::failed(Check::Updates, Code::VALIDATE_UPDATES, "\x1b[2J\nx");
        let lines = lines(&validation(vec![failed]));
        assert!(lines.iter().all(|line| !line.text(false).contains('\x1b')));
    }
}
