//! Server-sent events: how messages are written, and a stream of them that ends with the server.

use std::future::Future;

use axum::body::{Body, Bytes};
use axum::http::HeaderMap;
use axum::response::Response;
use futures_util::stream::unfold;
use plugin_engine_wire::Lost;
use serde::Serialize;

use crate::answer::{Refusal, content};

/// Says that the stream is still there; nobody is told.
pub(crate) const HEARTBEAT: &[u8] = b":\n\n";
/// Comes first, so that whoever connects knows at once that this is a stream, and comes back a second after it has broken off.
const BEGIN: &[u8] = b"retry: 1000\n\n";

/// Messages, as they are written.
#[derive(Default)]
pub(crate) struct Messages(Vec<u8>);

impl Messages {
    /// Adds one. Neither the kind nor the JSON has a line break in it.
    pub(crate) fn add(&mut self, kind: Option<&str>, id: Option<u64>, data: &impl Serialize) {
        let out = &mut self.0;
        if let Some(kind) = kind {
            out.extend_from_slice(format!("event: {kind}\n").as_bytes());
        }
        if let Some(id) = id {
            out.extend_from_slice(format!("id: {id}\n").as_bytes());
        }
        out.extend_from_slice(b"data: ");
        // No value of ours has what JSON does not.
        let _ = serde_json::to_writer(&mut *out, data);
        out.extend_from_slice(b"\n\n");
    }

    /// Adds that so many messages are missing here, after the one of a number.
    pub(crate) fn add_lost(&mut self, lost: u64, after: u64) {
        self.add(Some("lost"), None, &Lost { lost, after });
    }

    pub(crate) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }
}

impl From<Messages> for Bytes {
    fn from(messages: Messages) -> Self {
        messages.0.into()
    }
}

/// A source of messages.
pub(crate) trait Source: Send + 'static {
    /// The next bytes, when there are some; `None` is the end.
    fn next(&mut self) -> impl Future<Output = Option<Bytes>> + Send;
}

/// A stream as an answer.
pub(crate) fn stream(source: impl Source) -> Response {
    let messages = unfold((source, true), |(mut source, begins)| async move {
        let bytes = if begins {
            Bytes::from_static(BEGIN)
        } else {
            source.next().await?
        };
        Some((Ok::<_, std::convert::Infallible>(bytes), (source, false)))
    });
    content("text/event-stream", Body::from_stream(messages))
}

/// The number of the last message that somebody has seen who comes back.
pub(crate) fn last_seen(headers: &HeaderMap) -> Result<Option<u64>, Refusal> {
    let Some(seen) = headers.get("last-event-id") else {
        return Ok(None);
    };
    let number = seen.to_str().ok().and_then(|text| text.trim().parse().ok());
    match number {
        Some(number) => Ok(Some(number)),
        None => Err(Refusal::bad_query("Last-Event-ID is no whole number")),
    }
}
