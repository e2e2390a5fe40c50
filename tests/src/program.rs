//! The program run to its end, as a person at a shell would.

use std::process::{Command, Output, Stdio};

use crate::program;

/// What a run of the program left behind.
#[derive(Debug)]
pub struct Ended {
    /// The exit status.
    pub status: i32,
    /// Standard output.
    pub out: String,
    /// Standard error.
    pub err: String,
}

/// `plugin-engine` with no say of the environment that the tests run in.
pub fn command() -> Command {
    let mut command = Command::new(program());
    command
        .env_remove("RUST_LOG")
        .env_remove("RUST_BACKTRACE")
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    command
}

/// Runs a command to its end.
pub fn ended(command: &mut Command) -> Ended {
    let Output {
        status,
        stdout,
        stderr,
    } = command.output().expect("the program runs");
    let text = |bytes| String::from_utf8(bytes).expect("output is UTF-8");
    Ended {
        status: status.code().expect("the program ends by itself"),
        out: text(stdout),
        err: text(stderr),
    }
}
