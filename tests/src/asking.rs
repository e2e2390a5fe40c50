//! Asks an admin server as a program would, byte by byte where need be, over the socket or over HTTP.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

use serde_json::Value;

/// How long an answer may take before a test has failed.
const PATIENCE: Duration = Duration::from_secs(60);

/// Where a server is.
#[derive(Clone)]
pub enum Asked {
    /// Its socket.
    Socket(PathBuf),
    /// Its address.
    Http(SocketAddr),
}

/// What a server has answered.
#[derive(Debug)]
pub struct Reply {
    /// The status.
    pub status: u16,
    /// The head, with the names in small letters.
    pub head: String,
    /// The content.
    pub body: Vec<u8>,
}

/// Both kinds of connection.
trait Connection: Read + Write + Send {}
impl<T: Read + Write + Send> Connection for T {}

impl Asked {
    /// A connection on which nothing was said yet.
    fn connect(&self) -> Box<dyn Connection> {
        match self {
            Self::Socket(path) => {
                let stream = UnixStream::connect(path).expect("somebody listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("it is open");
                Box::new(stream)
            }
            Self::Http(addr) => {
                let stream = TcpStream::connect(addr).expect("somebody listens");
                stream.set_read_timeout(Some(PATIENCE)).expect("it is open");
                Box::new(stream)
            }
        }
    }

    /// The head of a request. A host is named unless one of the headers does.
    fn head(&self, method: &str, path: &str, version: &str, headers: &[(&str, &str)]) -> String {
        let mut head = format!("{method} {path} HTTP/{version}\r\nconnection: close\r\n");
        if !headers
            .iter()
            .any(|(name, _)| name.eq_ignore_ascii_case("host"))
        {
            let host = match self {
                Self::Socket(_) => "engine".to_owned(),
                Self::Http(addr) => addr.to_string(),
            };
            head.push_str(&format!("host: {host}\r\n"));
        }
        for (name, value) in headers {
            head.push_str(&format!("{name}: {value}\r\n"));
        }
        head + "\r\n"
    }

    /// Asks, with headers and a body.
    ///
    /// # Panics
    /// No answer comes.
    pub fn ask(&self, method: &str, path: &str, headers: &[(&str, &str)], body: &[u8]) -> Reply {
        let mut connection = self.connect();
        let head = self.head(method, path, "1.1", headers);
        // A server that refuses may hang up before it has heard everything.
        let _ = connection.write_all(head.as_bytes());
        let _ = connection.write_all(body);
        let mut bytes = Vec::new();
        let _ = connection.read_to_end(&mut bytes);
        Reply::parse(&bytes)
    }

    /// Asks for something.
    pub fn get(&self, path: &str) -> Reply {
        self.ask("GET", path, &[], b"")
    }

    /// Tells something, without a token.
    pub fn post(&self, path: &str) -> Reply {
        self.ask("POST", path, &[], b"")
    }

    /// What is there to be read as JSON.
    ///
    /// # Panics
    /// The status is another than 200.
    pub fn json(&self, path: &str) -> Value {
        let reply = self.get(path);
        assert_eq!(reply.status, 200, "{path}: {}", reply.text());
        reply.json()
    }

    /// Begins to follow a stream.
    ///
    /// # Panics
    /// It is none.
    pub fn follow(&self, path: &str, headers: &[(&str, &str)]) -> Followed {
        let mut connection = self.connect();
        // By the version before, the content is as it is until the connection ends.
        let head = self.head("GET", path, "1.0", headers);
        connection.write_all(head.as_bytes()).expect("it is heard");
        let mut lines = BufReader::new(connection);
        let mut head = String::new();
        while !head.ends_with("\r\n\r\n") {
            assert_ne!(lines.read_line(&mut head).expect("it answers"), 0, "{head}");
        }
        assert!(head.contains(" 200 "), "{head}");
        assert!(head.contains("text/event-stream"), "{head}");
        Followed { lines }
    }

    /// A connection on which this was said and nothing is read.
    pub fn say(&self, bytes: &[u8]) -> Box<dyn Read + Send> {
        let mut connection = self.connect();
        connection.write_all(bytes).expect("it is heard");
        Box::new(connection)
    }
}

impl Reply {
    fn parse(bytes: &[u8]) -> Self {
        let end = bytes.windows(4).position(|four| four == b"\r\n\r\n");
        let end = end.unwrap_or_else(|| panic!("an answer: {}", String::from_utf8_lossy(bytes)));
        let head = String::from_utf8_lossy(&bytes[..end]).into_owned();
        let status = head
            .split(' ')
            .nth(1)
            .and_then(|status| status.parse().ok());
        let lower = head.lines().map(|line| match line.split_once(": ") {
            Some((name, value)) => format!("{}: {value}\n", name.to_ascii_lowercase()),
            None => format!("{line}\n"),
        });
        Self {
            status: status.expect("an answer has a status"),
            head: lower.collect(),
            body: bytes[end + 4..].to_vec(),
        }
    }

    /// A header.
    pub fn header(&self, name: &str) -> Option<&str> {
        let mut lines = self.head.lines();
        lines.find_map(|line| line.strip_prefix(name)?.strip_prefix(": "))
    }

    /// The content as text.
    pub fn text(&self) -> &str {
        std::str::from_utf8(&self.body).expect("it is text")
    }

    /// The content as JSON.
    ///
    /// # Panics
    /// It is none.
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_else(|_| panic!("JSON: {}", self.text()))
    }

    /// The code of a refusal.
    pub fn code(&self) -> String {
        let json = self.json();
        json["error"]["code"]
            .as_str()
            .unwrap_or_default()
            .to_owned()
    }
}

/// A stream of server-sent events.
pub struct Followed {
    lines: BufReader<Box<dyn Connection>>,
}

/// A message of a stream.
#[derive(Debug, Default)]
pub struct Message {
    /// What kind it is, if one is said.
    pub event: String,
    /// Its number.
    pub id: Option<u64>,
    /// What it says.
    pub data: Value,
    /// Whether it says nothing but that somebody is there.
    pub is_comment: bool,
}

impl Followed {
    /// The next message, or comment; `None` at the end.
    ///
    /// # Panics
    /// None comes.
    pub fn next_or_comment(&mut self) -> Option<Message> {
        let mut message = Message::default();
        let mut has_any = false;
        loop {
            let mut line = String::new();
            match self.lines.read_line(&mut line) {
                Ok(0) => return None,
                Ok(_) => {}
                Err(error) => panic!("the stream goes on or ends: {error}"),
            }
            let line = line.trim_end();
            match line.split_once(':') {
                Some(("event", event)) => message.event = event.trim().to_owned(),
                Some(("id", id)) => message.id = id.trim().parse().ok(),
                Some(("data", data)) => {
                    message.data = serde_json::from_str(data).expect("it is JSON");
                }
                Some(("", _)) => message.is_comment = true,
                Some(_) => continue,
                None if has_any => return Some(message),
                None => continue,
            }
            has_any = true;
        }
    }

    /// The next message.
    pub fn next_message(&mut self) -> Option<Message> {
        loop {
            let message = self.next_or_comment()?;
            if !message.is_comment {
                return Some(message);
            }
        }
    }

    /// Reads on to a message that is so.
    ///
    /// # Panics
    /// The stream ends before.
    pub fn await_message(&mut self, is_so: impl Fn(&Message) -> bool) -> Message {
        loop {
            let message = self.next_message().expect("it comes before the end");
            if is_so(&message) {
                return message;
            }
        }
    }
}

/// Waits until nothing is at a path.
pub fn await_absence(path: &Path) {
    crate::wait_for("the file to be gone", || !path.exists());
}
