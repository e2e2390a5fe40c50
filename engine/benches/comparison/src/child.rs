//! The plugin in a process of its own, asked over a Unix socket.

use std::io::{Read, Write};
use std::os::fd::{AsFd, OwnedFd};
use std::os::unix::net::UnixStream;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use plugin_engine_tests::built;

use crate::peers::{RawPlugin, Records};

/// What the program is called with so that it is the child.
pub(crate) const ARGUMENT: &str = "be-the-child";

pub(crate) struct Child {
    process: std::process::Child,
    socket: UnixStream,
    records: Records,
    asked: u64,
}

impl Child {
    pub(crate) fn start() -> Self {
        let (socket, other) = UnixStream::pair().expect("sockets can be made");
        let program = std::env::current_exe().expect("a program knows its own file");
        let process = Command::new(program)
            .arg(ARGUMENT)
            .arg(built("noop"))
            // The one descriptor that a child is sure to have.
            .stdin(Stdio::from(OwnedFd::from(other)))
            .spawn()
            .expect("the child can be started");
        // The deadline.
        socket
            .set_read_timeout(Some(Duration::from_secs(1)))
            .expect("it can be set");
        let mut child = Self {
            process,
            socket,
            records: Records::default(),
            asked: 0,
        };
        child.updates(1);
        child
    }

    pub(crate) fn updates(&mut self, count: usize) {
        let Self {
            socket,
            records,
            asked,
            ..
        } = self;
        for _ in 0..count {
            *asked += 1;
            records.around(|| {
                let question = asked.to_le_bytes();
                socket.write_all(&question).expect("the child is there");
                let mut answer = [0; 9];
                socket.read_exact(&mut answer).expect("it is in time");
                assert_eq!(answer[..8], question);
                answer[8]
            });
        }
    }
}

impl Drop for Child {
    fn drop(&mut self) {
        // It may have ended by itself, and nobody asks how.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

/// Answers until nobody asks any more.
pub(crate) fn answer(file: &Path) {
    let input = std::io::stdin();
    let socket = input.as_fd().try_clone_to_owned();
    let mut socket = UnixStream::from(socket.expect("it is open"));
    let raw = RawPlugin::load_file(file);
    let mut answer = [0; 9];
    while socket.read_exact(&mut answer[..8]).is_ok() {
        answer[8] = raw.call();
        if socket.write_all(&answer).is_err() {
            return;
        }
    }
}
