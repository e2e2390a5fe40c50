//! What a child does: the checks of one part, with the real engine over one plugin file. Never what follows for other parts.
//!
//! What it finds is told on a descriptor that plugins do not know; what they write on the standard output goes where errors go.

mod bench;
mod cancelling;
mod creating;
mod displaying;
mod leftovers;
mod log_count;
mod process;
mod reloading;
mod samples;
mod settings;
mod unloading;
mod updating;

use std::fs::File;
use std::io::{self, Read, Write};

use rustix::process::{Resource, Rlimit, Signal};

use super::check::{Check, Outcome};
use super::task::{Part, Task, Told};
use bench::Bench;

/// How much memory a child may have, in bytes: a plugin that wants more is to end the child, and not the machine.
const MEMORY_MAX: u64 = 4 << 30;

/// Tells the program that started this one what comes about.
struct Teller {
    out: File,
}

impl Teller {
    fn begin(&self, check: Check) {
        self.tell(&Told::Begun(check));
    }

    fn end(&self, outcome: Outcome) {
        self.tell(&Told::Ended(outcome));
    }

    fn tell(&self, told: &Told) {
        let Ok(mut line) = serde_json::to_vec(told) else {
            return;
        };
        line.push(b'\n');
        // Whoever listened has gone, and with it whoever wanted to know.
        let _ = (&self.out).write_all(&line);
    }
}

/// Does what the standard input says. Returns the exit status, which nobody looks at who was told that it is done.
pub(crate) fn run() -> i32 {
    let mut told = String::new();
    let task: Task = match io::stdin().read_to_string(&mut told).map(|_| &*told) {
        Ok(told) => match serde_json::from_str(told) {
            Ok(task) => task,
            Err(_) => {
                return crate::output::fail(
                    "this command is for `plugin-engine validate`, which says what it is to do",
                );
            }
        },
        Err(error) => return crate::output::fail(error),
    };
    match begin() {
        Ok(teller) => {
            match make(&task, &teller) {
                Ok(()) => teller.tell(&Told::Done),
                Err(why) => teller.tell(&Told::NotRun(why)),
            }
            0
        }
        Err(error) => crate::output::fail(format_args!("cannot begin: {error}")),
    }
}

/// Keeps the way on which is told to itself, and sees to it that the end of either process leaves nothing behind.
fn begin() -> io::Result<Teller> {
    let out = rustix::io::fcntl_dupfd_cloexec(io::stdout(), 3)?;
    rustix::stdio::dup2_stdout(io::stderr())?;
    rustix::process::set_parent_process_death_signal(Some(Signal::KILL))?;
    // A crash is told in words; nobody looks for its memory in the directory that this was started in.
    let limit = |most| Rlimit {
        current: Some(most),
        maximum: Some(most),
    };
    rustix::process::setrlimit(Resource::Core, limit(0))?;
    rustix::process::setrlimit(Resource::Data, limit(MEMORY_MAX))?;
    log_count::start();
    Ok(Teller { out: out.into() })
}

/// Makes the checks of the part. The error says why they could not be made.
fn make(task: &Task, teller: &Teller) -> Result<(), String> {
    let bench = Bench::new(task, teller)?;
    let made = match task.part {
        Part::Load => creating::load(&bench),
        Part::Create => creating::create(&bench),
        Part::Settings => settings::check(&bench),
        Part::Updates => updating::check(&bench),
        Part::Cancellation => cancelling::check(&bench),
        Part::Display => displaying::check(&bench),
        Part::Leftovers => leftovers::check(&bench),
        Part::Unload => unloading::check(&bench),
        Part::Reload => reloading::check(&bench),
    };
    // The process ends with this. An engine that is shut down unmaps the file, which is a check of its own.
    std::mem::forget(bench);
    made
}
