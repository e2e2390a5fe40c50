//! Why a plugin is as it is: its state and since when, what led there, what is wrong, what happens next, and which policy decides. For a
//! person who was woken up.
//!
//! What lives here: which of the facts explain, and their words. It is worked out of plain data alone, so that an engine that runs and the
//! history of one that does not are explained alike. What never will: a clock, a decision, a change of anything.

mod chain;
mod engine;
mod input;
mod next;
mod next_running;
mod words;

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;

use plugin_engine_core::{Cause, Fault, Health, PluginState, WallTime};

use crate::snapshot::InFlightCall;

pub use input::{EngineEnd, WhyInput};

/// Why a plugin is as it is. `Display` prints [`lines`](Self::lines).
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Why {
    /// The id that was asked for, as it was written.
    pub id: String,
    /// When this held.
    pub at: WallTime,
    /// Whether anything is known of a plugin of this id.
    pub is_known: bool,
    /// Its state; of an engine that has ended, the one that it was in before.
    pub state: PluginState,
    /// Since when it is in that state, if that is known.
    pub since: Option<WallTime>,
    /// Since when the error stands, if that is known.
    pub error_since: Option<WallTime>,
    /// How well it is; unknown where the engine has ended.
    pub health: Health,
    /// What is to be said of the health beside the error.
    pub health_note: Option<String>,
    /// The generation; 0 before the first load.
    pub generation: u32,
    /// The version that is loaded.
    pub version: Option<String>,
    /// Its file, if one is known.
    pub file: Option<PathBuf>,
    /// How the engine is.
    pub engine: EngineEnd,
    /// When the last update completed, as far as that is known.
    pub last_success: Option<WallTime>,
    /// What led here, in the order in which it began; what happened again and again is one step.
    pub steps: Vec<WhyStep>,
    /// The error that stands.
    pub error: Option<Arc<Fault>>,
    /// The call that is in flight or does not return.
    pub in_flight: Option<InFlightCall>,
    /// What happens next, and when.
    pub next: WhyNext,
    /// The keys of the configuration that decide what happens next.
    pub policies: Vec<WhyPolicy>,
    /// What else is to be known, such as what has left the history.
    pub notes: Vec<String>,
    headline: String,
    good: Option<String>,
    error_text: Option<String>,
    call_text: Option<String>,
}

/// A part of what led to a state.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhyStep {
    /// What happened.
    pub cause: Cause,
    /// How often.
    pub count: u32,
    /// When it happened first, of these times.
    pub first_at: WallTime,
    /// When it happened last.
    pub last_at: WallTime,
    /// The number of the first entry.
    pub first_seq: u64,
    /// The number of the last entry.
    pub last_seq: u64,
    /// All of this in words.
    pub text: String,
}

/// What happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhyNext {
    /// What.
    pub kind: NextKind,
    /// When, where that is known. May have passed, if nobody was there to do it.
    pub at: Option<WallTime>,
    /// In words, with what helps where nothing happens by itself.
    pub text: String,
}

macro_rules! next_kinds {
    ($($(#[$doc:meta])+ $kind:ident = $name:literal,)+) => {
        /// What happens next to a plugin.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
        #[non_exhaustive]
        pub enum NextKind { $($(#[$doc])+ $kind,)+ }

        impl NextKind {
            /// The kind in snake case, as JSON has it.
            ///
            /// ```
            /// assert_eq!(plugin_engine::NextKind::CallEnds.name(), "call_ends");
            /// ```
            #[must_use]
            pub const fn name(self) -> &'static str {
                match self { $(Self::$kind => $name,)+ }
            }
        }
    };
}

next_kinds! {
    /// An update.
    Update = "update",
    /// Another try after one that failed.
    Retry = "retry",
    /// The one update that tells whether a circuit breaker closes.
    Probe = "probe",
    /// A restart by policy.
    Restart = "restart",
    /// Its instance is created, as soon as a thread is free for that.
    Create = "create",
    /// A call ends, or passes its deadline.
    CallEnds = "call_ends",
    /// A call that has passed its deadline returns, or nothing happens.
    CallReturns = "call_returns",
    /// Another instance is put beside one whose call does not return.
    Replacement = "replacement",
    /// Something comes that it requires.
    Requirement = "requirement",
    /// Nothing, until its file or its configuration changes, or somebody gives a command.
    Change = "change",
    /// Nothing, until somebody gives a command.
    Command = "command",
    /// Nothing, until the engine is started.
    EngineStart = "engine_start",
}

impl fmt::Display for NextKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

/// A key of the configuration that decides what happens next.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct WhyPolicy {
    /// The key; below tables with dots, as in `restart.max_restarts`.
    pub key: String,
    /// The value that holds, as TOML.
    pub value: String,
    /// Who said it: a place in a file, `manifest` or `default`.
    pub said_by: String,
}

impl fmt::Display for WhyPolicy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} = {} ({})", self.key, self.value, self.said_by)
    }
}

impl Why {
    /// The explanation in a few lines, the first without a label and each other with one. Without control characters, and without an end of
    /// line.
    ///
    /// ```
    /// # let engine = plugin_engine::Engine::builder().build()?;
    /// for line in engine.why("clock").lines() {
    ///     println!("{line}");
    /// }
    /// # Ok::<(), plugin_engine::Error>(())
    /// ```
    #[must_use]
    pub fn lines(&self) -> Vec<String> {
        let mut lines = vec![self.headline.clone()];
        let mut add = |label: &str, text: &str| lines.push(format!("{label:<8}{text}"));
        if let Some(note) = &self.health_note {
            add("health:", note);
        }
        if let Some(good) = &self.good {
            add("good:", good);
        }
        for step in &self.steps {
            add("then:", &step.text);
        }
        for (label, text) in [("error:", &self.error_text), ("call:", &self.call_text)] {
            if let Some(text) = text {
                add(label, text);
            }
        }
        add("next:", &self.next.text);
        if !self.policies.is_empty() {
            let policies: Vec<_> = self.policies.iter().map(ToString::to_string).collect();
            add("policy:", &policies.join(", "));
        }
        for note in &self.notes {
            add("note:", note);
        }
        lines
    }
}

impl fmt::Display for Why {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.lines().join("\n"))
    }
}

/// Explains.
///
/// ```
/// use plugin_engine::{EngineEnd, NextKind, WallTime, WhyInput, explain};
///
/// let now = WallTime::from_unix_nanos(1_000_000_000);
/// let input = WhyInput::of_ended_engine("clock", now, EngineEnd::Stopped { at: now }, vec![], 0, []);
/// let why = explain(&input);
/// println!("{}: {}", why.next.kind.name(), why.next.text);
/// ```
#[must_use]
pub fn explain(input: &WhyInput) -> Why {
    let snapshot = &input.snapshot;
    let (steps, cut) = chain::steps(input);
    let error_since = chain::error_since(input, &steps);
    let outlook = next::outlook(input);
    let mut notes = outlook.notes;
    notes.extend(cut);
    Why {
        id: input.asked.clone(),
        at: input.now,
        is_known: input.is_known,
        state: snapshot.state,
        since: snapshot.since,
        health: snapshot.health,
        error_since,
        health_note: health_note(input, &steps),
        generation: snapshot.generation,
        version: snapshot.version().map(str::to_owned),
        file: snapshot.file().map(Into::into),
        engine: input.end,
        last_success: snapshot.last_success,
        good: good(input),
        steps,
        error_text: error_text(input),
        error: snapshot.error.clone(),
        call_text: call_text(input),
        in_flight: snapshot.in_flight,
        next: outlook.next,
        policies: outlook.policies,
        notes,
        headline: headline(input, error_since),
    }
}

/// What it is, and since when.
fn headline(input: &WhyInput, error_since: Option<WallTime>) -> String {
    let now = input.now;
    let id = words::quote(&input.asked);
    if !input.is_known {
        return format!("{id} is not known: no plugin of this id was seen.");
    }
    let snapshot = &input.snapshot;
    let name = match snapshot.version() {
        Some(version) => format!("{id} {}", words::quote(version)),
        None => id,
    };
    let state = match snapshot.state {
        PluginState::Error => "in Error".to_owned(),
        state => state.to_string(),
    };
    let since = |verb: &str| {
        let mut text = format!("{verb} {state}");
        if let Some(since) = snapshot.since {
            text.push_str(&format!(" since {}", words::past(since, now)));
        }
        let called = matches!(snapshot.state, PluginState::Enabled | PluginState::Running);
        if called && snapshot.error.is_some() {
            text.push_str(", with an error");
            if let Some(since) = error_since {
                text.push_str(&format!(" since {}", words::past(since, now)));
            }
        }
        text
    };
    match input.end {
        EngineEnd::None => {
            let health = match snapshot.health {
                Health::Unknown => "not known yet",
                other => other.name(),
            };
            format!("{name} {}. Health: {health}.", since("is"))
        }
        EngineEnd::Stopped { at } => format!(
            "The engine was shut down at {}. Before that {name} {}.",
            words::past(at, now),
            since("was")
        ),
        EngineEnd::Killed { last_seen } => {
            let end = match last_seen {
                Some(seen) => format!(
                    "The engine ended without a shutdown, after {}.",
                    words::past(seen, now)
                ),
                None => "The engine ended without a shutdown.".to_owned(),
            };
            format!("{end} As far as the history goes {name} {}.", since("was"))
        }
    }
}

/// What is to be said of the health that the error does not say.
fn health_note(input: &WhyInput, steps: &[WhyStep]) -> Option<String> {
    let snapshot = &input.snapshot;
    let reason = snapshot.health_reason()?;
    let quoted = words::quote(reason);
    // What a policy says of itself repeats why.
    let error = snapshot.error.as_ref();
    let is_said = error.is_some_and(|error| error.message.contains(reason))
        || steps.iter().any(|step| step.text.contains(&quoted));
    (!is_said).then(|| format!("{}, because: {quoted}", snapshot.health))
}

/// When all was well the last time.
fn good(input: &WhyInput) -> Option<String> {
    use PluginState::{Enabled, Error, Running};
    let snapshot = &input.snapshot;
    let called = matches!(snapshot.state, Enabled | Running);
    match snapshot.last_success {
        Some(at) if called || snapshot.state == Error => Some(format!(
            "{}: the last update that completed",
            words::past(at, input.now)
        )),
        None if called && input.end == EngineEnd::None => {
            Some("no update of it has completed since this engine was started".to_owned())
        }
        _ => None,
    }
}

fn error_text(input: &WhyInput) -> Option<String> {
    let fault = input.snapshot.error.as_ref()?;
    let row = match fault.consecutive {
        0 | 1 => String::new(),
        more => format!(", {more} in a row"),
    };
    Some(format!(
        "{}{row}: {}",
        words::clock(fault.at, input.now),
        words::error(fault)
    ))
}

fn call_text(input: &WhyInput) -> Option<String> {
    let call = input.snapshot.in_flight?;
    let since = words::clock(call.since, input.now);
    let lasts = words::span(input.now.saturating_since(call.since));
    Some(match (input.end, call.abandoned) {
        (EngineEnd::None, false) => {
            format!("{} is in flight since {since} ({lasts})", call.call)
        }
        (EngineEnd::None, true) => format!(
            "{} does not return: it is running since {since} ({lasts}), and its deadline has passed",
            call.call
        ),
        _ => format!(
            "{} was in flight since {since} when the history ends",
            call.call
        ),
    })
}

#[cfg(test)]
mod cases;
#[cfg(test)]
mod given;
