//! Which checks are made, in which order, and what follows for the others from what one of them found.

use std::io;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use plugin_engine::{
    Code, Inspection, Manifest, Verdict as FileVerdict, VerifyPolicy, bounded, inspect,
};

use super::check::{Check, Outcome, Verdict};
use super::child::{self, End};
use super::files::Copies;
use super::settings::{self, SettingsError};
use super::task::{Part, Task};

/// What holds of a plugin of which nobody says it, as in the engine.
const INTERVAL: Duration = Duration::from_secs(60);
const TIMEOUT: Duration = Duration::from_secs(30);
/// An interval below this keeps a processor busy with little else.
const INTERVAL_SHORT: Duration = Duration::from_millis(10);
/// By so many intervals an update may be late before that is worth a word.
const INTERVALS_LATE_MAX: u32 = 10;

/// What is asked for.
pub(crate) struct Request<'a> {
    pub(crate) file: &'a Path,
    pub(crate) beside: &'a [PathBuf],
    pub(crate) settings: Option<&'a str>,
    pub(crate) updates: u64,
    pub(crate) limit: Duration,
}

/// Why nothing could be checked.
#[derive(Debug, thiserror::Error)]
pub(crate) enum CannotRun {
    #[error(transparent)]
    Settings(#[from] SettingsError),
    /// A file is not there, or cannot be copied.
    #[error("cannot read {} or copy it to a temporary directory: {source}", path.display())]
    Copy {
        path: PathBuf,
        #[source]
        source: io::Error,
    },
    /// No child could be started.
    #[error("cannot run a check in a process of its own: {0}")]
    Child(#[source] io::Error),
}

impl CannotRun {
    pub(crate) fn code(&self) -> Code {
        match self {
            Self::Settings(error) => error.code(),
            Self::Copy { .. } | Self::Child(_) => Code::VALIDATE_NOT_RUN,
        }
    }
}

/// What it all came to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Conclusion {
    Passed,
    Failed,
    /// Nothing was found, and not everything could be looked at.
    Incomplete,
}

/// What came of one file.
pub(crate) struct Validation {
    pub(crate) file: PathBuf,
    pub(crate) manifest: Option<Manifest>,
    pub(crate) outcomes: Vec<Outcome>,
    pub(crate) took: Duration,
}

impl Validation {
    pub(crate) fn conclusion(&self) -> Conclusion {
        let has = |verdict| self.outcomes.iter().any(|one| one.verdict == verdict);
        if has(Verdict::Failed) {
            Conclusion::Failed
        } else if has(Verdict::Skipped) {
            Conclusion::Incomplete
        } else {
            Conclusion::Passed
        }
    }
}

/// Makes all checks of one file.
pub(crate) fn validate(request: &Request<'_>) -> Result<Validation, CannotRun> {
    let began = Instant::now();
    let settings = request.settings.map(settings::read).transpose()?;
    for file in std::iter::once(request.file).chain(request.beside.iter().map(PathBuf::as_path)) {
        std::fs::metadata(file).map_err(|source| CannotRun::Copy {
            path: file.to_owned(),
            source,
        })?;
    }
    let inspection = inspect(request.file, &VerifyPolicy::default());
    let mut conduct = Conduct {
        request,
        settings: settings.map(|settings| settings.to_string()),
        updates_are_good: true,
        outcomes: vec![of_file(&inspection)],
    };
    match &inspection.manifest {
        Some(manifest) if inspection.is_good() => conduct.all_of(manifest)?,
        _ => conduct.skip_rest("the file is refused"),
    }
    Ok(Validation {
        file: request.file.to_owned(),
        outcomes: conduct.outcomes,
        took: began.elapsed(),
        manifest: inspection.manifest,
    })
}

fn of_file(inspection: &Inspection) -> Outcome {
    if let Some(error) = inspection.refusal() {
        return Outcome::failed(Check::File, error.code(), error.to_string());
    }
    let warned = inspection.checks.iter().find_map(|(_, one)| match one {
        FileVerdict::Warned(text) => Some(text.clone()),
        _ => None,
    });
    let mut outcome = match (warned, &inspection.manifest) {
        (Some(text), _) => {
            let mut outcome = Outcome::passed(Check::File, text);
            outcome.verdict = Verdict::Warning;
            outcome
        }
        (None, Some(manifest)) => {
            let text = format!("a plugin for plugin-api {}", manifest.api_version);
            Outcome::passed(Check::File, text)
        }
        (None, None) => Outcome::passed(Check::File, ""),
    };
    if let Some(len) = inspection.len {
        outcome = outcome.measured("bytes", len);
    }
    outcome
}

/// Whether the times in a manifest make sense together.
fn of_limits(manifest: &Manifest) -> Outcome {
    let interval = manifest.interval.unwrap_or(INTERVAL);
    let timeout = manifest.timeout.unwrap_or(TIMEOUT);
    let said = |time: Option<Duration>, default: Duration| match time {
        Some(time) => humantime::format_duration(time).to_string(),
        None => format!("{}, the default", humantime::format_duration(default)),
    };
    let both = format!(
        "interval {}, timeout {}",
        said(manifest.interval, INTERVAL),
        said(manifest.timeout, TIMEOUT)
    );
    if interval < INTERVAL_SHORT {
        let text = format!("{both}: called more than a hundred times a second");
        return Outcome::warning(Check::Limits, Code::VALIDATE_LIMITS, text);
    }
    if timeout > interval * INTERVALS_LATE_MAX {
        let text = format!(
            "{both}: an update that hangs is noticed after more than {INTERVALS_LATE_MAX} intervals"
        );
        return Outcome::warning(Check::Limits, Code::VALIDATE_LIMITS, text);
    }
    Outcome::passed(Check::Limits, both)
}

/// All parts in their order.
const PARTS: [Part; 9] = [
    Part::Load,
    Part::Create,
    Part::Settings,
    Part::Updates,
    Part::Cancellation,
    Part::Display,
    Part::Leftovers,
    Part::Unload,
    Part::Reload,
];

struct Conduct<'a> {
    request: &'a Request<'a>,
    settings: Option<String>,
    updates_are_good: bool,
    outcomes: Vec<Outcome>,
}

impl Conduct<'_> {
    fn all_of(&mut self, manifest: &Manifest) -> Result<(), CannotRun> {
        self.outcomes.push(of_limits(manifest));
        self.run(manifest, Part::Load)?;
        if !self.is_good(Check::Load) {
            self.skip_rest("the file could not be loaded");
            return Ok(());
        }
        self.run(manifest, Part::Create)?;
        let is_created = self.is_good(Check::Create);
        // Also of a plugin that is not created without settings: what it makes of wrong ones can be looked at.
        if is_created || !self.has_crashed(Check::Create) {
            self.run(manifest, Part::Settings)?;
        }
        if !is_created {
            self.skip_rest("the plugin could not be created");
            return Ok(());
        }
        self.run(manifest, Part::Updates)?;
        self.updates_are_good = self.is_good(Check::Updates) && self.is_good(Check::Panics);
        for part in [
            Part::Cancellation,
            Part::Display,
            Part::Leftovers,
            Part::Unload,
            Part::Reload,
        ] {
            if part == Part::Cancellation && self.has_crashed(Check::Updates) {
                self.skip(part, "an update ends the process");
                continue;
            }
            self.run(manifest, part)?;
        }
        Ok(())
    }

    fn find(&self, check: Check) -> Option<&Outcome> {
        self.outcomes.iter().find(|one| one.check == check)
    }

    fn is_good(&self, check: Check) -> bool {
        let found = self.find(check);
        found.is_some_and(|one| matches!(one.verdict, Verdict::Passed | Verdict::Warning))
    }

    fn has_crashed(&self, check: Check) -> bool {
        let crashed = Code::VALIDATE_CRASHED.as_str();
        let found = self.find(check);
        found.is_some_and(|one| one.code.as_deref() == Some(crashed))
    }

    /// Says of the checks of a part that nobody has made why not.
    fn skip(&mut self, part: Part, why: &str) {
        for check in part.checks() {
            if self.find(*check).is_none() {
                self.outcomes
                    .push(Outcome::skipped(*check, format!("not made: {why}")));
            }
        }
    }

    fn skip_rest(&mut self, why: &str) {
        for part in PARTS {
            self.skip(part, why);
        }
    }

    fn run(&mut self, manifest: &Manifest, part: Part) -> Result<(), CannotRun> {
        let request = self.request;
        let copies =
            Copies::of(request.file, request.beside).map_err(|source| CannotRun::Copy {
                path: request.file.to_owned(),
                source,
            })?;
        let task = Task {
            part,
            file: copies.file.clone(),
            id: manifest.id.to_string(),
            beside: copies.beside.clone(),
            settings: self.settings.clone(),
            updates: request.updates,
            updates_are_good: self.updates_are_good,
            timeout_ms: millis(manifest.timeout.unwrap_or(TIMEOUT)),
            interval_ms: millis(manifest.interval.unwrap_or(INTERVAL)),
            limit_ms: millis(request.limit),
        };
        // Settings that nobody has thought of may name files to write.
        let work_dir = (part == Part::Settings).then_some(copies.scratch.as_path());
        let heard =
            child::run(&task, work_dir, patience(request.limit)).map_err(CannotRun::Child)?;
        let mut outcomes = heard.outcomes;
        // Where the copy lies tells nobody anything.
        let dir = copies.file.parent().unwrap_or(Path::new(""));
        let dir = format!("{}/", dir.display());
        for outcome in &mut outcomes {
            outcome.text = outcome.text.replace(&dir, "");
        }
        if part == Part::Updates {
            note_what_was_written(&mut outcomes, heard.written);
        }
        self.outcomes.append(&mut outcomes);
        // What it ended in is the check that it was in, else the one that comes next, else the last.
        let missing = part.checks().iter().find(|one| self.find(**one).is_none());
        let last = part.checks().last();
        let Some(during) = heard.during.or(missing.or(last).copied()) else {
            return Ok(());
        };
        let (why, found) = match heard.end {
            End::Done => return Ok(()),
            End::NotRun(why) => {
                self.skip(part, &why);
                return Ok(());
            }
            End::Crashed(how) => (
                how.clone(),
                Outcome::failed(during, Code::VALIDATE_CRASHED, how),
            ),
            End::Hung(limit) => {
                let limit = humantime::format_duration(limit);
                let text = format!("nothing has come of it for {limit}, and the process was ended");
                (
                    "the process was ended in the check before".to_owned(),
                    Outcome::failed(during, Code::VALIDATE_HUNG, text),
                )
            }
        };
        self.outcomes.retain(|one| one.check != during);
        self.outcomes.push(found);
        self.skip(part, bounded(&why, 60));
        Ok(())
    }
}

/// For how long a child may tell nothing: a check goes on for as long as its limit, and waits for calls that may take as long again.
fn patience(limit: Duration) -> Duration {
    limit * 3 + Duration::from_secs(5)
}

/// What is written past the engine reaches no log and no subscriber.
fn note_what_was_written(outcomes: &mut [Outcome], written: u64) {
    let output = outcomes.iter_mut().find(|one| one.check == Check::Output);
    if let Some(output) = output
        && written > 0
    {
        output.text = format!(
            "{}; wrote {written} bytes to standard output or error, past the engine",
            output.text
        );
        output.measured.insert("written_bytes".to_owned(), written);
        if output.verdict == Verdict::Passed {
            output.verdict = Verdict::Warning;
            *output = output.clone().with(Code::VALIDATE_OUTPUT);
        }
    }
}

fn millis(time: Duration) -> u64 {
    u64::try_from(time.as_millis()).unwrap_or(u64::MAX).max(1)
}
