//! `/plugins/{id}/why`: the engine's explanation, in lines for a person and in fields for a program.

use std::sync::Arc;

use axum::extract::State;
use axum::http::StatusCode;
use axum::response::Response;
use plugin_engine::Code;
use plugin_engine_wire as wire;

use crate::address::Named;
use crate::answer::{self, Refusal};
use crate::server::App;

pub(crate) async fn why(
    State(app): State<Arc<App>>,
    Named(id): Named<String>,
) -> Result<Response, Refusal> {
    let why = app.ask(move |engine| engine.why(&id)).await?;
    if !why.is_known {
        return Err(Refusal::new(
            StatusCode::NOT_FOUND,
            Code::UNKNOWN_PLUGIN,
            why.lines().join("; "),
        ));
    }
    Ok(answer::json(&wire::Why::from(&why)))
}
