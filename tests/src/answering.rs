//! A thread that answers what a test wants, whatever it listens on: one connection after the other, one request each.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;

use crate::stand_in::Answer;

/// Answers until it is ended.
pub(crate) struct Answering {
    stop: Arc<AtomicBool>,
    requests: Arc<Mutex<Vec<String>>>,
    thread: Option<JoinHandle<()>>,
}

impl Answering {
    /// Answers whoever comes by `accept` as `answer` says, which is told a request's first line and its headers.
    pub(crate) fn start<S: Read + Write>(
        accept: impl Fn() -> io::Result<S> + Send + 'static,
        answer: impl Fn(&str) -> Answer + Send + 'static,
    ) -> Self {
        let stop = Arc::new(AtomicBool::new(false));
        let requests = Arc::new(Mutex::new(Vec::new()));
        let (stopped, heard) = (Arc::clone(&stop), Arc::clone(&requests));
        let thread = std::thread::spawn(move || {
            let mut open = Vec::new();
            loop {
                let stream = accept();
                if stopped.load(Ordering::SeqCst) {
                    return;
                }
                let Ok(mut stream) = stream else { continue };
                let request = head(&mut stream);
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
            stop,
            requests,
            thread: Some(thread),
        }
    }

    /// The requests so far, with their headers.
    pub(crate) fn requests(&self) -> Vec<String> {
        self.requests.lock().unwrap().clone()
    }

    /// Ends it. `wake` connects, because the thread waits for somebody to come.
    pub(crate) fn end<T>(&mut self, wake: impl FnOnce() -> io::Result<T>) {
        self.stop.store(true, Ordering::SeqCst);
        drop(wake());
        if let Some(thread) = self.thread.take() {
            let _ = thread.join();
        }
    }
}

/// A request up to the empty line.
fn head(stream: &mut impl Read) -> String {
    let mut head = String::new();
    let mut reader = BufReader::new(stream);
    while !head.ends_with("\r\n\r\n") {
        if reader.read_line(&mut head).unwrap_or(0) == 0 {
            break;
        }
    }
    head
}
