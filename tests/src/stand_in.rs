//! Stands in for a running engine: listens in a state directory and answers what a test wants.

use std::fs;
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};

use tempfile::TempDir;

use crate::answering::Answering;
use crate::files::root;

/// Listens where an engine would. One connection after the other, one request each.
pub struct StandIn {
    dir: TempDir,
    answering: Answering,
}

/// What a stand-in does about a request.
pub enum Answer {
    /// These bytes, and the end of the connection.
    Bytes(Vec<u8>),
    /// The first of several that come one after another; the connection stays open after the last.
    Open(Vec<u8>),
    /// Nothing, with the connection open.
    Silence,
}

impl Answer {
    /// An answer with a status and a body.
    pub fn new(status: &str, media_type: &str, body: impl AsRef<[u8]>) -> Self {
        let body = body.as_ref();
        let head = format!(
            "HTTP/1.1 {status}\r\ncontent-type: {media_type}\r\ncontent-length: {}\r\n\r\n",
            body.len()
        );
        Self::Bytes([head.as_bytes(), body].concat())
    }

    /// JSON.
    pub fn json(body: impl AsRef<[u8]>) -> Self {
        Self::new("200 OK", "application/json", body)
    }

    /// A refusal as an engine words it.
    pub fn refusal(status: &str, code: &str, message: &str) -> Self {
        let body = serde_json::json!({"error": {"code": code, "message": message}});
        Self::new(status, "application/json", body.to_string())
    }

    /// The beginning of a stream of messages; `open` is whether more could come.
    pub fn stream(messages: &str, open: bool) -> Self {
        let head =
            "HTTP/1.1 200 OK\r\ncontent-type: text/event-stream\r\nconnection: close\r\n\r\n";
        let bytes = format!("{head}{messages}").into_bytes();
        if open {
            Self::Open(bytes)
        } else {
            Self::Bytes(bytes)
        }
    }
}

impl StandIn {
    /// Answers by `answer`, which is told a request's first line and its headers.
    pub fn new(answer: impl Fn(&str) -> Answer + Send + 'static) -> Self {
        let dir = TempDir::new().expect("a directory can be made");
        let listener = UnixListener::bind(dir.path().join("admin.sock")).expect("it is free");
        let accept = move || listener.accept().map(|(stream, _)| stream);
        let answering = Answering::start(accept, answer);
        Self { dir, answering }
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The first lines of the requests so far, without the version.
    pub fn asked(&self) -> Vec<String> {
        let requests = self.answering.requests();
        let lines = requests.iter().filter_map(|request| request.lines().next());
        lines
            .map(|line| line.trim_end_matches(" HTTP/1.1").to_owned())
            .collect()
    }

    /// The requests so far, with their headers.
    pub fn requests(&self) -> Vec<String> {
        self.answering.requests()
    }

    /// Ends it as an engine that is killed: what listened is gone, and its socket stays.
    pub fn kill(mut self) -> TempDir {
        self.end();
        std::mem::replace(
            &mut self.dir,
            TempDir::new().expect("a directory can be made"),
        )
    }

    fn end(&mut self) {
        let socket = self.dir.path().join("admin.sock");
        self.answering.end(|| UnixStream::connect(socket));
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// How the type of this name is written, as its crate promises.
pub fn golden(name: &str) -> String {
    let file: PathBuf = root().join(format!("engine/wire/fixtures/{name}.json"));
    fs::read_to_string(file).expect("there is a file per type")
}
