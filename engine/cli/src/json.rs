//! What the program writes as JSON. These field names are a promise to the programs that read them: add, never rename.

use std::time::Duration;

use plugin_engine::{Fault, InFlightCall, PluginUsage, Transition, WallTime};
use serde::Serialize;

use crate::standing::Standing;

/// A transition as one line of JSON.
#[derive(Serialize)]
pub(crate) struct TransitionJson<'a> {
    seq: u64,
    at: String,
    id: &'a str,
    generation: u32,
    version: Option<&'a str>,
    from: &'static str,
    to: &'static str,
    cause: &'static str,
    error: Option<FaultJson<'a>>,
    duration_us: Option<u64>,
}

/// Everything that is known of one plugin.
#[derive(Serialize)]
pub(crate) struct SnapshotJson<'a> {
    id: &'a str,
    state: &'static str,
    since: Option<String>,
    error: Option<FaultJson<'a>>,
    generation: u32,
    version: Option<&'a str>,
    file: Option<String>,
    sha256: Option<&'a str>,
    interval_ms: u64,
    timeout_ms: u64,
    last_update: Option<String>,
    last_success: Option<String>,
    last_display: Option<String>,
    last_progress: Option<String>,
    next_update: Option<String>,
    calls: u64,
    updates: u64,
    successes: u64,
    failures: u64,
    timeouts: u64,
    panics: u64,
    late: u64,
    skipped: u64,
    consecutive_failures: FailuresInARowJson,
    health: &'static str,
    health_reason: Option<&'a str>,
    breaker: &'static str,
    in_flight: Option<InFlightJson>,
    history_len: usize,
    seq: u64,
    usage: Option<&'a PluginUsage>,
}

/// How many calls of each kind have failed in a row.
#[derive(Serialize)]
struct FailuresInARowJson {
    create: u32,
    update: u32,
    display: u32,
}

/// The last object of a run.
#[derive(Serialize)]
pub(crate) struct SnapshotsJson<'a> {
    snapshots: Vec<SnapshotJson<'a>>,
}

/// Stands where transitions should be that had left the memory before they were read.
#[derive(Serialize)]
pub(crate) struct LostJson {
    pub(crate) lost: u64,
    pub(crate) after: u64,
}

#[derive(Serialize)]
struct FaultJson<'a> {
    kind: &'static str,
    r#type: Option<&'a str>,
    message: &'a str,
    at: String,
    recoverable: bool,
    consecutive: u32,
    location: Option<&'a str>,
    #[serde(skip_serializing_if = "Option::is_none")]
    backtrace: Option<&'a str>,
}

#[derive(Serialize)]
struct InFlightJson {
    call: &'static str,
    since: String,
    abandoned: bool,
}

/// RFC 3339 in UTC with microseconds, so that times which the engine adds up still add up when read.
fn time(at: WallTime) -> String {
    humantime::format_rfc3339_micros(at.into()).to_string()
}

fn millis(duration: Duration) -> u64 {
    u64::try_from(duration.as_millis()).unwrap_or(u64::MAX)
}

fn text(text: &str) -> Option<&str> {
    (!text.is_empty()).then_some(text)
}

impl<'a> From<&'a Transition> for TransitionJson<'a> {
    fn from(entry: &'a Transition) -> Self {
        Self {
            seq: entry.seq,
            at: time(entry.at),
            id: entry.id.as_str(),
            generation: entry.generation,
            version: entry.version.as_deref(),
            from: entry.from.name(),
            to: entry.to.name(),
            cause: entry.cause.name(),
            error: entry.error.as_deref().map(FaultJson::from),
            duration_us: entry
                .duration
                .map(|duration| u64::try_from(duration.as_micros()).unwrap_or(u64::MAX)),
        }
    }
}

impl<'a> From<&'a Standing> for SnapshotJson<'a> {
    fn from(Standing { snapshot, usage }: &'a Standing) -> Self {
        let counts = snapshot.counts;
        Self {
            id: snapshot.id().as_str(),
            state: snapshot.state.name(),
            since: snapshot.since.map(time),
            error: snapshot.error.as_deref().map(FaultJson::from),
            generation: snapshot.generation,
            version: snapshot.version(),
            file: snapshot
                .file()
                .map(|file| file.to_string_lossy().into_owned()),
            sha256: snapshot.sha256(),
            interval_ms: millis(snapshot.interval()),
            timeout_ms: millis(snapshot.timeout()),
            last_update: snapshot.last_update.map(time),
            last_success: snapshot.last_success.map(time),
            last_display: snapshot.last_display.map(time),
            last_progress: snapshot.last_progress.map(time),
            next_update: snapshot.next_update.map(time),
            calls: counts.calls,
            updates: counts.updates,
            successes: counts.successes,
            failures: counts.failures,
            timeouts: counts.timeouts,
            panics: counts.panics,
            late: counts.late,
            skipped: counts.skipped,
            consecutive_failures: FailuresInARowJson {
                create: snapshot.in_a_row.creates,
                update: snapshot.in_a_row.updates,
                display: snapshot.in_a_row.displays,
            },
            health: snapshot.health.name(),
            health_reason: snapshot.health_reason(),
            breaker: snapshot.breaker.name(),
            in_flight: snapshot.in_flight.map(InFlightJson::from),
            history_len: snapshot.history_len,
            seq: snapshot.seq,
            usage: usage.as_ref(),
        }
    }
}

impl<'a> From<&'a [Standing]> for SnapshotsJson<'a> {
    fn from(plugins: &'a [Standing]) -> Self {
        Self {
            snapshots: plugins.iter().map(SnapshotJson::from).collect(),
        }
    }
}

impl<'a> From<&'a Fault> for FaultJson<'a> {
    fn from(fault: &'a Fault) -> Self {
        Self {
            kind: fault.kind.name(),
            r#type: text(&fault.type_name),
            message: &fault.message,
            at: time(fault.at),
            recoverable: fault.recoverable,
            consecutive: fault.consecutive,
            location: text(&fault.location),
            backtrace: text(&fault.backtrace),
        }
    }
}

impl From<InFlightCall> for InFlightJson {
    fn from(call: InFlightCall) -> Self {
        Self {
            call: call.call.name(),
            since: time(call.since),
            abandoned: call.abandoned,
        }
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plugin_engine::{CallKind, Cause, Engine, FaultKind, PluginId, PluginState};

    use super::*;

    const AT: WallTime = WallTime::from_unix_nanos(1_767_225_600_123_456_789);

    fn fault() -> Fault {
        Fault {
            kind: FaultKind::Timeout,
            message: "too \"slow\"".into(),
            type_name: "".into(),
            at: AT,
            call: Some(CallKind::Update),
            recoverable: true,
            consecutive: 2,
            location: "src/lib.rs:3:5".into(),
            backtrace: "".into(),
        }
    }

    #[test]
    fn a_transition_has_the_promised_fields() {
        let entry = Transition {
            seq: 7,
            at: AT,
            id: PluginId::new("hangs").unwrap(),
            generation: 1,
            version: Some("0.1.0".into()),
            from: PluginState::Running,
            to: PluginState::Enabled,
            cause: Cause::UpdateTimedOut,
            error: Some(Arc::new(fault())),
            duration: Some(Duration::from_nanos(500_100_900)),
        };
        assert_eq!(
            serde_json::to_string(&TransitionJson::from(&entry)).unwrap(),
            concat!(
                r#"{"seq":7,"at":"2026-01-01T00:00:00.123456Z","id":"hangs","generation":1,"version":"0.1.0","#,
                r#""from":"Running","to":"Enabled","cause":"update_timed_out","#,
                r#""error":{"kind":"timeout","type":null,"message":"too \"slow\"","at":"2026-01-01T00:00:00.123456Z","#,
                r#""recoverable":true,"consecutive":2,"location":"src/lib.rs:3:5"},"duration_us":500100}"#,
            )
        );
    }

    #[test]
    fn a_snapshot_has_the_promised_fields() {
        let engine = Engine::builder().build().unwrap();
        let mut snapshot = engine.snapshot("clock");
        snapshot.state = PluginState::Enabled;
        snapshot.error = Some(Arc::new(fault()));
        snapshot.last_update = Some(AT);
        snapshot.in_flight = Some(InFlightCall {
            call: CallKind::Update,
            since: AT,
            abandoned: true,
        });
        let standing = Standing {
            snapshot,
            usage: None,
        };
        assert_eq!(
            serde_json::to_string(&SnapshotsJson::from(&[standing][..])).unwrap(),
            concat!(
                r#"{"snapshots":[{"id":"clock","state":"Enabled","since":null,"#,
                r#""error":{"kind":"timeout","type":null,"message":"too \"slow\"","at":"2026-01-01T00:00:00.123456Z","#,
                r#""recoverable":true,"consecutive":2,"location":"src/lib.rs:3:5"},"#,
                r#""generation":0,"version":null,"file":null,"sha256":null,"interval_ms":0,"timeout_ms":0,"#,
                r#""last_update":"2026-01-01T00:00:00.123456Z","last_success":null,"last_display":null,"#,
                r#""last_progress":null,"next_update":null,"calls":0,"updates":0,"successes":0,"failures":0,"#,
                r#""timeouts":0,"panics":0,"late":0,"skipped":0,"#,
                r#""consecutive_failures":{"create":0,"update":0,"display":0},"#,
                r#""health":"unknown","health_reason":null,"breaker":"off","#,
                r#""in_flight":{"call":"update","since":"2026-01-01T00:00:00.123456Z","abandoned":true},"#,
                r#""history_len":0,"seq":0,"usage":null}]}"#,
            )
        );
    }

    #[test]
    fn a_backtrace_is_shown_where_there_is_one() {
        let mut fault = fault();
        fault.backtrace = "0: a".into();
        let json = serde_json::to_value(FaultJson::from(&fault)).unwrap();
        assert_eq!(json["backtrace"], "0: a");
    }
}
