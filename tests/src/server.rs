//! A server on this machine that answers what a test wants, or nothing.

use std::net::{SocketAddr, TcpListener, TcpStream};

use crate::answering::Answering;
use crate::stand_in::Answer;

/// One connection after the other, one request each.
pub struct Server {
    address: SocketAddr,
    answering: Answering,
}

impl Server {
    /// A server whose answer to a request, both as they are on the wire, is told by `answer`. Where that tells nothing, the
    /// connection stays open and silent for as long as the server lives.
    pub fn new(answer: impl Fn(&str) -> Option<Vec<u8>> + Send + 'static) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").expect("a port is free");
        let address = listener.local_addr().expect("a listener has an address");
        let accept = move || listener.accept().map(|(stream, _)| stream);
        let answering = Answering::start(accept, move |request| {
            answer(request).map_or(Answer::Silence, Answer::Bytes)
        });
        Self { address, answering }
    }

    /// The address of a document of this server.
    pub fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.address)
    }

    /// The port.
    pub fn port(&self) -> u16 {
        self.address.port()
    }

    /// The requests so far, with their headers.
    pub fn requests(&self) -> Vec<String> {
        self.answering.requests()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let address = self.address;
        self.answering.end(|| TcpStream::connect(address));
    }
}
