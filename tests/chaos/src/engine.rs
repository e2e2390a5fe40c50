//! The process under test: started, signalled, waited for, and what the system says of it.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader};
use std::os::unix::process::ExitStatusExt;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::Arc;
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::Value;

use crate::ask::Way;
use crate::journal::Journal;
use crate::site::Site;

/// How long a start may take until it is answered for.
const START_PATIENCE: Duration = Duration::from_secs(60);

/// A process of the engine.
pub(crate) struct Engine {
    /// The how manieth it is, from 1.
    pub(crate) run: u32,
    pub(crate) begun: Instant,
    child: Child,
}

/// What became of a start.
pub(crate) enum Begun {
    Answers(Engine),
    /// It has ended before anybody was answered.
    Ended(ExitStatus),
    /// It neither ended nor answered.
    Silent(Engine),
}

impl Engine {
    /// Starts one and waits until it answers.
    pub(crate) fn start(site: &Site, run: u32, journal: &Arc<Journal>) -> io::Result<Begun> {
        let mut child = Command::new(site.program())
            .args(["run", "--json", "--http", "127.0.0.1:0"])
            .arg("--plugins")
            .arg(site.plugins())
            .arg("--config")
            .arg(site.config())
            .arg("--state")
            .arg(site.state())
            .env("RUST_LOG", "warn")
            .env_remove("RUST_BACKTRACE")
            .env_remove("NOTIFY_SOCKET")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .stderr(File::create(site.said(run))?)
            .spawn()?;
        if let Some(stdout) = child.stdout.take() {
            let journal = Arc::clone(journal);
            thread::spawn(move || read_lines(BufReader::new(stdout), &journal));
        }
        let mut engine = Self {
            run,
            begun: Instant::now(),
            child,
        };
        let way = Way::socket(&site.state());
        while engine.begun.elapsed() < START_PATIENCE {
            if let Some(status) = engine.ended()? {
                return Ok(Begun::Ended(status));
            }
            let answer = way.ask("GET", "/engine", Duration::from_secs(5));
            // One that was killed has left its socket behind, and nobody is there.
            if answer
                .is_ok_and(|reply| reply.json().is_some_and(|json| json["pid"] == engine.pid()))
            {
                return Ok(Begun::Answers(engine));
            }
            thread::sleep(Duration::from_millis(10));
        }
        Ok(Begun::Silent(engine))
    }

    pub(crate) fn pid(&self) -> u32 {
        self.child.id()
    }

    pub(crate) fn ended(&mut self) -> io::Result<Option<ExitStatus>> {
        self.child.try_wait()
    }

    pub(crate) fn signal(&self, signal: Signal) {
        // It may have ended by itself just now, which is seen elsewhere.
        let _ = kill_process(Pid::from_child(&self.child), signal);
    }

    /// Waits for its end, for at most so long.
    pub(crate) fn wait(&mut self, patience: Duration) -> io::Result<Option<ExitStatus>> {
        let begin = Instant::now();
        loop {
            let status = self.ended()?;
            if status.is_some() || begin.elapsed() > patience {
                return Ok(status);
            }
            thread::sleep(Duration::from_millis(5));
        }
    }
}

impl Drop for Engine {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// How a process ended, in words.
pub(crate) fn end_in_words(status: ExitStatus) -> String {
    match (status.code(), status.signal()) {
        (Some(code), _) => format!("exit status {code}"),
        (None, Some(signal)) => format!("signal {signal}"),
        (None, None) => status.to_string(),
    }
}

/// Where HTTP is served, as the process has said.
pub(crate) fn http_way(site: &Site, run: u32) -> Option<Way> {
    let said = fs::read_to_string(site.said(run)).ok()?;
    let after = said.split("http://").nth(1)?;
    let addr = after.split(';').next()?.parse().ok()?;
    let token = fs::read_to_string(site.state().join("token")).ok();
    Some(Way::Http(addr, token.map(|token| token.trim().to_owned())))
}

/// Reads what `run --json` prints: transitions come in the order of their numbers, and where one is missing that is said.
fn read_lines(lines: impl BufRead, journal: &Journal) {
    let mut order = PrintedOrder::default();
    for line in lines.lines() {
        let Ok(line) = line else { return };
        match serde_json::from_str::<Value>(&line) {
            Ok(object) => {
                if let Some(problem) = order.take(&object) {
                    journal.found("printed", problem);
                }
            }
            // A process that is killed stops in the middle of a line.
            Err(error) if error.is_eof() => {}
            Err(error) => journal.found("printed", format!("a line is no JSON ({error}): {line}")),
        }
    }
    journal.count("transitions printed", order.count);
}

/// What holds of the objects on standard output.
#[derive(Default)]
struct PrintedOrder {
    last: Option<u64>,
    has_lost: bool,
    count: u64,
}

impl PrintedOrder {
    fn take(&mut self, object: &Value) -> Option<String> {
        if object.get("lost").is_some() {
            self.has_lost = true;
            return None;
        }
        let seq = object["seq"].as_u64()?;
        self.count += 1;
        let before = self.last.replace(seq);
        let has_lost = std::mem::take(&mut self.has_lost);
        match before {
            Some(before) if seq <= before => Some(format!("{seq} is printed after {before}")),
            Some(before) if seq != before + 1 && !has_lost => Some(format!(
                "{seq} is printed after {before}, and nothing says what is missing"
            )),
            _ => None,
        }
    }
}

/// What the system says of a process.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Footprint {
    pub(crate) threads: usize,
    /// Threads of the engine that call plugins.
    pub(crate) calling_threads: usize,
    pub(crate) descriptors: usize,
    pub(crate) mappings: usize,
    pub(crate) resident_mib: u64,
}

/// The footprint of a process, if it is still there.
pub(crate) fn footprint(pid: u32) -> Option<Footprint> {
    let (mut threads, mut calling_threads) = (0, 0);
    for thread in fs::read_dir(format!("/proc/{pid}/task")).ok()?.flatten() {
        threads += 1;
        let name = fs::read_to_string(thread.path().join("comm")).unwrap_or_default();
        let is_calling = ["plugin-worker", "plugin-aside"].contains(&name.trim_end());
        calling_threads += usize::from(is_calling);
    }
    let maps = fs::read_to_string(format!("/proc/{pid}/maps")).ok()?;
    let status = fs::read_to_string(format!("/proc/{pid}/status")).ok()?;
    let resident = status
        .lines()
        .find_map(|line| line.strip_prefix("VmRSS:"))?;
    let resident: u64 = resident.split_whitespace().next()?.parse().ok()?;
    Some(Footprint {
        threads,
        calling_threads,
        descriptors: fs::read_dir(format!("/proc/{pid}/fd")).ok()?.count(),
        mappings: maps.lines().count(),
        resident_mib: resident / 1_024,
    })
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn a_number_that_is_printed_twice_or_left_out_is_found_and_one_that_is_said_to_be_lost_is_not()
    {
        let problems = |objects: &[Value]| {
            let mut order = PrintedOrder::default();
            objects.iter().filter_map(|one| order.take(one)).count()
        };
        let seq = |seq: u64| json!({ "seq": seq });
        assert_eq!(
            problems(&[seq(3), seq(4), json!({"lost": 2, "after": 4}), seq(7)]),
            0
        );
        assert_eq!(problems(&[seq(3), seq(3)]), 1);
        assert_eq!(problems(&[seq(3), seq(5)]), 1);
        assert_eq!(problems(&[seq(5), seq(4)]), 1);
    }

    #[test]
    fn the_footprint_of_this_process_is_seen() {
        let seen = footprint(std::process::id()).unwrap();
        assert!(
            seen.threads > 0 && seen.descriptors > 0 && seen.mappings > 5 && seen.resident_mib > 0
        );
        assert_eq!(footprint(u32::MAX), None);
    }
}
