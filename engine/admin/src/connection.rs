//! One connection: requests are read from it, answers written to it, until it ends or the server does.

use std::convert::Infallible;
use std::pin::pin;
use std::sync::Arc;

use axum::Router;
use axum::body::Body;
use axum::http::{Request, Response};
use hyper::body::Incoming;
use hyper::server::conn::http1;
use hyper::service::{Service, service_fn};
use hyper_util::rt::{TokioIo, TokioTimer};
use hyper_util::service::TowerToHyperService;
use tokio::io::{AsyncRead, AsyncWrite};
use tokio::sync::OwnedSemaphorePermit;

use crate::access::Entrance;
use crate::patient::Patient;
use crate::server::App;

/// The longest head of a request, in bytes, and how many headers it may have.
pub(crate) const HEAD_LEN_MAX: usize = 16 * 1_024;
const HEADERS_MAX: usize = 64;

/// What somebody is told for whom there is no room.
pub(crate) const FULL: &[u8] = b"HTTP/1.1 503 Service Unavailable\r\ncontent-type: application/json\r\ncontent-length: 92\r\n\
connection: close\r\n\r\n{\"error\":{\"code\":\"PE0716\",\"message\":\"there are as many connections as may be; try again\"}}\r\n";

/// Serves one connection to its end. At the end of the server a stream ends, and so does the connection after the request that it is in.
pub(crate) async fn serve<S>(
    app: Arc<App>,
    router: Router,
    stream: S,
    entrance: Entrance,
    place: OwnedSemaphorePermit,
) where
    S: AsyncRead + AsyncWrite + Unpin + Send + 'static,
{
    let service = service_fn(move |mut request: Request<Incoming>| {
        request.extensions_mut().insert(entrance);
        let answer = TowerToHyperService::new(router.clone()).call(request);
        async move { answer.await as Result<Response<Body>, Infallible> }
    });
    let limits = &app.limits;
    let io = TokioIo::new(Patient::new(stream, limits.write));
    let connection = http1::Builder::new()
        .timer(TokioTimer::new())
        .header_read_timeout(limits.head)
        .max_buf_size(HEAD_LEN_MAX)
        .max_headers(HEADERS_MAX)
        .serve_connection(io, service);
    let mut connection = pin!(connection);
    // Whoever is at the other end knows best why it ended; there is nobody here to tell.
    tokio::select! {
        _ = connection.as_mut() => {}
        () = app.stopped() => {
            connection.as_mut().graceful_shutdown();
            let _ = connection.await;
        }
    }
    drop(place);
}

#[cfg(test)]
mod tests {
    use super::FULL;

    #[test]
    fn what_is_said_where_there_is_no_room_is_a_whole_answer() {
        let text = std::str::from_utf8(FULL).unwrap();
        let (head, body) = text.split_once("\r\n\r\n").unwrap();
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: "));
        assert_eq!(len.unwrap().parse(), Ok(body.len()));
        let value: serde_json::Value = serde_json::from_str(body).unwrap();
        assert_eq!(
            value["error"]["code"],
            plugin_engine::Code::ADMIN_BUSY.as_str()
        );
    }
}
