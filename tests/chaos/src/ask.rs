//! Asks the engine over its socket or over HTTP, in bytes: no client of the engine's own stands between it and the observer.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// The way to an engine.
#[derive(Clone)]
pub(crate) enum Way {
    Socket(PathBuf),
    Http(SocketAddr, Option<String>),
}

/// What was answered.
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) body: Vec<u8>,
}

pub(crate) trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

impl Way {
    /// The socket in this state directory.
    pub(crate) fn socket(state: &Path) -> Self {
        Self::Socket(state.join("admin.sock"))
    }

    /// Asks, and does not read the answer yet. By the version of HTTP in which an answer ends with its connection.
    pub(crate) fn open(
        &self,
        method: &str,
        path: &str,
        patience: Duration,
    ) -> io::Result<Box<dyn Connection>> {
        let mut head = format!("{method} {path} HTTP/1.0\r\n");
        let mut connection: Box<dyn Connection> = match self {
            Self::Socket(socket) => {
                head.push_str("host: engine\r\n");
                let stream = UnixStream::connect(socket)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Box::new(stream)
            }
            Self::Http(addr, token) => {
                head.push_str(&format!("host: {addr}\r\n"));
                if let Some(token) = token {
                    head.push_str(&format!("authorization: Bearer {token}\r\n"));
                }
                let stream = TcpStream::connect_timeout(addr, patience)?;
                stream.set_read_timeout(Some(patience))?;
                stream.set_write_timeout(Some(patience))?;
                Box::new(stream)
            }
        };
        head.push_str("\r\n");
        connection.write_all(head.as_bytes())?;
        Ok(connection)
    }

    /// Asks and reads the answer. `patience` is for each read.
    pub(crate) fn ask(&self, method: &str, path: &str, patience: Duration) -> io::Result<Reply> {
        let mut bytes = Vec::new();
        self.open(method, path, patience)?.read_to_end(&mut bytes)?;
        let broken_off = || io::Error::new(io::ErrorKind::UnexpectedEof, "the answer broke off");
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.ok_or_else(broken_off)?;
        let head = String::from_utf8_lossy(&bytes[..end]).to_ascii_lowercase();
        let status = head.split(' ').nth(1).and_then(|text| text.parse().ok());
        let body = bytes.split_off(end + 4);
        let len = head
            .lines()
            .find_map(|line| line.strip_prefix("content-length: ")?.parse::<usize>().ok());
        if len.is_some_and(|len| body.len() < len) {
            return Err(broken_off());
        }
        Ok(Reply {
            status: status.ok_or_else(broken_off)?,
            body,
        })
    }
}

impl Reply {
    pub(crate) fn json(&self) -> Option<Value> {
        serde_json::from_slice(&self.body).ok()
    }

    /// The beginning of what it says.
    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body)
            .chars()
            .take(300)
            .collect()
    }
}

/// A stream of messages.
pub(crate) struct Messages {
    lines: BufReader<Box<dyn Connection>>,
}

/// One of them.
#[derive(Default)]
pub(crate) struct Message {
    pub(crate) event: String,
    pub(crate) id: Option<u64>,
    pub(crate) data: Value,
}

impl Messages {
    pub(crate) fn follow(way: &Way, path: &str, patience: Duration) -> io::Result<Self> {
        let mut lines = BufReader::new(way.open("GET", path, patience)?);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            if lines.read_line(&mut head)? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        if !head.contains(" 200 ") {
            return Err(io::Error::other(
                head.lines().next().unwrap_or("").to_owned(),
            ));
        }
        Ok(Self { lines })
    }

    /// The next message; `None` at the end.
    pub(crate) fn next(&mut self) -> io::Result<Option<Message>> {
        let mut message = Message::default();
        let mut has_data = false;
        loop {
            let mut line = String::new();
            if self.lines.read_line(&mut line)? == 0 {
                return Ok(None);
            }
            match line.trim_end().split_once(": ") {
                Some(("event", event)) => message.event = event.to_owned(),
                Some(("id", id)) => message.id = id.parse().ok(),
                Some(("data", data)) => {
                    has_data = true;
                    message.data = serde_json::from_str(data)?;
                }
                Some(_) => {}
                None if has_data => return Ok(Some(message)),
                None => {}
            }
        }
    }
}
