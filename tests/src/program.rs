//! The program run to its end, as a person at a shell would.

use std::io::{BufRead, BufReader, Read};
use std::process::{Child, ChildStdout, Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

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
        .env_remove("PLUGIN_ENGINE_STATE")
        .env_remove("PLUGIN_ENGINE_LOG_FORMAT")
        .env_remove("NOTIFY_SOCKET")
        .env_remove("WATCHDOG_USEC")
        .env_remove("WATCHDOG_PID")
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

/// The objects of an output that has one in each line.
///
/// # Panics
/// A line is none.
pub fn objects(output: &str) -> Vec<Value> {
    let lines = output.lines();
    lines
        .map(|line| serde_json::from_str(line).expect("each line is an object"))
        .collect()
}

/// The names of the threads of a process, by its number or as `self`.
///
/// # Panics
/// There is no such process.
pub fn threads_of(process: &str) -> Vec<String> {
    let threads = std::fs::read_dir(format!("/proc/{process}/task")).expect("it runs");
    threads
        .filter_map(|thread| {
            // One that ends meanwhile has no name any more.
            let name = std::fs::read_to_string(thread.ok()?.path().join("comm")).ok()?;
            Some(name.trim_end().to_owned())
        })
        .collect()
}

/// A program that runs, ended at the latest when its test does.
pub struct Running {
    child: Child,
    /// `None` is a reader that has left.
    lines: Option<BufReader<ChildStdout>>,
    read: String,
}

impl Running {
    /// Starts a command whose output is piped.
    pub fn start(command: &mut Command) -> Self {
        let mut child = command.spawn().expect("the program runs");
        let stdout = child.stdout.take().expect("the output is piped");
        Self {
            child,
            lines: Some(BufReader::new(stdout)),
            read: String::new(),
        }
    }

    /// Reads on until a line says `what`.
    pub fn await_line(&mut self, what: &str) {
        let before = self.read.len();
        let lines = self.lines.as_mut().expect("it is still read");
        while !self.read[before..].contains(what) {
            let read = lines.read_line(&mut self.read);
            assert_ne!(read.expect("output is UTF-8"), 0, "ended before {what}");
        }
    }

    /// The line that was read last.
    pub fn last_line(&self) -> &str {
        self.read.lines().last().unwrap_or_default()
    }

    /// Leaves the output unread from here on, with its pipe closed.
    ///
    /// # Panics
    /// Nothing of it is left to read.
    pub fn stop_reading(&mut self) {
        drop(self.lines.take().expect("it is still read"));
    }

    /// The names of its threads.
    ///
    /// # Panics
    /// It has ended.
    pub fn threads(&self) -> Vec<String> {
        threads_of(&self.child.id().to_string())
    }

    /// The number of its process.
    pub fn pid(&self) -> u32 {
        self.child.id()
    }

    /// Sends a signal.
    pub fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).expect("the program still runs");
    }

    /// Waits for the end: exit status, standard output, standard error.
    pub fn end(mut self) -> (Option<i32>, String, String) {
        let mut read = std::mem::take(&mut self.read);
        if let Some(lines) = &mut self.lines {
            lines.read_to_string(&mut read).expect("output is UTF-8");
        }
        let mut stderr = String::new();
        // Nothing where the command sends them elsewhere.
        if let Some(errors) = self.child.stderr.as_mut() {
            errors.read_to_string(&mut stderr).expect("output is UTF-8");
        }
        let status = self.child.wait().expect("it can be waited for");
        (status.code(), read, stderr)
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}
