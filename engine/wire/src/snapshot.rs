//! Everything that is known of one plugin at one moment.

use std::time::Duration;

use plugin_engine::PluginUsage;
use serde::{Deserialize, Serialize};

use crate::{Fault, Time, Usage, Word};

/// What is known of a plugin; see [`plugin_engine::Snapshot`].
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Snapshot {
    /// The plugin.
    pub id: String,
    /// Its state, as `Enabled`.
    pub state: Word,
    /// Since when; absent for an id that nothing is known of.
    pub since: Option<Time>,
    /// The error that stands.
    pub error: Option<Fault>,
    /// The generation; 0 before the first load.
    pub generation: u32,
    /// The version of the file that is loaded.
    pub version: Option<String>,
    /// The file that it was loaded from, or that was refused.
    pub file: Option<String>,
    /// The SHA-256 of that file, in hexadecimal.
    pub sha256: Option<String>,
    /// The interval between updates, in milliseconds.
    pub interval_ms: u64,
    /// How long one update may take, in milliseconds.
    pub timeout_ms: u64,
    /// When the last update ended or passed its deadline.
    pub last_update: Option<Time>,
    /// When the last update completed.
    pub last_success: Option<Time>,
    /// When the last display ended or passed its deadline.
    pub last_display: Option<Time>,
    /// When a call last said that its work is getting on.
    pub last_progress: Option<Time>,
    /// When the next update is due.
    pub next_update: Option<Time>,
    /// Calls of every kind.
    pub calls: u64,
    /// Updates that were started.
    pub updates: u64,
    /// Calls that completed.
    pub successes: u64,
    /// Calls that returned an error.
    pub failures: u64,
    /// Calls that passed their deadline.
    pub timeouts: u64,
    /// Calls that panicked.
    pub panics: u64,
    /// Calls that returned after their deadline.
    pub late: u64,
    /// Updates that were due and could not be started.
    pub skipped: u64,
    /// How many calls of each kind have failed in a row.
    pub consecutive_failures: FailuresInARow,
    /// `unknown`, `healthy`, `degraded` or `unhealthy`.
    pub health: Word,
    /// Why the health is not good.
    pub health_reason: Option<String>,
    /// What the circuit breaker does: `off`, `closed`, `open` or `half_open`.
    pub breaker: Word,
    /// The call that has not returned.
    pub in_flight: Option<InFlightCall>,
    /// How many entries of the history are held.
    pub history_len: usize,
    /// The number of the last transition.
    pub seq: u64,
    /// What its calls have used; absent for an id that nothing is known of.
    pub usage: Option<Usage>,
}

/// How many calls of each kind have failed in a row.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct FailuresInARow {
    /// Creates.
    pub create: u32,
    /// Updates.
    pub update: u32,
    /// Displays.
    pub display: u32,
}

/// A call that has not returned.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct InFlightCall {
    /// Its kind, such as `update`.
    pub call: Word,
    /// When it started.
    pub since: Time,
    /// Whether its deadline has passed.
    pub abandoned: bool,
}

/// What `/plugins` answers.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Plugins {
    /// All plugins, in the order in which they became known.
    pub plugins: Vec<Snapshot>,
}

impl Snapshot {
    /// All that is known. The digest of a file is worked out when it is first asked for, which takes about a millisecond per MiB.
    #[must_use]
    pub fn new(snapshot: &plugin_engine::Snapshot, usage: Option<&PluginUsage>) -> Self {
        Self {
            sha256: snapshot.sha256().map(str::to_owned),
            ..Self::without_digest(snapshot, usage)
        }
    }

    /// All that is known but `sha256`, for whoever must not wait for it.
    #[must_use]
    pub fn without_digest(snapshot: &plugin_engine::Snapshot, usage: Option<&PluginUsage>) -> Self {
        let time = |at: Option<plugin_engine::WallTime>| at.map(Time);
        let counts = snapshot.counts;
        Self {
            id: snapshot.id().as_str().to_owned(),
            state: snapshot.state.name().into(),
            since: time(snapshot.since),
            error: snapshot.error.as_deref().map(Fault::from),
            generation: snapshot.generation,
            version: snapshot.version().map(str::to_owned),
            file: snapshot
                .file()
                .map(|file| file.to_string_lossy().into_owned()),
            sha256: None,
            interval_ms: millis(snapshot.interval()),
            timeout_ms: millis(snapshot.timeout()),
            last_update: time(snapshot.last_update),
            last_success: time(snapshot.last_success),
            last_display: time(snapshot.last_display),
            last_progress: time(snapshot.last_progress),
            next_update: time(snapshot.next_update),
            calls: counts.calls,
            updates: counts.updates,
            successes: counts.successes,
            failures: counts.failures,
            timeouts: counts.timeouts,
            panics: counts.panics,
            late: counts.late,
            skipped: counts.skipped,
            consecutive_failures: FailuresInARow {
                create: snapshot.in_a_row.creates,
                update: snapshot.in_a_row.updates,
                display: snapshot.in_a_row.displays,
            },
            health: snapshot.health.name().into(),
            health_reason: snapshot.health_reason().map(str::to_owned),
            breaker: snapshot.breaker.name().into(),
            in_flight: snapshot.in_flight.as_ref().map(InFlightCall::from),
            history_len: snapshot.history_len,
            seq: snapshot.seq,
            usage: usage.map(Usage::from),
        }
    }
}

impl From<&plugin_engine::InFlightCall> for InFlightCall {
    fn from(call: &plugin_engine::InFlightCall) -> Self {
        Self {
            call: call.call.name().into(),
            since: call.since.into(),
            abandoned: call.abandoned,
        }
    }
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}
