//! `/plugins/{id}/display`: what a plugin shows of itself, which is a stranger's content: under its own media type, where nothing of it can
//! run or reach anything.

use axum::http::HeaderMap;
use axum::http::header::{ACCEPT, CONTENT_SECURITY_POLICY, HeaderValue};
use axum::response::Response;
use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use plugin_engine::{View, ViewKind};
use plugin_engine_wire as wire;

use crate::answer::{content, json};

/// No script, no request, no frame of its own, and an origin that is nobody's; images and styles only if they are in the content itself.
const SANDBOX: &str =
    "sandbox; default-src 'none'; img-src data:; style-src 'unsafe-inline'; frame-ancestors 'self'";

/// A view as an answer: as JSON if that is asked for, else as it is.
pub(crate) fn answer(view: &View, headers: &HeaderMap) -> Response {
    let accepted = headers.get(ACCEPT).and_then(|accept| accept.to_str().ok());
    let mut response = if accepted.is_some_and(prefers_json) {
        json(&as_json(view))
    } else {
        content(media_type(view.kind()), view.bytes().to_vec())
    };
    let policy = HeaderValue::from_static(SANDBOX);
    response
        .headers_mut()
        .insert(CONTENT_SECURITY_POLICY, policy);
    response
}

fn prefers_json(accept: &str) -> bool {
    let first = accept.split([',', ';']).next().unwrap_or_default();
    first.trim().eq_ignore_ascii_case("application/json")
}

fn media_type(kind: ViewKind) -> &'static str {
    match kind {
        // Nothing is shown, and not offered as a file to be kept.
        ViewKind::Empty => ViewKind::Text.media_type(),
        kind => kind.media_type(),
    }
}

fn as_json(view: &View) -> wire::View {
    let kind = match view.kind() {
        ViewKind::Empty => "empty",
        ViewKind::Text => "text",
        ViewKind::Svg => "svg",
        ViewKind::Png => "png",
        ViewKind::Html => "html",
        ViewKind::Json => "json",
        _ => "unknown",
    };
    let text = view.as_text().map(str::to_owned);
    wire::View {
        kind: kind.into(),
        base64: text.is_none().then(|| STANDARD.encode(view.bytes())),
        text,
    }
}
