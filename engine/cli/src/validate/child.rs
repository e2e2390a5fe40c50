//! One child: started, told what to do, listened to, and ended where it does not end by itself.

use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::process::ExitStatusExt;
use std::path::Path;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::sync::{Arc, Mutex, PoisonError};
use std::thread;
use std::time::{Duration, Instant};

use super::check::{Check, Outcome};
use super::task::{Task, Told};

/// By which this program becomes a child. No command of the command line, so that no help and no completion has it.
const COMMAND: &str = "validate-part";
/// How often is looked whether a child has ended whose output somebody else still holds open.
const LOOK_EVERY: Duration = Duration::from_millis(20);
/// For how long what a child has told is waited for after its end, where a process of its own keeps the output open.
const END_GRACE: Duration = Duration::from_secs(5);
/// How much of what a child writes on standard error is kept.
const TAIL_LEN_MAX: usize = 4 * 1024;
/// How many lines of that are shown.
const LINES_SHOWN: usize = 3;
/// A longer line is no child's of ours.
const LINE_LEN_MAX: u64 = 1024 * 1024;

/// How a child came to its end.
pub(super) enum End {
    /// It has said that it is done.
    Done,
    /// It ended before that, in words.
    Crashed(String),
    /// It was ended, because it had said nothing for so long.
    Hung(Duration),
    /// It could not make its checks.
    NotRun(String),
}

/// What came of a child.
pub(super) struct Heard {
    pub(super) outcomes: Vec<Outcome>,
    /// The check that it had begun and not ended.
    pub(super) during: Option<Check>,
    pub(super) end: End,
    /// How many bytes it wrote on its standard output and error beside what it told.
    pub(super) written: u64,
}

/// Whether this process was started as a child, which is told on its standard input what to do.
pub(crate) fn is_child() -> bool {
    let mut args = std::env::args_os().skip(1);
    args.next().is_some_and(|first| first == COMMAND) && args.next().is_none()
}

/// Runs a child to its end, which comes at the latest when it has told nothing new for `patience`.
pub(super) fn run(task: &Task, work_dir: Option<&Path>, patience: Duration) -> io::Result<Heard> {
    let mut command = Command::new(std::env::current_exe()?);
    command
        .arg(COMMAND)
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped());
    if let Some(dir) = work_dir {
        command.current_dir(dir);
    }
    let mut child = Running(command.spawn()?);
    if let Some(mut input) = child.0.stdin.take() {
        let told = serde_json::to_vec(task).map_err(io::Error::other)?;
        // A child that is gone already is found to be so below.
        let _ = input.write_all(&told);
    }
    let lines = lines_of(child.0.stdout.take())?;
    let tail = Tail::of(child.0.stderr.take())?;
    let (outcomes, during, end) = listen(&mut child, &lines, &tail, patience)?;
    let written = tail.lock().len;
    Ok(Heard {
        outcomes,
        during,
        end,
        written,
    })
}

type Listened = (Vec<Outcome>, Option<Check>, End);

fn listen(
    child: &mut Running,
    lines: &Receiver<Told>,
    tail: &Tail,
    patience: Duration,
) -> io::Result<Listened> {
    let (mut outcomes, mut during) = (Vec::new(), None);
    let mut heard_at = Instant::now();
    let mut ended: Option<(ExitStatus, Instant)> = None;
    loop {
        if ended.is_none() {
            ended = child.0.try_wait()?.map(|status| (status, Instant::now()));
        }
        match lines.recv_timeout(LOOK_EVERY) {
            Ok(told) => {
                heard_at = Instant::now();
                match told {
                    Told::Begun(check) => during = Some(check),
                    Told::Ended(outcome) => {
                        during = None;
                        outcomes.push(outcome);
                    }
                    Told::NotRun(why) => return Ok((outcomes, during, End::NotRun(why))),
                    Told::Done => return Ok((outcomes, None, End::Done)),
                }
            }
            Err(RecvTimeoutError::Disconnected) if ended.is_none() => {
                let left = patience.saturating_sub(heard_at.elapsed());
                let end = match child.wait_for(left)? {
                    Some(status) => End::Crashed(in_words(status, tail)),
                    None => End::Hung(patience),
                };
                return Ok((outcomes, during, end));
            }
            Err(error) => match ended {
                // What it told before it ended may still be on its way, as long as nobody has seen the end of it.
                Some((status, at))
                    if error == RecvTimeoutError::Disconnected || at.elapsed() >= END_GRACE =>
                {
                    return Ok((outcomes, during, End::Crashed(in_words(status, tail))));
                }
                None if heard_at.elapsed() >= patience => {
                    return Ok((outcomes, during, End::Hung(patience)));
                }
                _ => {}
            },
        }
    }
}

/// A child that does not outlive this.
struct Running(Child);

impl Running {
    fn wait_for(&mut self, limit: Duration) -> io::Result<Option<ExitStatus>> {
        let until = Instant::now() + limit;
        loop {
            if let Some(status) = self.0.try_wait()? {
                return Ok(Some(status));
            }
            if Instant::now() >= until {
                return Ok(None);
            }
            thread::sleep(LOOK_EVERY);
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// What is told, as it comes. A line that is none of ours is nothing.
fn lines_of(output: Option<impl Read + Send + 'static>) -> io::Result<Receiver<Told>> {
    let (sender, receiver) = channel();
    let mut output = BufReader::new(output.ok_or_else(|| io::Error::other("it has no output"))?);
    let reader = thread::Builder::new().name("told".to_owned());
    reader.spawn(move || {
        let mut line = Vec::new();
        loop {
            line.clear();
            match (&mut output)
                .take(LINE_LEN_MAX)
                .read_until(b'\n', &mut line)
            {
                Ok(0) | Err(_) => return,
                Ok(_) => {}
            }
            if let Ok(told) = serde_json::from_slice(&line)
                && sender.send(told).is_err()
            {
                return;
            }
        }
    })?;
    Ok(receiver)
}

/// The end of what was written on standard error, and how much it was.
#[derive(Clone, Default)]
struct Tail(Arc<Mutex<Written>>);

#[derive(Default)]
struct Written {
    len: u64,
    last: Vec<u8>,
}

impl Tail {
    fn of(errors: Option<impl Read + Send + 'static>) -> io::Result<Self> {
        let tail = Self::default();
        let mut errors = errors.ok_or_else(|| io::Error::other("it has no errors"))?;
        let kept = tail.clone();
        let reader = thread::Builder::new().name("written".to_owned());
        reader.spawn(move || {
            let mut piece = [0; 4096];
            while let Ok(len @ 1..) = errors.read(&mut piece) {
                let mut written = kept.lock();
                written.len += len as u64;
                written.last.extend_from_slice(&piece[..len]);
                let over = written.last.len().saturating_sub(TAIL_LEN_MAX);
                written.last.drain(..over);
            }
        })?;
        Ok(tail)
    }

    fn lock(&self) -> std::sync::MutexGuard<'_, Written> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The last lines that say something, in one.
    fn last_lines(&self) -> Option<String> {
        let written = self.lock();
        let text = String::from_utf8_lossy(&written.last);
        let said = text.lines().map(str::trim).filter(|line| !line.is_empty());
        let mut said: Vec<_> = said.collect();
        said.drain(..said.len().saturating_sub(LINES_SHOWN));
        let said = said.join("; ");
        (!said.is_empty()).then(|| plugin_engine::bounded(&said, 300).to_owned())
    }
}

/// How a process ended that should not have.
fn in_words(status: ExitStatus, tail: &Tail) -> String {
    let how = match (status.signal(), status.code()) {
        (Some(signal), _) => format!("the process ended by {}", signal_name(signal)),
        (None, Some(code)) => format!("the process exited with the status {code}"),
        (None, None) => "the process ended".to_owned(),
    };
    // What is written right before an end may come a moment after it.
    for _ in 0..10 {
        if let Some(lines) = tail.last_lines() {
            return format!("{how}; it wrote last: {lines}");
        }
        thread::sleep(Duration::from_millis(2));
    }
    how
}

fn signal_name(signal: i32) -> String {
    use signal_hook::consts::{
        SIGABRT, SIGBUS, SIGFPE, SIGILL, SIGKILL, SIGSEGV, SIGSYS, SIGTERM, SIGTRAP,
    };
    let name = match signal {
        SIGABRT => "SIGABRT",
        SIGBUS => "SIGBUS",
        SIGFPE => "SIGFPE",
        SIGILL => "SIGILL",
        SIGKILL => "SIGKILL",
        SIGSEGV => "SIGSEGV",
        SIGSYS => "SIGSYS",
        SIGTERM => "SIGTERM",
        SIGTRAP => "SIGTRAP",
        other => return format!("signal {other}"),
    };
    name.to_owned()
}
