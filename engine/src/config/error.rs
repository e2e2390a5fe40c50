//! What is wrong with a configuration: every problem of a file, each with its place. Never how it is shown on a terminal.

use std::fmt;
use std::ops::Range;
use std::path::Path;
use std::sync::Arc;

use plugin_engine_core::{FaultKind, FaultReport, escape_control};

use super::source::{Place, Spot};
use crate::code::Code;

/// How many problems of one file are told; further ones are counted.
pub(crate) const PROBLEMS_MAX: usize = 100;

/// The stable codes of problems, by what they mean here.
pub(crate) mod code {
    use crate::code::Code;

    pub(crate) const UNREADABLE: Code = Code::CONFIG_UNREADABLE;
    pub(crate) const SYNTAX: Code = Code::CONFIG_SYNTAX;
    pub(crate) const UNKNOWN_KEY: Code = Code::CONFIG_UNKNOWN_KEY;
    pub(crate) const WRONG_TYPE: Code = Code::CONFIG_WRONG_TYPE;
    pub(crate) const OUT_OF_RANGE: Code = Code::CONFIG_OUT_OF_RANGE;
    pub(crate) const DUPLICATE_ID: Code = Code::CONFIG_DUPLICATE_ID;
    pub(crate) const NAMELESS: Code = Code::CONFIG_NAMELESS;
    pub(crate) const NO_SUCH_PLUGIN: Code = Code::CONFIG_NO_SUCH_PLUGIN;
    pub(crate) const REFERENCE: Code = Code::CONFIG_REFERENCE;
    pub(crate) const SETTINGS: Code = Code::CONFIG_SETTINGS;
    pub(crate) const LOOSENED: Code = Code::CONFIG_LOOSENED;
    pub(crate) const REQUIREMENT: Code = Code::BAD_REQUIREMENT;
    pub(crate) const BY_CODE: Code = Code::CONFIG_RANGE;
}

/// What is wrong with a configuration: all that was found, not only the first.
///
/// As text it is one line with the first problem, and how many there are besides.
///
/// ```
/// use plugin_engine::{Code, config};
///
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("engine.toml");
/// std::fs::write(&file, "[engine]\nworkers = 0\nworkerz = 1\n")?;
/// let error = config::check(&file).unwrap_err();
/// assert_eq!((error.count(), error.code()), (2, Code::CONFIG_OUT_OF_RANGE));
/// for problem in error.problems() {
///     println!("{problem} [{}]", problem.code());
/// }
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ConfigError {
    /// Never empty.
    problems: Box<[Problem]>,
    more: usize,
}

impl ConfigError {
    /// The problems by their place in the file, at most 100 of them.
    #[must_use]
    pub fn problems(&self) -> &[Problem] {
        &self.problems
    }

    /// How many problems there are altogether.
    #[must_use]
    pub fn count(&self) -> usize {
        self.problems.len() + self.more
    }

    /// The stable code of the first problem: `PE0301` to `PE0313`, or `PE0521` to `PE0523`.
    #[must_use]
    pub fn code(&self) -> Code {
        self.problems[0].code
    }

    /// The error as what is wrong with a plugin, with the code in place of a type.
    pub(crate) fn report(&self) -> FaultReport {
        let code = self.code();
        FaultReport {
            type_name: code.to_string(),
            ..FaultReport::new(FaultKind::Config, format!("{self} [{code}]"))
        }
    }

    pub(crate) fn unreadable(path: &Path, reason: impl fmt::Display) -> Self {
        Problem {
            code: code::UNREADABLE,
            path: Some(path.into()),
            spot: None,
            reason: format!("cannot be read: {reason}"),
            help: None,
        }
        .into()
    }

    /// The engine's file asks for less than it did.
    pub(crate) fn loosened(path: &Path, line: &str) -> Self {
        let reason = format!(
            "no longer has `{line}`, which held when the engine was started; start it anew if that is meant"
        );
        Problem::of_file(code::LOOSENED, path, reason).into()
    }

    /// What files must fulfil, as it was given by code, cannot be.
    pub(crate) fn policy(reason: String) -> Self {
        Problem {
            code: code::BY_CODE,
            path: None,
            spot: None,
            reason,
            help: None,
        }
        .into()
    }

    /// A value that was given by code.
    pub(crate) fn by_code(what: &str, min: &str, max: &str, found: &str) -> Self {
        Problem {
            code: code::BY_CODE,
            path: None,
            spot: None,
            reason: format!("{what} must be from {min} to {max}, not {found}"),
            help: None,
        }
        .into()
    }
}

impl From<Problem> for ConfigError {
    fn from(problem: Problem) -> Self {
        Self {
            problems: Box::new([problem]),
            more: 0,
        }
    }
}

impl fmt::Display for ConfigError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}", self.problems[0])?;
        match self.count() {
            1 => Ok(()),
            count => write!(f, " (and {} more)", count - 1),
        }
    }
}

impl std::error::Error for ConfigError {}

/// One thing that is wrong, and where.
///
/// ```
/// # fn main() -> Result<(), Box<dyn std::error::Error>> {
/// # let dir = tempfile::tempdir()?;
/// let file = dir.path().join("engine.toml");
/// std::fs::write(&file, "[engine]\nworkerz = 1\n")?;
/// let error = plugin_engine::config::check(&file).unwrap_err();
/// let problem = &error.problems()[0];
/// assert_eq!(problem.path(), Some(&*file));
/// assert_eq!((problem.line(), problem.column(), problem.length()), (Some(2), Some(1), Some(7)));
/// assert_eq!(problem.source_line(), Some(("workerz = 1", 0..7)));
/// println!("{}: {}", problem.code(), problem.reason());
/// println!("{}", problem.help_text().unwrap_or_default());
/// # Ok(()) }
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Problem {
    code: Code,
    path: Option<Arc<Path>>,
    spot: Option<Spot>,
    reason: String,
    help: Option<String>,
}

impl Problem {
    pub(crate) fn new(code: Code, place: &Place, reason: impl Into<String>) -> Self {
        Self {
            code,
            path: Some(Arc::clone(place.path())),
            spot: Some(place.spot()),
            reason: reason.into(),
            help: None,
        }
    }

    /// A problem of a file as a whole.
    pub(crate) fn of_file(code: Code, path: &Path, reason: impl Into<String>) -> Self {
        Self {
            code,
            path: Some(path.into()),
            spot: None,
            reason: reason.into(),
            help: None,
        }
    }

    pub(crate) fn help(mut self, help: impl Into<Option<String>>) -> Self {
        self.help = help.into();
        self
    }

    /// The stable code: `PE0301` to `PE0313`, or `PE0521` to `PE0523`.
    #[must_use]
    pub fn code(&self) -> Code {
        self.code
    }

    /// The configuration file; `None` for a value that was given by code.
    #[must_use]
    pub fn path(&self) -> Option<&Path> {
        self.path.as_deref()
    }

    /// The line, from 1; `None` where the file as a whole is meant.
    #[must_use]
    pub fn line(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.line)
    }

    /// The column in characters, from 1.
    #[must_use]
    pub fn column(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.column)
    }

    /// How many characters of the line are meant, at least 1.
    #[must_use]
    pub fn length(&self) -> Option<usize> {
        self.spot.as_ref().map(|spot| spot.length)
    }

    /// The text of the line, and which bytes of that text are meant. Of a very long line only what is near.
    #[must_use]
    pub fn source_line(&self) -> Option<(&str, Range<usize>)> {
        let spot = self.spot.as_ref()?;
        Some((&spot.text, spot.mark.clone()))
    }

    /// What is wrong, as one line.
    #[must_use]
    pub fn reason(&self) -> &str {
        &self.reason
    }

    /// What would be right, as one line.
    #[must_use]
    pub fn help_text(&self) -> Option<&str> {
        self.help.as_deref()
    }
}

impl fmt::Display for Problem {
    /// One line: `PATH:LINE:COLUMN: reason; help`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if let Some(path) = &self.path {
            write!(f, "{}:", escape_control(&path.to_string_lossy()))?;
            if let Some(spot) = &self.spot {
                write!(f, "{}:{}:", spot.line, spot.column)?;
            }
            f.write_str(" ")?;
        }
        write!(f, "{}", escape_control(&self.reason))?;
        if let Some(help) = &self.help {
            write!(f, "; {}", escape_control(help))?;
        }
        Ok(())
    }
}

/// Collects the problems of one file.
#[derive(Default)]
pub(super) struct Problems {
    found: Vec<Problem>,
    more: usize,
}

impl Problems {
    pub(super) fn add(&mut self, problem: Problem) {
        if self.found.len() < PROBLEMS_MAX {
            self.found.push(problem);
        } else {
            self.more += 1;
        }
    }

    /// Counts a problem without telling it, if so many were told that no more are. Finding words for each of a million costs
    /// minutes.
    pub(super) fn is_full(&mut self) -> bool {
        let full = self.found.len() >= PROBLEMS_MAX;
        self.more += usize::from(full);
        full
    }

    /// The lines that have a problem.
    pub(super) fn lines(&self) -> std::collections::HashSet<usize> {
        self.found.iter().filter_map(Problem::line).collect()
    }

    pub(super) fn keep(&mut self, wanted: impl FnMut(&Problem) -> bool) {
        self.found.retain(wanted);
    }

    pub(super) fn append(&mut self, other: Self) {
        self.more += other.more;
        for problem in other.found {
            self.add(problem);
        }
    }

    /// `value`, if there are no problems.
    pub(super) fn or<T>(self, value: T) -> Result<T, ConfigError> {
        let Self { mut found, more } = self;
        if found.is_empty() {
            return Ok(value);
        }
        found.sort_by_key(|problem| (problem.line(), problem.column()));
        Err(ConfigError {
            problems: found.into(),
            more,
        })
    }
}
