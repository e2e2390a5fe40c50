//! The thread that looks: whenever something was noticed, when a change is about to count, and every few seconds in any case.

use std::panic::{AssertUnwindSafe, catch_unwind};
use std::path::Path;
use std::sync::{Arc, Weak};
use std::time::{Duration, Instant};

use plugin_engine_core::Moment;

use super::detector::Detector;
use super::notices::{NotNoticed, Notices};
use super::signal::Signal;
use crate::code::Code;
use crate::discover::DiscoverError;
use crate::error::Error;
use crate::plugins::{LoadOutcome, look};
use crate::shared::{Shared, WatchTimes};
use crate::supervisor::{IfTaken, TaskContext, TaskHandle};
use crate::sync::{self, Again};
use crate::waiting;

const NAME: &str = "plugin-watch";
/// The shortest time between two looks, whatever is noticed.
const SPACING_MIN: Duration = Duration::from_millis(2);
/// The longest time for which a look may wait because there was one just before.
const SPACING_MAX: Duration = Duration::from_millis(50);

/// Starts the thread. It ends when the signal does, or the engine.
pub(super) fn start(
    engine: &Arc<Shared>,
    signal: &Arc<Signal>,
    told: Box<dyn FnMut(LoadOutcome) + Send>,
) -> Result<TaskHandle, Error> {
    let mut watcher = Watcher {
        engine: Arc::downgrade(engine),
        signal: Arc::clone(signal),
        times: engine.options.watch,
        detector: Detector::new(engine.options.watch.settle, engine.options.watch.grace),
        began: waiting::now(),
        told,
        is_gone: false,
        was_told_of_notices: false,
    };
    let weak = Arc::downgrade(signal);
    let wake = move || {
        if let Some(signal) = weak.upgrade() {
            signal.stir();
        }
    };
    let entry = engine.supervisor.enter(NAME, IfTaken::IsNumbered, wake)?;
    let handle = entry.handle();
    entry.spawn(NAME, move |context| watcher.run(context))?;
    Ok(handle)
}

struct Watcher {
    /// Held only while something is done, so that a watch does not keep an engine alive.
    engine: Weak<Shared>,
    signal: Arc<Signal>,
    times: WatchTimes,
    detector: Detector,
    began: Instant,
    told: Box<dyn FnMut(LoadOutcome) + Send>,
    /// Whether the directory was gone at the last look, and that was told.
    is_gone: bool,
    was_told_of_notices: bool,
}

/// What a round came to.
enum Round {
    /// Something was done, which may have taken long.
    Done,
    Quiet,
    Ended,
}

impl Watcher {
    fn run(&mut self, context: &TaskContext) {
        // After a panic, whatever had not counted is waited for anew.
        self.detector = Detector::new(self.times.settle, self.times.grace);
        let spacing = (self.times.settle / 4).clamp(SPACING_MIN, SPACING_MAX);
        let (mut notices, begun) = Notices::new(&self.signal);
        self.tell_of_notices(begun);
        while !self.signal.is_ended() {
            let limit = match context.round(|| self.round(&mut notices, context)) {
                Round::Ended => break,
                Round::Done => Duration::ZERO,
                Round::Quiet => self.until_next(),
            };
            self.signal.wait(spacing, limit, || {
                context.record_progress();
                context.beat()
            });
        }
    }

    fn round(&mut self, notices: &mut Notices, context: &TaskContext) -> Round {
        let Some(engine) = self.engine.upgrade() else {
            return Round::Ended;
        };
        let Some(places) = look::places(&engine) else {
            return Round::Ended;
        };
        let aimed = notices.aim(&places);
        self.tell_of_notices(aimed);
        let seen = match look::look_again(&engine) {
            Ok(Some(seen)) => seen,
            Ok(None) => return Round::Ended,
            Err(error) => {
                self.lose_sight(&error);
                return Round::Quiet;
            }
        };
        self.find_again(&places.directory);
        let now = self.now();
        let known = &engine.known_files;
        let settled = known.compare(|known| self.detector.observe(now, known, &seen));
        let is_quiet = settled.is_empty();
        let told = &mut self.told;
        // A panic of who is told must not lose what else there is to be done.
        let mut tell = |outcome| {
            if catch_unwind(AssertUnwindSafe(|| told(outcome))).is_err() {
                tracing::error!(target: "plugin_engine", "a panic came up in who is told of changes; the watch goes on");
            }
        };
        // Loads and reloads take as long as constructors and calls of plugins do, each of which has a deadline.
        let _zone = context.protect();
        match sync::apply(&engine, &seen, settled, Again::Hindered, &mut tell) {
            Ok(()) if is_quiet => Round::Quiet,
            Ok(()) => Round::Done,
            Err(_) => Round::Ended,
        }
    }

    fn now(&self) -> Moment {
        let passed = waiting::now().saturating_duration_since(self.began);
        Moment::ZERO.saturating_add(passed)
    }

    /// How long nothing has to be looked at, unless something is noticed.
    fn until_next(&self) -> Duration {
        let next = self.detector.next();
        let next = next.map(|next| next.saturating_since(self.now()));
        next.map_or(self.times.rescan, |next| next.min(self.times.rescan))
    }

    fn lose_sight(&mut self, error: &DiscoverError) {
        self.detector.lose_sight();
        if !self.is_gone {
            self.is_gone = true;
            let DiscoverError { path, source } = error;
            tracing::warn!(target: "plugin_engine", "{}: the plugin directory is gone; what is loaded goes on, and nothing changes until it is back: {source} [{}]", path.display(), Code::DIRECTORY_GONE);
        }
    }

    fn find_again(&mut self, directory: &Path) {
        if std::mem::take(&mut self.is_gone) {
            tracing::warn!(target: "plugin_engine", "{}: the plugin directory is back", directory.display());
        }
    }

    /// Tells once that the system does not report changes; looks go on.
    fn tell_of_notices(&mut self, begun: Result<(), NotNoticed>) {
        let Err(error) = begun else { return };
        if !self.was_told_of_notices {
            self.was_told_of_notices = true;
            let every = humantime::format_duration(self.times.rescan);
            let at = error.paths.first();
            let at = at.map_or(String::new(), |path| format!("{}: ", path.display()));
            tracing::warn!(target: "plugin_engine", "{at}the system does not report changes here; it is looked at every {every} instead: {error} [{}]", Code::NOT_NOTIFIED);
        }
    }
}
