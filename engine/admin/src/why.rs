//! `/plugins/{id}/why`: the engine's explanation, in lines for a person and in fields for a program.

use std::sync::Arc;

use axum::extract::{Path, State};
use axum::http::StatusCode;
use axum::response::Response;
use plugin_engine::{Code, Why};
use plugin_engine_wire as wire;
use plugin_engine_wire::Time;
use serde_json::{Map, Value, json};

use crate::answer::{self, Refusal};
use crate::server::App;

pub(crate) async fn why(
    State(app): State<Arc<App>>,
    Path(id): Path<String>,
) -> Result<Response, Refusal> {
    let why = app.ask(move |engine| engine.why(&id)).await?;
    if !why.is_known {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            Code::UNKNOWN_PLUGIN,
            why.lines().join("; "),
        ));
    }
    Ok(answer::json(&wire::Why {
        lines: why.lines(),
        fields: fields(&why),
        id: why.id,
    }))
}

/// Everything but the id and the lines.
fn fields(why: &Why) -> Map<String, Value> {
    let steps: Vec<_> = why
        .steps
        .iter()
        .map(|step| {
            json!({
                "cause": step.cause.name(),
                "count": step.count,
                "first_at": Time(step.first_at),
                "last_at": Time(step.last_at),
                "first_seq": step.first_seq,
                "last_seq": step.last_seq,
                "text": step.text,
            })
        })
        .collect();
    let policies: Vec<_> = why
        .policies
        .iter()
        .map(|policy| json!({"key": policy.key, "value": policy.value, "said_by": policy.said_by}))
        .collect();
    let file = why.file.as_ref().map(|file| file.to_string_lossy());
    let fields = json!({
        "at": Time(why.at),
        "state": why.state.name(),
        "since": why.since.map(Time),
        "error_since": why.error_since.map(Time),
        "health": why.health.name(),
        "health_note": why.health_note,
        "generation": why.generation,
        "version": why.version,
        "file": file,
        "last_success": why.last_success.map(Time),
        "steps": steps,
        "error": why.error.as_deref().map(wire::Fault::from),
        "in_flight": why.in_flight.as_ref().map(wire::InFlightCall::from),
        "next": {
            "kind": why.next.kind.name(),
            "at": why.next.at.map(Time),
            "text": why.next.text,
        },
        "policies": policies,
        "notes": why.notes,
    });
    match fields {
        Value::Object(fields) => fields,
        _ => Map::new(),
    }
}
