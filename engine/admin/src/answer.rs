//! How an answer is written: values as JSON, refusals with their status and their words.

use std::borrow::Cow;

use axum::body::Body;
use axum::http::header::{
    CACHE_CONTROL, CONTENT_TYPE, HeaderName, HeaderValue, REFERRER_POLICY, X_CONTENT_TYPE_OPTIONS,
};
use axum::http::{HeaderMap, StatusCode};
use axum::response::{IntoResponse, Response};
use plugin_engine::{Code, Error};
use plugin_engine_wire::ErrorBody;
use serde::Serialize;

const JSON: HeaderValue = HeaderValue::from_static("application/json");

/// Why a request is not served.
#[derive(Debug)]
pub(crate) struct Refusal {
    status: StatusCode,
    code: Option<Code>,
    message: Cow<'static, str>,
}

impl Refusal {
    pub(crate) fn new(
        status: StatusCode,
        code: impl Into<Option<Code>>,
        message: impl Into<Cow<'static, str>>,
    ) -> Self {
        Self {
            status,
            code: code.into(),
            message: message.into(),
        }
    }

    /// Something is asked for that there is not.
    pub(crate) fn bad_query(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::BAD_REQUEST, Code::BAD_QUERY, message)
    }

    /// There is nothing of this name.
    pub(crate) fn not_found(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::NOT_FOUND, None, message)
    }

    /// The server is about to end.
    pub(crate) fn stopping() -> Self {
        let message = "the engine is being shut down";
        Self::new(StatusCode::SERVICE_UNAVAILABLE, Code::SHUT_DOWN, message)
    }

    /// The server has done something that it should not have.
    pub(crate) fn broken(message: impl Into<Cow<'static, str>>) -> Self {
        Self::new(StatusCode::INTERNAL_SERVER_ERROR, None, message)
    }
}

impl From<&Error> for Refusal {
    fn from(error: &Error) -> Self {
        let status = match error {
            Error::UnknownPlugin { .. } => StatusCode::NOT_FOUND,
            Error::ShutDown => StatusCode::SERVICE_UNAVAILABLE,
            _ => StatusCode::CONFLICT,
        };
        Self::new(status, error.code(), error.to_string())
    }
}

impl IntoResponse for Refusal {
    fn into_response(self) -> Response {
        let body = ErrorBody::new(self.code, self.message);
        json_with(self.status, &body)
    }
}

/// A value as JSON.
pub(crate) fn json(value: &impl Serialize) -> Response {
    json_with(StatusCode::OK, value)
}

/// A value as JSON, with a status.
pub(crate) fn json_with(status: StatusCode, value: &impl Serialize) -> Response {
    match serde_json::to_vec(value) {
        Ok(bytes) => (status, [(CONTENT_TYPE, JSON)], bytes).into_response(),
        // No value of ours has what JSON does not.
        Err(error) => (
            StatusCode::INTERNAL_SERVER_ERROR,
            format!("cannot be written as JSON: {error}"),
        )
            .into_response(),
    }
}

/// Content of a media type.
pub(crate) fn content(media_type: &'static str, body: impl Into<Body>) -> Response {
    let media_type = HeaderValue::from_static(media_type);
    ([(CONTENT_TYPE, media_type)], body.into()).into_response()
}

/// Sets what every answer says: that it is what it says it is, that nobody else is to know where it led to, that no page of somebody else's is
/// to have it, and that it is of this moment only.
pub(crate) fn harden(headers: &mut HeaderMap) {
    let set = [
        (X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (REFERRER_POLICY, "no-referrer"),
        (CACHE_CONTROL, "no-store"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in set {
        headers
            .entry(name)
            .or_insert(HeaderValue::from_static(value));
    }
}
