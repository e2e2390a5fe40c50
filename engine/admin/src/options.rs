//! What an embedder says of the server. Never how it is kept to.

use std::net::SocketAddr;
use std::time::Duration;

/// How a server is to be reached, and how much it bears.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct AdminOptions {
    /// Whether there is a socket in the state directory. An engine without a state directory has none.
    pub socket: bool,
    /// The address on which HTTP is served; with the port 0 a free one is taken. Nowhere, if not said. On an address that is not loopback
    /// everything needs the token but the status page's own files, which have to be there for it to be asked for.
    pub http: Option<SocketAddr>,
    /// Names of the host, beside `localhost` and its addresses, by which it may be asked over HTTP.
    pub http_hosts: Vec<String>,
    /// How much it bears.
    pub limits: AdminLimits,
}

impl Default for AdminOptions {
    fn default() -> Self {
        Self {
            socket: true,
            http: None,
            http_hosts: Vec::new(),
            limits: AdminLimits::default(),
        }
    }
}

/// How much a server bears. Times are real time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct AdminLimits {
    /// How many connections there may be at the same time over the socket, and as many over HTTP; one more is told so and closed.
    pub connections: usize,
    /// How many commands and displays may be under way at the same time; one more is told to try again.
    pub commands: usize,
    /// How long the head of a request is waited for, and the next request on a connection.
    pub head: Duration,
    /// How long the body of a request is waited for.
    pub body: Duration,
    /// How long somebody may take nothing of what is written to them before the connection is closed.
    pub write: Duration,
    /// How often a stream says that it is still there.
    pub heartbeat: Duration,
}

impl Default for AdminLimits {
    /// 256 connections, 16 commands, 10 s for a head or a body, 30 s for what is written, 15 s between heartbeats.
    fn default() -> Self {
        Self {
            connections: 256,
            commands: 16,
            head: Duration::from_secs(10),
            body: Duration::from_secs(10),
            write: Duration::from_secs(30),
            heartbeat: Duration::from_secs(15),
        }
    }
}
