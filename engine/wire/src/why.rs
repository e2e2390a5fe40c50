//! Why a plugin is in its state.

use plugin_engine::EngineEnd;
use serde::{Deserialize, Serialize};
use serde_json::{Map, Value, json};

use crate::{Fault, InFlightCall, Time};

/// What `/plugins/{id}/why` answers.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Why {
    /// The plugin.
    pub id: String,
    /// For a person: state, since when, how it came there, what happens next.
    pub lines: Vec<String>,
    /// The same for a program, in fields beside the two above: `at`, `state`, `since`, `steps`, `error`, `next` and others.
    #[serde(flatten)]
    pub fields: Map<String, Value>,
}

impl From<&plugin_engine::Why> for Why {
    fn from(why: &plugin_engine::Why) -> Self {
        Self {
            id: why.id.clone(),
            lines: why.lines(),
            fields: fields(why),
        }
    }
}

fn fields(why: &plugin_engine::Why) -> Map<String, Value> {
    let steps = why.steps.iter().map(|step| {
        json!({
            "cause": step.cause.name(),
            "count": step.count,
            "first_at": Time(step.first_at),
            "last_at": Time(step.last_at),
            "first_seq": step.first_seq,
            "last_seq": step.last_seq,
            "text": step.text,
        })
    });
    let policies = why.policies.iter();
    let policies = policies
        .map(|policy| json!({"key": policy.key, "value": policy.value, "said_by": policy.said_by}));
    let fields = json!({
        "at": Time(why.at),
        "state": why.state.name(),
        "since": why.since.map(Time),
        "error_since": why.error_since.map(Time),
        "health": why.health.name(),
        "health_note": why.health_note,
        "generation": why.generation,
        "version": why.version,
        "file": why.file.as_ref().map(|file| file.to_string_lossy()),
        "engine": engine(why.engine),
        "last_success": why.last_success.map(Time),
        "steps": steps.collect::<Vec<_>>(),
        "error": why.error.as_deref().map(Fault::from),
        "in_flight": why.in_flight.as_ref().map(InFlightCall::from),
        "next": {
            "kind": why.next.kind.name(),
            "at": why.next.at.map(Time),
            "text": why.next.text,
        },
        "policies": policies.collect::<Vec<_>>(),
        "notes": why.notes,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}

/// Whether the engine runs, and what is known of its end if it does not.
fn engine(end: EngineEnd) -> Value {
    let (is, at) = match end {
        EngineEnd::None => ("running", None),
        EngineEnd::Stopped { at } => ("stopped", Some(at)),
        EngineEnd::Killed { last_seen } => ("killed", last_seen),
        _ => ("ended", None),
    };
    json!({"is": is, "at": at.map(Time)})
}
