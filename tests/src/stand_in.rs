//! Stands in for a running engine: listens in a state directory and answers what a test wants.

use std::fs;
use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::{UnixListener, UnixStream};
use std::path::{Path, PathBuf};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use tempfile::TempDir;

use crate::files::root;

/// Listens where an engine would. One connection after the other, one request each.
pub struct StandIn {
    dir: TempDir,
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
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
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stopped, heard) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            for stream in listener.incoming() {
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let request = head(&stream);
                heard.lock().unwrap().push(request.clone());
                // A client that has seen enough may hang up before the end.
                match answer(&request) {
                    Answer::Bytes(bytes) => drop(stream.write_all(&bytes)),
                    Answer::Open(bytes) => {
                        drop(stream.write_all(&bytes));
                        open.push(stream);
                    }
                    Answer::Silence => open.push(stream),
                }
            }
        });
        Self {
            dir,
            stop,
            requests,
            thread: Some(thread),
        }
    }

    /// The state directory.
    pub fn dir(&self) -> &Path {
        self.dir.path()
    }

    /// The first lines of the requests so far, without the version.
    pub fn asked(&self) -> Vec<String> {
        let requests = self.requests.lock().unwrap();
        let lines = requests.iter().filter_map(|request| request.lines().next());
        lines
            .map(|line| line.trim_end_matches(" HTTP/1.1").to_owned())
            .collect()
    }

    /// The requests so far, with their headers.
    pub fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
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
        self.stop.store(true, Ordering::SeqCst);
        // Wakes the thread, which waits for somebody to come.
        let _ = UnixStream::connect(self.dir.path().join("admin.sock"));
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

impl Drop for StandIn {
    fn drop(&mut self) {
        self.end();
    }
}

/// A request up to the empty line.
fn head(stream: &UnixStream) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            break;
        }
    }
    head
}

/// How the type of this name is written, as its crate promises.
pub fn golden(name: &str) -> String {
    let file: PathBuf = root().join(format!("engine/wire/fixtures/{name}.json"));
    fs::read_to_string(file).expect("there is a file per type")
}
