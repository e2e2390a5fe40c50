//! Follows what an engine tells as it happens, also across a connection that breaks.

use std::ops::ControlFlow;
use std::time::Duration;

use http_body_util::BodyExt;
use hyper::Method;
use hyper::header::{ACCEPT, HeaderValue};
use tokio::time::{sleep, timeout};

use super::messages::Messages;
use super::{ANSWER_LIMIT, Client, ClientError, Message};

/// How long an engine may say nothing; it sends a sign of life every 15 s.
const SILENCE_LIMIT: Duration = Duration::from_secs(45);
/// How long to wait before a connection that has broken is made again.
const BREAK: Duration = Duration::from_millis(200);

/// How following ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum FollowEnd {
    /// Whoever listens has had enough.
    Enough,
    /// The engine has stopped.
    Stopped,
}

impl Client {
    /// Tells every message of the stream at this path, until `told` has had enough or the engine stops. If the connection breaks while
    /// the engine runs, the stream is gone on with after the last message that had a number.
    pub(crate) fn follow(
        &self,
        path: &str,
        mut told: impl FnMut(Message) -> ControlFlow<()>,
    ) -> Result<FollowEnd, ClientError> {
        let mut last = None;
        let mut was_connected = false;
        self.runtime.block_on(async {
            loop {
                let mut connected = false;
                let followed = self.follow_once(path, &mut last, &mut connected, &mut told);
                match followed.await {
                    Ok(ControlFlow::Break(())) => return Ok(FollowEnd::Enough),
                    // The server ends its streams when it stops, and those that read too slowly.
                    Ok(ControlFlow::Continue(())) => {}
                    Err(error) if was_connected && error.is_end() => return Ok(FollowEnd::Stopped),
                    Err(error) if connected && error.is_loss() => {}
                    Err(error) => return Err(error),
                }
                was_connected = true;
                sleep(BREAK).await;
            }
        })
    }

    async fn follow_once(
        &self,
        path: &str,
        last: &mut Option<u64>,
        connected: &mut bool,
        told: &mut impl FnMut(Message) -> ControlFlow<()>,
    ) -> Result<ControlFlow<()>, ClientError> {
        let mut request = self.request(Method::GET, path, ACCEPT, "text/event-stream")?;
        if let Some(last) = *last {
            let headers = request.headers_mut();
            headers.insert("last-event-id", HeaderValue::from(last));
        }
        let response = match timeout(ANSWER_LIMIT, self.send(request)).await {
            Ok(response) => response?,
            Err(_) => return Err(silent(ANSWER_LIMIT)),
        };
        *connected = true;
        let mut body = response.into_body();
        let mut messages = Messages::default();
        loop {
            let frame = match timeout(SILENCE_LIMIT, body.frame()).await {
                Ok(None) => return Ok(ControlFlow::Continue(())),
                Ok(Some(frame)) => frame.map_err(ClientError::lost)?,
                Err(_) => return Err(silent(SILENCE_LIMIT)),
            };
            let Some(bytes) = frame.data_ref() else {
                continue;
            };
            let mut flow = ControlFlow::Continue(());
            messages.take(bytes, |message| {
                if flow.is_continue() {
                    *last = message.id.or(*last);
                    flow = told(message);
                }
            })?;
            if flow.is_break() {
                return Ok(flow);
            }
        }
    }
}

fn silent(limit: Duration) -> ClientError {
    ClientError::Silent {
        limit,
        changes: false,
    }
}
