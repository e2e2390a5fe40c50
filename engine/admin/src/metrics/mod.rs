//! `/metrics`: numbers for a monitoring system, in its own text format.
//!
//! What lives here: when they are gathered, and how they are written. Which there are, is in `families`.

mod classic;
mod families;
mod gathered;

use std::sync::Arc;

use axum::extract::State;
use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, HeaderValue, VARY};
use axum::response::Response;
use prometheus_client::encoding::text::encode;
use prometheus_client::registry::Registry;

use crate::answer::{Refusal, content};
use crate::server::App;
use gathered::Gathered;

const OPEN_METRICS: &str = "application/openmetrics-text; version=1.0.0; charset=utf-8";
const CLASSIC: &str = "text/plain; version=0.0.4; charset=utf-8";

pub(crate) async fn metrics(
    State(app): State<Arc<App>>,
    headers: HeaderMap,
) -> Result<Response, Refusal> {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let is_classic = accepted.is_some_and(wants_classic);
    let events_lost = app.events.lost();
    let text = app
        .ask(move |engine| {
            let gathered = Gathered::from(engine, events_lost);
            let mut registry = Registry::default();
            // Grown step by step it would be copied as often.
            let mut text = String::with_capacity(gathered.text_len());
            registry.register_collector(Box::new(gathered));
            encode(&mut text, &registry).map(|()| text)
        })
        .await?
        .map_err(|_| Refusal::broken("the metrics could not be written"))?;
    let mut response = if is_classic {
        content(CLASSIC, classic::rewritten(&text))
    } else {
        content(OPEN_METRICS, text)
    };
    let vary = HeaderValue::from_static("accept");
    response.headers_mut().insert(VARY, vary);
    Ok(response)
}

/// Whether somebody takes the format of before OpenMetrics and not that.
fn wants_classic(accept: &str) -> bool {
    let takes = |media_type: &str| {
        accept.split(',').any(|one| {
            let one = one.split(';').next().unwrap_or_default();
            one.trim().eq_ignore_ascii_case(media_type)
        })
    };
    takes("text/plain") && !takes("application/openmetrics-text")
}

#[cfg(test)]
mod tests {
    use super::wants_classic;

    #[test]
    fn the_format_of_before_is_for_those_who_take_that_alone() {
        for (accept, classic) in [
            ("*/*", false),
            ("", false),
            ("text/plain", true),
            ("text/plain;version=0.0.4;q=0.5,*/*;q=0.1", true),
            (
                "application/openmetrics-text;version=1.0.0,text/plain;version=0.0.4;q=0.5",
                false,
            ),
        ] {
            assert_eq!(wants_classic(accept), classic, "{accept}");
        }
    }
}
