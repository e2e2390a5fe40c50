//! How a run is shown while it goes, on a thread of its own: a reader that is slow holds up no plugin.

mod json_lines;
mod live;
mod plain;

use std::io;
use std::path::Path;
use std::sync::Arc;
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, Sender};
use std::thread;
use std::time::{Duration, Instant};

use plugin_engine::Engine;

use crate::screen::Screen;
use crate::standing::Standing;
use crate::terminal;

/// One way to show a run. Methods are called in the order in which they stand here, `tick` again and again.
trait Show: Send {
    /// How much time lies between two ticks.
    fn period(&self) -> Duration;

    /// Says what has happened since.
    fn tick(&mut self, engine: &Engine) -> io::Result<()>;

    /// The directory has been loaded.
    fn loaded(&mut self, loaded: Loaded) -> io::Result<()>;

    /// Something was loaded, reloaded or unloaded since, as this line says.
    fn changed(&mut self, line: String) -> io::Result<()>;

    /// The engine is about to shut down; this is how the plugins stood before.
    fn stopping(&mut self, plugins: Vec<Standing>) -> io::Result<()>;

    /// The engine has shut down.
    fn finish(&mut self, engine: &Engine) -> io::Result<()>;
}

/// What came of loading the directory.
pub(crate) struct Loaded {
    /// The plugins that are good, in words.
    pub(crate) good: Vec<String>,
    /// The number of the last transition that belongs to it.
    pub(crate) seq: u64,
}

/// In which way a run is shown.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Form {
    /// A table on a terminal, repainted in place.
    Live,
    /// Lines for a person, in a file or a pipe.
    Plain,
    /// Lines for a program.
    Json,
}

impl Form {
    /// The form that suits what the standard output is.
    pub(crate) fn choose(json: bool) -> Self {
        if json {
            Self::Json
        } else if terminal::can_repaint() {
            Self::Live
        } else {
            Self::Plain
        }
    }

    /// What is logged unless `RUST_LOG` says otherwise. Transitions and calls that have not returned are shown already, so the
    /// engine's lines about them are left out where a person would read both.
    pub(crate) const fn default_log(self) -> &'static str {
        match self {
            Self::Live => "warn,plugin_engine::transitions=error,plugin_engine::shutdown=error",
            Self::Plain => {
                "info,plugin_engine=warn,plugin_engine::transitions=error,plugin_engine::shutdown=error"
            }
            Self::Json => "info",
        }
    }
}

enum Message {
    Loaded(Loaded),
    Changed(String),
    Stopping(Vec<Standing>),
    Finish,
}

/// The thread that shows a run.
pub(crate) struct Presenter {
    messages: Sender<Message>,
    ended: Receiver<()>,
}

impl Presenter {
    /// Starts to show. `failed` is called when nothing more can be written.
    pub(crate) fn start(
        form: Form,
        engine: &Engine,
        screen: &Arc<Screen>,
        dir: &Path,
        failed: impl FnOnce(io::Error) + Send + 'static,
    ) -> io::Result<Self> {
        let show: Box<dyn Show> = match form {
            Form::Json => Box::new(json_lines::JsonLines::new(engine)),
            Form::Live => Box::new(live::Live::new(Arc::clone(screen), dir)),
            Form::Plain => Box::new(plain::Plain::default()),
        };
        let (messages, inbox) = mpsc::channel();
        let (end, ended) = mpsc::channel();
        let engine = engine.clone();
        thread::Builder::new()
            .name("show".to_owned())
            .spawn(move || {
                if let Err(error) = show_all(show, &engine, &inbox) {
                    failed(error);
                }
                // Whoever waits learns of the end by this being dropped, too.
                let _ = end.send(());
            })?;
        Ok(Self { messages, ended })
    }

    pub(crate) fn loaded(&self, loaded: Loaded) {
        self.send(Message::Loaded(loaded));
    }

    pub(crate) fn changed(&self, line: String) {
        self.send(Message::Changed(line));
    }

    pub(crate) fn stopping(&self, plugins: Vec<Standing>) {
        self.send(Message::Stopping(plugins));
    }

    /// Shows the end, and waits no longer than `limit` for that. Returns whether it has been shown, or never will be.
    pub(crate) fn finish(self, limit: Duration) -> bool {
        self.send(Message::Finish);
        !matches!(
            self.ended.recv_timeout(limit),
            Err(RecvTimeoutError::Timeout)
        )
    }

    fn send(&self, message: Message) {
        // A thread that has ended has said why.
        let _ = self.messages.send(message);
    }
}

fn show_all(mut show: Box<dyn Show>, engine: &Engine, inbox: &Receiver<Message>) -> io::Result<()> {
    let mut next = Instant::now() + show.period();
    loop {
        match inbox.recv_timeout(next.saturating_duration_since(Instant::now())) {
            Ok(Message::Loaded(loaded)) => show.loaded(loaded)?,
            Ok(Message::Changed(line)) => show.changed(line)?,
            Ok(Message::Stopping(plugins)) => show.stopping(plugins)?,
            Ok(Message::Finish) => return show.finish(engine),
            Err(RecvTimeoutError::Timeout) => {
                show.tick(engine)?;
                next = Instant::now() + show.period();
            }
            // Given up before anything was shown.
            Err(RecvTimeoutError::Disconnected) => return Ok(()),
        }
    }
}
