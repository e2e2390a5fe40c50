//! Asks a running engine over the Unix socket in its state directory: HTTP/1.1, one connection per question.
//!
//! Every wait has an end and every answer a size that it may have, except for a stream that is followed, of which each message has. What
//! never comes here: what is asked, and how an answer is shown.

mod error;
mod messages;
mod socket;
mod stream;

use std::path::{Path, PathBuf};
use std::time::Duration;

use http_body_util::{BodyExt, Empty, LengthLimitError, Limited};
use hyper::body::{Bytes, Incoming};
use hyper::header::{ACCEPT, CONTENT_TYPE, HOST, HeaderName};
use hyper::{Method, Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use plugin_engine_wire::ErrorBody;
use serde::de::DeserializeOwned;
use tokio::runtime::{Builder, Runtime};
use tokio::time::timeout;

pub(crate) use error::{ClientError, MISUSED};
pub(crate) use messages::Message;
pub(crate) use stream::FollowEnd;

/// How long it may take until the engine has taken the connection.
const CONNECT_LIMIT: Duration = Duration::from_secs(2);
/// How long an answer may take that the engine gives from what it knows.
pub(crate) const ANSWER_LIMIT: Duration = Duration::from_secs(10);
/// How large an answer may be. A thousand plugins take about two million bytes, a page of history less.
const ANSWER_BYTES_MAX: usize = 64 << 20;
/// How much of a body is looked at for the reason of a refusal.
const REFUSAL_BYTES_MAX: usize = 64 << 10;

/// Who asks an engine. Belongs to one thread at a time.
pub(crate) struct Client {
    state_dir: PathBuf,
    runtime: Runtime,
}

/// Marks a request whose answer is one with 503 as well.
#[derive(Clone, Copy)]
struct AlsoIfBad;

/// An answer that is not looked into.
pub(crate) struct Content {
    pub(crate) media_type: String,
    pub(crate) bytes: Bytes,
}

impl Content {
    /// What it says, if it is JSON of that form.
    pub(crate) fn read<T: DeserializeOwned>(&self) -> Result<T, ClientError> {
        serde_json::from_slice(&self.bytes)
            .map_err(|error| ClientError::Strange(format!("cannot read its answer: {error}")))
    }

    /// Whether a person can read it as it is.
    pub(crate) fn is_text(&self) -> bool {
        let kind = self.media_type.split(';').next().unwrap_or_default().trim();
        kind.starts_with("text/") || ["application/json", "image/svg+xml"].contains(&kind)
    }
}

impl Client {
    /// Whoever asks the engine whose state directory this is. Nothing is connected yet.
    pub(crate) fn new(state_dir: &Path) -> Result<Self, ClientError> {
        let runtime = Builder::new_current_thread().enable_all().build();
        Ok(Self {
            state_dir: state_dir.to_owned(),
            runtime: runtime.map_err(ClientError::Runtime)?,
        })
    }

    /// What the engine says at this path.
    pub(crate) fn get<T: DeserializeOwned>(&self, path: &str) -> Result<T, ClientError> {
        let request = self.request(Method::GET, path, ACCEPT, "application/json")?;
        self.answer(request, ANSWER_LIMIT)?.read()
    }

    /// [`Client::get`] of something that comes with 503, too, where it is not as it should be.
    pub(crate) fn get_also_if_bad<T: DeserializeOwned>(
        &self,
        path: &str,
    ) -> Result<T, ClientError> {
        let mut request = self.request(Method::GET, path, ACCEPT, "application/json")?;
        request.extensions_mut().insert(AlsoIfBad);
        let answer = self.answer(request, ANSWER_LIMIT)?;
        // An engine that stops says 503 of everything.
        match serde_json::from_slice::<ErrorBody>(&answer.bytes) {
            Ok(body) => Err(refused(StatusCode::SERVICE_UNAVAILABLE, body)),
            Err(_) => answer.read(),
        }
    }

    /// What the engine has at this path, in a form that it `accept`s.
    pub(crate) fn content(
        &self,
        path: &str,
        accept: &str,
        limit: Duration,
    ) -> Result<Content, ClientError> {
        self.answer(self.request(Method::GET, path, ACCEPT, accept)?, limit)
    }

    /// Tells the engine to do something, and waits as long as `limit` until it is done.
    pub(crate) fn post<T: DeserializeOwned>(
        &self,
        path: &str,
        limit: Duration,
    ) -> Result<T, ClientError> {
        let request = self.request(Method::POST, path, ACCEPT, "application/json")?;
        self.answer(request, limit)?.read()
    }

    fn request(
        &self,
        method: Method,
        path: &str,
        header: HeaderName,
        value: &str,
    ) -> Result<Request<Empty<Bytes>>, ClientError> {
        Request::builder()
            .method(method)
            .uri(path)
            .header(HOST, "localhost")
            .header(header, value)
            .body(Empty::new())
            .map_err(|error| ClientError::Strange(format!("cannot ask for {path}: {error}")))
    }

    fn answer(
        &self,
        request: Request<Empty<Bytes>>,
        limit: Duration,
    ) -> Result<Content, ClientError> {
        let changes = request.method() == Method::POST;
        self.runtime.block_on(async {
            let answered = async {
                let response = self.send(request).await?;
                let media_type = response.headers().get(CONTENT_TYPE);
                let media_type = media_type.and_then(|value| value.to_str().ok());
                let media_type = media_type.unwrap_or_default().to_owned();
                let bytes = collect(response, ANSWER_BYTES_MAX).await?;
                Ok(Content { media_type, bytes })
            };
            match timeout(limit, answered).await {
                Ok(answer) => answer,
                Err(_) => Err(ClientError::Silent { limit, changes }),
            }
        })
    }

    /// Sends a request on a connection of its own. The beginning of the answer has come, and is none that refuses.
    async fn send(
        &self,
        request: Request<Empty<Bytes>>,
    ) -> Result<Response<Incoming>, ClientError> {
        let stream = match timeout(CONNECT_LIMIT, socket::connect(&self.state_dir)).await {
            Ok(stream) => stream?,
            Err(_) => {
                return Err(ClientError::Silent {
                    limit: CONNECT_LIMIT,
                    changes: false,
                });
            }
        };
        let shaken = hyper::client::conn::http1::handshake(TokioIo::new(stream)).await;
        let (mut sender, connection) = shaken.map_err(ClientError::lost)?;
        // It ends with the answer; what goes wrong with it is told by the answer, too.
        tokio::spawn(connection);
        let also_if_bad = request.extensions().get::<AlsoIfBad>().is_some();
        let response = sender.send_request(request).await;
        let response = response.map_err(ClientError::lost)?;
        let status = response.status();
        if status.is_success() || (also_if_bad && status == StatusCode::SERVICE_UNAVAILABLE) {
            return Ok(response);
        }
        let body = collect(response, REFUSAL_BYTES_MAX).await?;
        match serde_json::from_slice::<ErrorBody>(&body) {
            Ok(body) => Err(refused(status, body)),
            Err(_) => Err(ClientError::Strange(format!("it answers with {status}"))),
        }
    }
}

fn refused(status: StatusCode, body: ErrorBody) -> ClientError {
    ClientError::Refused {
        status,
        code: body.error.code.map(Into::into),
        message: body.error.message,
    }
}

async fn collect(response: Response<Incoming>, bytes_max: usize) -> Result<Bytes, ClientError> {
    let collected = Limited::new(response.into_body(), bytes_max)
        .collect()
        .await;
    match collected {
        Ok(body) => Ok(body.to_bytes()),
        Err(error) if error.is::<LengthLimitError>() => Err(ClientError::TooLarge { bytes_max }),
        Err(error) => Err(ClientError::Lost(error.to_string())),
    }
}
