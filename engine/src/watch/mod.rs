//! Watches the plugin directory and the configuration, and brings what is loaded in line with them as they change.
//!
//! What lives here: when a change counts, and the thread that looks. What never will: what is done about a change, which is the same
//! whoever noticed it.

mod detector;
#[cfg(not(feature = "simulation"))]
mod notices;
mod signal;
mod watcher;

use std::sync::{Arc, Weak};

use parking_lot::Mutex;

use crate::error::Error;
use crate::plugins::LoadOutcome;
use crate::shared::Shared;
#[cfg(feature = "simulation")]
use crate::simulation::directory as notices;
use crate::supervisor::TaskHandle;
pub(crate) use signal::Signal;

/// A watch. Dropping it ends it; a change that is being dealt with at that moment is dealt with to its end.
#[must_use = "dropping it ends the watch"]
pub struct WatchHandle {
    signal: Arc<Signal>,
    task: TaskHandle,
}

impl WatchHandle {
    /// Ends the watch. Does not wait for a change that is being dealt with.
    ///
    /// ```
    /// # fn main() -> Result<(), Box<dyn std::error::Error>> {
    /// # let dir = tempfile::tempdir()?;
    /// # let engine = plugin_engine::Engine::builder().plugin_dir(dir.path()).build()?;
    /// let watch = engine.watch(|outcome| println!("{outcome}"))?;
    /// watch.stop();
    /// # Ok(()) }
    /// ```
    pub fn stop(self) {}
}

impl Drop for WatchHandle {
    fn drop(&mut self) {
        self.signal.end();
        // It may wait to be started again.
        self.task.cancel();
    }
}

impl std::fmt::Debug for WatchHandle {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("WatchHandle").finish_non_exhaustive()
    }
}

/// The watches of an engine.
#[derive(Default)]
pub(crate) struct Watches {
    signals: Mutex<Vec<Weak<Signal>>>,
}

impl Watches {
    fn add(&self, signal: &Arc<Signal>) {
        let mut signals = self.signals.lock();
        signals.retain(|signal| signal.strong_count() > 0);
        signals.push(Arc::downgrade(signal));
    }

    /// Ends all of them.
    pub(crate) fn end(&self) {
        for signal in self.signals.lock().iter().filter_map(Weak::upgrade) {
            signal.end();
        }
    }
}

/// Starts to watch.
pub(crate) fn start(
    engine: &Arc<Shared>,
    told: Box<dyn FnMut(LoadOutcome) + Send>,
) -> Result<WatchHandle, Error> {
    let signal = Arc::new(Signal::default());
    engine.watches.add(&signal);
    let task = watcher::start(engine, &signal, told)?;
    Ok(WatchHandle { signal, task })
}
