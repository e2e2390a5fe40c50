//! The engine over the one file, and the words in which its answers are told.

use std::time::{Duration, Instant};

use plugin_engine::{Cause, Engine, Fault, LoadOutcome, Transition, bounded};
use toml::Table;

use super::Teller;
use crate::census::ThreadHooks;
use crate::validate::check::{Check, Outcome};
use crate::validate::task::Task;

/// As the engine has it where nobody says anything.
const DISPLAY_TIMEOUT: Duration = Duration::from_secs(2);
const DESTROY_TIMEOUT: Duration = Duration::from_secs(5);
const STATE_TIMEOUT: Duration = Duration::from_secs(5);
/// What the engine itself remembers must not look like something that a plugin keeps.
const HISTORY_BYTES: usize = 64 * 1024;
/// How often is looked whether something has come about that nobody tells of.
const LOOK_EVERY: Duration = Duration::from_millis(2);
/// How many updates are made where something else is checked.
pub(super) const FEW_UPDATES: u64 = 3;

/// One engine, and the plugin that it is about.
pub(super) struct Bench<'a> {
    pub(super) engine: Engine,
    pub(super) task: &'a Task,
    teller: &'a Teller,
}

impl<'a> Bench<'a> {
    /// The engine, with what the plugin is loaded together with.
    pub(super) fn new(task: &'a Task, teller: &'a Teller) -> Result<Self, String> {
        let limit = task.limit();
        let engine = Engine::builder()
            .thread_census(ThreadHooks)
            .workers(1)
            .backtraces(false)
            .create_timeout(limit)
            .load_timeout(limit)
            .display_timeout(limit.min(DISPLAY_TIMEOUT))
            .destroy_timeout(limit.min(DESTROY_TIMEOUT))
            .state_timeout(limit.min(STATE_TIMEOUT))
            .history_bytes_max(HISTORY_BYTES)
            .build()
            .map_err(|error| format!("the engine could not be started: {error}"))?;
        for file in &task.beside {
            let outcomes = engine.load_file(file).map_err(|error| error.to_string())?;
            if let Some(bad) = outcomes.iter().find(|one| !one.is_good()) {
                return Err(format!("what it is loaded together with: {bad}"));
            }
        }
        Ok(Self {
            engine,
            task,
            teller,
        })
    }

    pub(super) fn begin(&self, check: Check) {
        self.teller.begin(check);
    }

    pub(super) fn end(&self, outcome: Outcome) {
        self.teller.end(outcome);
    }

    pub(super) fn id(&self) -> &str {
        &self.task.id
    }

    /// The settings that were given.
    pub(super) fn settings(&self) -> Table {
        let given = self.task.settings.as_deref().unwrap_or_default();
        // It was a table when it was written.
        given.parse().unwrap_or_default()
    }

    /// Writes the configuration of the plugin: its settings, and `keys` beside them, a line each.
    pub(super) fn configure(&self, keys: &str, settings: Table) -> Result<(), String> {
        let mut table = Table::new();
        table.insert("settings".to_owned(), settings.into());
        // No policy is to act on its own here.
        let timeout = self.task.update_timeout().as_millis();
        let base = [
            ("unmap", "when-safe".to_owned()),
            ("on_unhealthy", "none".to_owned()),
            ("timeout", format!("{timeout}ms")),
        ];
        let mut text = String::new();
        for (key, value) in base {
            if !keys.lines().any(|line| line.starts_with(key)) {
                text.push_str(&format!("{key} = \"{value}\"\n"));
            }
        }
        text.push_str(&format!("{keys}\n{table}"));
        std::fs::write(self.task.file.with_extension("toml"), text)
            .map_err(|error| format!("its configuration cannot be written: {error}"))
    }

    /// Loads the plugin as it is configured.
    pub(super) fn load(&self) -> Result<LoadOutcome, String> {
        let outcomes = self.engine.load_file(&self.task.file);
        let mut outcomes = outcomes.map_err(|error| error.to_string())?;
        match outcomes.pop() {
            Some(outcome) if outcomes.is_empty() => Ok(outcome),
            _ => Err("the file became none or several plugins".to_owned()),
        }
    }

    /// Configures and loads it for a check that comes after it was found that it can be created.
    pub(super) fn start(&self, keys: &str) -> Result<(), String> {
        self.configure(keys, self.settings())?;
        match self.load()? {
            LoadOutcome::Enabled { .. } => Ok(()),
            other => Err(format!("it could be created once, and not again: {other}")),
        }
    }

    /// Makes some updates, if it is not known that they go wrong. How many.
    pub(super) fn update_some(&self) -> u64 {
        if !self.task.updates_are_good {
            return 0;
        }
        for _ in 0..FEW_UPDATES {
            // What an update came to was looked at in a check of its own.
            let _ = self.engine.update(self.id());
        }
        FEW_UPDATES
    }

    /// The entries of its history with this cause.
    pub(super) fn entries(&self, cause: Cause) -> Vec<Transition> {
        self.engine
            .history(self.id())
            .cause(cause)
            .into_iter()
            .collect()
    }

    /// Waits until something holds, no longer than `limit`. Whether it does.
    pub(super) fn wait_until(&self, limit: Duration, holds: impl Fn() -> bool) -> bool {
        let until = Instant::now() + limit;
        loop {
            if holds() {
                return true;
            }
            if Instant::now() >= until {
                return false;
            }
            std::thread::sleep(LOOK_EVERY);
        }
    }
}

/// How long a fault is told, in bytes.
const FAULT_LEN_MAX: usize = 300;

/// What a call came to, in one line.
pub(super) fn in_words(fault: &Fault) -> String {
    let said = fault.to_string();
    let kept = bounded(&said, FAULT_LEN_MAX);
    if kept.len() < said.len() {
        format!("{kept}…")
    } else {
        said
    }
}

/// A time as people say it.
pub(super) fn time(time: Duration) -> String {
    format!("{time:.1?}")
}

/// A time as what is measured has it.
pub(super) fn micros(time: Duration) -> u64 {
    u64::try_from(time.as_micros()).unwrap_or(u64::MAX)
}

/// A number with its thousands apart.
pub(super) fn number(number: u64) -> String {
    let digits = number.to_string();
    let mut text = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            text.push(',');
        }
        text.push(digit);
    }
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn thousands_stand_apart() {
        for (value, text) in [
            (0, "0"),
            (999, "999"),
            (1_000, "1,000"),
            (1_234_567, "1,234,567"),
        ] {
            assert_eq!(number(value), text);
        }
    }
}
