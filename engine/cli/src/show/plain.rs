//! Lines for a person, where there is no terminal to repaint: what was loaded, what is worth knowing while it goes, and a table
//! at the end.

use std::collections::HashSet;
use std::io::{self, Write};
use std::time::{Duration, SystemTime};

use plugin_engine::{Cause, Engine, PluginId, Transition};

use super::{Loaded, Show};
use crate::follow::{Follower, Next};
use crate::output;
use crate::standing::Standing;
use crate::table::{Space, table};

/// What is worth a line. Updates that start and complete are not. Of failures that repeat, the first three are told in full
/// and then the 10th, the 100th and so on: a plugin that fails once a second must not fill a disk with that.
#[derive(Default)]
struct Calm {
    /// Those whose last failure was not told.
    hushed: HashSet<PluginId>,
}

#[derive(Default)]
pub(super) struct Plain {
    /// `None` until the directory is loaded: what happens up to then is told by the outcomes.
    follower: Option<Follower>,
    calm: Calm,
    stopped: Vec<String>,
    stopping: bool,
}

impl Calm {
    fn tells(&mut self, entry: &Transition) -> bool {
        let Some(error) = &entry.error else {
            // What makes good for a failure that was not told is not told either.
            let mends_hushed = entry.cause == Cause::CreatedAnew && self.hushed.contains(&entry.id);
            return !(mends_hushed || entry.is_routine());
        };
        let told = error.consecutive <= 3 || is_power_of_ten(error.consecutive);
        if told {
            self.hushed.remove(&entry.id);
        } else {
            self.hushed.insert(entry.id.clone());
        }
        told
    }
}

fn is_power_of_ten(mut number: u32) -> bool {
    while number > 1 && number.is_multiple_of(10) {
        number /= 10;
    }
    number == 1
}

fn line(entry: &Transition) -> String {
    match &entry.error {
        Some(error) if error.consecutive > 1 => {
            format!("{entry} ({} in a row)\n", error.consecutive)
        }
        _ => format!("{entry}\n"),
    }
}

fn write_out(text: &str) -> io::Result<()> {
    let mut stdout = io::stdout().lock();
    stdout.write_all(text.as_bytes())?;
    stdout.flush()
}

impl Plain {
    fn write_new(&mut self, engine: &Engine) -> io::Result<()> {
        let Some(follower) = &mut self.follower else {
            return Ok(());
        };
        let mut text = String::new();
        for next in follower.read(engine) {
            match next {
                // That every plugin is unloaded at the end is no news.
                Next::Entry(entry) if self.stopping && entry.cause == Cause::ShutDown => {}
                Next::Entry(entry) if self.calm.tells(&entry) => text.push_str(&line(&entry)),
                // Among those that are not there only updates of plugins that work can be many.
                Next::Entry(_) | Next::Lost { .. } => {}
            }
        }
        if text.is_empty() {
            return stdout_is_read();
        }
        write_out(&text)
    }
}

/// An error if the standard output is a pipe that nobody reads any more. Where nothing happens nothing is written, so that
/// would not be noticed otherwise.
fn stdout_is_read() -> io::Result<()> {
    if output::is_closed() {
        return Err(io::ErrorKind::BrokenPipe.into());
    }
    Ok(())
}

impl Show for Plain {
    fn period(&self) -> Duration {
        Duration::from_millis(100)
    }

    fn tick(&mut self, engine: &Engine) -> io::Result<()> {
        self.write_new(engine)
    }

    fn loaded(&mut self, loaded: Loaded) -> io::Result<()> {
        self.follower = Some(Follower::after(loaded.seq));
        write_out(&loaded.good.concat())
    }

    fn changed(&mut self, line: String) -> io::Result<()> {
        write_out(&line)
    }

    fn stopping(&mut self, plugins: Vec<Standing>) -> io::Result<()> {
        let now = SystemTime::now().into();
        let plugins: Vec<_> = plugins.iter().map(Standing::for_table).collect();
        self.stopped = table(&plugins, now, Space::UNLIMITED)
            .iter()
            .map(|line| format!("{}\n", line.text(false).trim_end()))
            .collect();
        self.stopping = true;
        Ok(())
    }

    fn finish(&mut self, engine: &Engine) -> io::Result<()> {
        self.write_new(engine)?;
        write_out(&self.stopped.concat())
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use plugin_engine::{Fault, FaultKind, PluginState, WallTime};

    use super::*;

    fn entry(cause: Cause, consecutive: Option<u32>) -> Transition {
        let error = consecutive.map(|consecutive| {
            Arc::new(Fault {
                kind: FaultKind::Panic,
                message: "at the disco".into(),
                type_name: "".into(),
                at: WallTime::default(),
                call: None,
                recoverable: true,
                consecutive,
                location: "".into(),
                backtrace: "".into(),
            })
        });
        Transition {
            seq: 1,
            at: WallTime::default(),
            id: PluginId::new("panics").unwrap(),
            generation: 1,
            version: None,
            from: PluginState::Running,
            to: PluginState::Enabled,
            cause,
            error,
            duration: None,
        }
    }

    #[test]
    fn failures_that_repeat_become_rare() {
        let mut calm = Calm::default();
        let told: Vec<u32> = (1..=1_000)
            .filter(|&n| calm.tells(&entry(Cause::UpdatePanicked, Some(n))))
            .collect();
        assert_eq!(told, [1, 2, 3, 10, 100, 1_000]);
    }

    #[test]
    fn what_mends_a_failure_is_told_if_the_failure_was() {
        let mut calm = Calm::default();
        assert!(calm.tells(&entry(Cause::UpdatePanicked, Some(3))));
        assert!(calm.tells(&entry(Cause::CreatedAnew, None)));
        assert!(!calm.tells(&entry(Cause::UpdatePanicked, Some(4))));
        assert!(!calm.tells(&entry(Cause::CreatedAnew, None)));
        assert!(!calm.tells(&entry(Cause::UpdateCompleted, None)));
        assert!(calm.tells(&entry(Cause::SwitchedOff, None)));
    }

    #[test]
    fn a_line_says_how_often_in_a_row() {
        let line = line(&entry(Cause::UpdatePanicked, Some(10)));
        assert!(
            line.ends_with("panic: at the disco (10 in a row)\n"),
            "{line}"
        );
    }
}
