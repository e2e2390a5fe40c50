//! `plugin-engine run`: loads a directory and runs update cycles until told to stop.
//!
//! Six threads besides the engine's own: this one decides, one loads, one runs the cycles, one shows, one takes signals, one reads
//! everything again when told to. Each tells this one what has happened; nothing of a plugin ever runs on any of them.

mod failure;

use std::io;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::Duration;

use clap::Args;
use plugin_engine::{
    Engine, Error, LoadOutcome, PluginState, RunLimit, WatchHandle, install_crash_marks, mark_exit,
};

use failure::Failure;

use crate::admin::{self, AdminArgs};
use crate::census::ThreadHooks;
use crate::logging::{self, LogArgs};
use crate::report::{name_found_calls, name_stuck_calls, report};
use crate::screen::Screen;
use crate::service::Service;
use crate::show::{Form, Loaded, Presenter};
use crate::signals;
use crate::standing::Standing;

/// How long plugins get to end their calls and to be destroyed.
const SHUTDOWN_BUDGET: Duration = Duration::from_secs(5);
/// How long whoever reads the output gets to take the rest of it.
const OUTPUT_BUDGET: Duration = Duration::from_secs(5);
/// How often a run of a number of cycles looks whether any plugin can become due again.
const LOOK_EVERY: Duration = Duration::from_millis(250);

#[derive(Debug, Args)]
#[command(after_help = "\
Examples:
  plugin-engine run --plugins plugins.d
  plugin-engine run --plugins plugins.d --for 20s
  plugin-engine run --plugins plugins.d --state state
  plugin-engine run --plugins plugins.d --cycles 1 --json | jq .

The directory and the configuration are watched: a file that is dropped in is loaded, one
that is replaced is reloaded, and the plugins of one that is removed are unloaded. To
replace a file, copy it over (`cp`, `install`) or rename another one into its place
(`mv`): it counts once it has not changed for 200 ms, and if it is no good what runs goes
on. SIGHUP reads everything again at once, with --no-watch, too.

On a terminal a table shows how the plugins stand; elsewhere lines say what is worth
knowing, and a table comes at the end. A file that cannot be loaded is named on
standard error and keeps no other from running.

With --state DIR (or PLUGIN_ENGINE_STATE) the directory says after a crash which plugin was
being called. The next start names it; one that has crashed the engine twice
(`after_crashes`) is not loaded until its file is another one or it is reset. The engine
can be asked through it: plugin-engine status, history, why, disable, reload and more.
With --http ADDR it can be asked over HTTP, too, and shows a status page:

  plugin-engine run --plugins plugins.d --state state --http 127.0.0.1:8080

Commands over HTTP need the token in the file `token` of the state directory. On an
address that is not of this machine alone everything does, but for the page itself.

SIGINT (Ctrl-C) and SIGTERM stop the plugins, within 5 seconds; a second one does not
wait. RUST_LOG says what is logged on standard error, for example RUST_LOG=debug, and
--log-format json writes each line there as an object.

Under systemd (Type=notify-reload, or notify) it says when the directory is loaded or read
again, how the plugins stand, and, where WatchdogSec is set, that its own tasks are well.
Exit status: 0 after a run, 1 if it could not begin, 2 for a wrong command line.")]
pub(crate) struct RunArgs {
    /// The directory of the plugin files
    #[arg(long, value_name = "DIR")]
    plugins: PathBuf,

    // Not as a comment for documentation, in which brackets are links.
    #[arg(
        long,
        value_name = "FILE",
        help = "The engine's configuration file, with [[plugin]] entries"
    )]
    config: Option<PathBuf>,

    /// The directory in which is kept what outlives the process; without it nothing is written
    #[arg(long, value_name = "DIR", env = "PLUGIN_ENGINE_STATE")]
    state: Option<PathBuf>,

    #[command(flatten)]
    admin: AdminArgs,

    /// Stop after so many cycles in which a plugin was due
    #[arg(long, value_name = "N", conflicts_with = "duration", value_parser = clap::value_parser!(u64).range(1..))]
    cycles: Option<u64>,

    /// Stop after this time, counted from when the directory is loaded: 20s, 5m, 1h 30m
    #[arg(long = "for", id = "duration", value_name = "DURATION", value_parser = super::parse_duration)]
    duration: Option<Duration>,

    /// Do not watch the directory and the configuration; SIGHUP still reads them again
    #[arg(long)]
    no_watch: bool,

    /// One JSON object per transition on standard output, and one of all plugins at the end
    #[arg(long)]
    json: bool,

    #[command(flatten)]
    log: LogArgs,
}

/// What this thread waits for.
enum Event {
    /// What came of one file or plugin while the directory was loaded.
    Outcome(LoadOutcome),
    /// What came of one that changed since.
    Changed(LoadOutcome),
    /// Why everything could not be read again.
    NotReadAgain(Error),
    /// The directory is loaded; the number of the last transition by then.
    Loaded(Result<u64, Error>),
    /// The limit of the run is reached.
    RunEnded,
    /// SIGINT or SIGTERM.
    Told,
    OutputFailed(io::Error),
}

fn cannot_start(error: io::Error) -> Failure {
    format!("cannot start a thread: {error}").into()
}

/// Runs, and returns the exit status.
pub(crate) fn run(args: &RunArgs) -> i32 {
    let screen = Screen::new(args.log.log_format);
    let form = Form::choose(args.json);
    logging::start(&screen, form.default_log());
    let service = Service::of_environment();
    match serve(args, form, &screen, &service) {
        Ok(()) => 0,
        Err(Failure { text, config }) => {
            screen.close();
            if let Some(error) = config {
                screen.say_problems(&error);
            }
            screen.fail(text);
            1
        }
    }
}

fn serve(
    args: &RunArgs,
    form: Form,
    screen: &Arc<Screen>,
    service: &Service,
) -> Result<(), Failure> {
    let mut builder = Engine::builder()
        .plugin_dir(&args.plugins)
        .thread_census(ThreadHooks);
    if let Some(file) = &args.config {
        builder = builder.config_file(file);
    }
    if let Some(dir) = &args.state {
        builder = builder.state_dir(dir);
        install_crash_marks();
        plugin_engine_thread_hooks::before_exit(mark_exit);
    }
    let engine = builder.build()?;
    name_found_calls(&engine, screen);
    service.follow(&engine).map_err(cannot_start)?;
    let served = admin::serve(&engine, &args.admin, screen)?;
    let (events, inbox) = mpsc::channel();

    let told = events.clone();
    // One that waits is enough, however often somebody asks.
    let (read_again, asked) = mpsc::sync_channel(1);
    signals::listen(
        Arc::clone(screen),
        move || {
            let _ = told.send(Event::Told);
        },
        move || {
            let _ = read_again.try_send(());
        },
    )
    .map_err(cannot_start)?;
    let failed = events.clone();
    let presenter = Presenter::start(form, &engine, screen, &args.plugins, move |error| {
        let _ = failed.send(Event::OutputFailed(error));
    })
    .map_err(cannot_start)?;
    let changes = Changes {
        watches: !args.no_watch,
        asked,
        service: service.clone(),
    };
    start_runner(&engine, args.limit(), changes, events).map_err(cannot_start)?;

    let mut end = wait_for_end(args, &engine, &inbox, &presenter, screen)?;
    service.is_stopping();
    presenter.stopping(Standing::of_all(&engine));
    engine.shutdown(SHUTDOWN_BUDGET)?;
    drop(served);
    let shown = presenter.finish(OUTPUT_BUDGET);
    name_stuck_calls(&engine, screen);
    while let Ok(event) = inbox.try_recv() {
        if let Event::OutputFailed(error) = event {
            end = End::OutputFailed(error);
        }
    }
    match end {
        // Nobody reads any more: that is how `| head` ends a program, and no failure.
        End::OutputFailed(error) if error.kind() != io::ErrorKind::BrokenPipe => {
            Err(format!("cannot write to standard output: {error}").into())
        }
        _ if !shown => {
            screen.say("standard output is not read; what was left to write is lost");
            // The thread that is stuck there holds what flushing would wait for.
            signal_hook::low_level::exit(1)
        }
        _ => Ok(()),
    }
}

impl RunArgs {
    fn limit(&self) -> RunLimit {
        match (self.cycles, self.duration) {
            (Some(cycles), _) => RunLimit::Cycles(cycles),
            (None, Some(duration)) => RunLimit::For(duration),
            (None, None) => RunLimit::Stopped,
        }
    }
}

/// Loads and runs on threads of their own, so that a plugin which is slow to load keeps neither a signal nor another plugin
/// waiting: cycles run while the directory is loaded. A number of cycles is counted from when it is.
fn start_runner(
    engine: &Engine,
    limit: RunLimit,
    changes: Changes,
    events: Sender<Event>,
) -> io::Result<()> {
    let engine = engine.clone();
    let meanwhile = match limit {
        RunLimit::Cycles(_) => None,
        _ => {
            let engine = engine.clone();
            let cycles = thread::Builder::new().name("cycles".to_owned());
            Some(cycles.spawn(move || engine.run())?)
        }
    };
    thread::Builder::new()
        .name("run".to_owned())
        .spawn(move || {
            let loaded = engine.load_each(|outcome| {
                let _ = events.send(Event::Outcome(outcome));
            });
            let runs = loaded.is_ok();
            let _ = events.send(Event::Loaded(loaded.map(|()| engine.last_seq())));
            if !runs {
                return;
            }
            changes.service.is_ready();
            // Not before: what is being loaded is no change.
            let _watch = changes.follow(&engine, &events);
            match limit {
                RunLimit::Cycles(_) => {
                    engine.run_until(limit);
                }
                RunLimit::For(time) => {
                    thread::sleep(time);
                    engine.stop();
                }
                _ => {}
            }
            if let Some(cycles) = meanwhile {
                let _ = cycles.join();
            }
            let _ = events.send(Event::RunEnded);
        })?;
    Ok(())
}

/// What is done about changes while the engine runs.
struct Changes {
    watches: bool,
    /// Told when everything is to be read again.
    asked: Receiver<()>,
    service: Service,
}

impl Changes {
    /// Begins to follow changes. The watch ends when what is returned is dropped.
    fn follow(self, engine: &Engine, events: &Sender<Event>) -> Option<WatchHandle> {
        let told = events.clone();
        let watch = self.watches.then(|| {
            engine.watch(move |outcome| {
                let _ = told.send(Event::Changed(outcome));
            })
        });
        let (engine, told) = (engine.clone(), events.clone());
        let (asked, service) = (self.asked, self.service);
        let reader = thread::Builder::new().name("read-again".to_owned());
        let reader = reader.spawn(move || {
            for () in asked {
                service.is_reloading();
                let synced = engine.sync(|outcome| {
                    let _ = told.send(Event::Changed(outcome));
                });
                // Also where it could not be read: what was there goes on.
                service.is_ready();
                match synced {
                    Ok(()) => {}
                    Err(Error::ShutDown) => return,
                    Err(error) => {
                        let _ = told.send(Event::NotReadAgain(error));
                    }
                }
            }
        });
        let cannot_start = |error| {
            let _ = events.send(Event::NotReadAgain(error));
        };
        if let Err(source) = reader {
            let name = "read-again";
            cannot_start(Error::Thread { name, source });
        }
        watch?.map_err(cannot_start).ok()
    }
}

enum End {
    /// It was told to, or has reached its limit.
    AsAsked,
    OutputFailed(io::Error),
}

fn wait_for_end(
    args: &RunArgs,
    engine: &Engine,
    inbox: &Receiver<Event>,
    presenter: &Presenter,
    screen: &Screen,
) -> Result<End, Failure> {
    let mut loaded = false;
    let (mut outcomes, mut good) = (0, Vec::new());
    loop {
        match inbox.recv_timeout(LOOK_EVERY) {
            Ok(Event::Outcome(outcome)) => {
                outcomes += 1;
                good.extend(report(&outcome, screen));
            }
            Ok(Event::Loaded(seq)) => {
                let seq = seq?;
                if outcomes == 0 {
                    name_empty_directory(args, screen);
                }
                let good = std::mem::take(&mut good);
                presenter.loaded(Loaded { good, seq });
                loaded = true;
            }
            Ok(Event::Changed(outcome)) => {
                if let Some(line) = report(&outcome, screen) {
                    presenter.changed(line);
                }
            }
            Ok(Event::NotReadAgain(error)) => {
                let Failure { text, .. } = Failure::from(error);
                screen.say(text);
            }
            Ok(Event::OutputFailed(error)) => return Ok(End::OutputFailed(error)),
            Ok(Event::RunEnded | Event::Told) | Err(RecvTimeoutError::Disconnected) => {
                return Ok(End::AsAsked);
            }
            Err(RecvTimeoutError::Timeout) => {
                if loaded && args.cycles.is_some() && nothing_will_be_due(engine) {
                    screen.say("stopped before the last cycle: no plugin is left that is called");
                    return Ok(End::AsAsked);
                }
            }
        }
    }
}

/// Whether cycles would be counted for ever without one coming: no plugin has a tick, and none is on its way to have one.
fn nothing_will_be_due(engine: &Engine) -> bool {
    let rests = |state| {
        matches!(
            state,
            PluginState::Unloaded | PluginState::Error | PluginState::Disabled
        )
    };
    engine.next_due().is_none() && engine.snapshots().iter().all(|one| rests(one.state))
}

fn name_empty_directory(args: &RunArgs, screen: &Screen) {
    let (dir, suffix) = (args.plugins.display(), std::env::consts::DLL_SUFFIX);
    // A number of cycles does not wait for a plugin that may never come.
    let waits = if args.no_watch || args.cycles.is_some() {
        ""
    } else {
        "; waiting for one"
    };
    screen.say(format_args!(
        "no plugin files in {dir}; a plugin file is named *{suffix}{waits}"
    ));
}

#[cfg(test)]
mod tests {
    use clap::CommandFactory;

    use super::*;
    use crate::commands::Cli;
    use crate::commands::parse_duration;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn durations_are_longer_than_zero() {
        assert_eq!(parse_duration("1m 30s"), Ok(Duration::from_secs(90)));
        assert!(parse_duration("0s").unwrap_err().contains("longer than"));
        assert!(parse_duration("20").unwrap_err().contains("20s"));
        assert!(parse_duration("-1s").is_err());
    }

    #[test]
    fn a_failure_is_one_line_that_says_what_to_do() {
        let engine = Engine::builder()
            .plugin_dir("/nonexistent/plugins")
            .build()
            .unwrap();
        let Failure { text, .. } = Failure::from(engine.try_load_all().unwrap_err());
        assert_eq!(
            text,
            "cannot read the plugin directory /nonexistent/plugins: No such file or directory (os error 2); \
             create it, or name another with --plugins [PE0408]"
        );
    }
}
