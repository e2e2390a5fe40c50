//! The plugins and what they are entered into: all that those who call plugins have to know of an engine.

use std::sync::Arc;

use plugin_engine_core::{Event, FaultReport, PluginId, Requirement, Standing, Unmet};

use crate::crashes::Crashes;
use crate::host::{HostOf, Listener};
use crate::ledger::Ledger;
use crate::registry::Registry;
use crate::threading::atomic::AtomicBool;
use crate::topics::TopicName;

/// The plugins of an engine, and the ledger.
pub(crate) struct Board {
    pub(crate) ledger: Ledger,
    pub(crate) registry: Registry,
    /// Who calls which plugin, for whoever comes after a crash.
    pub(crate) crashes: Arc<Crashes>,
    /// Set once, by shutdown: no new call starts.
    pub(crate) stopping: AtomicBool,
    /// Whether panics are recorded with a backtrace.
    pub(crate) backtraces: bool,
}

impl Board {
    /// The first of these requirements that is not met now. Takes no lock, unless writers come in between again and again; so it is
    /// not to be asked under the lock of a cell.
    pub(crate) fn first_unmet(&self, requires: &[Requirement]) -> Option<Unmet> {
        let unmet = requires.iter().find_map(|required| {
            let cell = self.registry.find(required.id().as_str());
            let snapshot = cell.map(|cell| cell.snapshot(&self.ledger.time));
            let standing = snapshot.as_ref().map(|snapshot| Standing {
                state: snapshot.state,
                version: snapshot.version(),
            });
            required.check(standing).err()
        });
        #[cfg(feature = "simulation")]
        let unmet = crate::simulation::tampered_unmet(unmet);
        unmet
    }

    fn record_thread_panic(&self, index: u32, report: &FaultReport) {
        let Some(cell) = self.registry.at(index) else {
            return;
        };
        cell.record(&self.ledger, Event::ThreadPanicked(report.clone()));
    }
}

impl Listener for Board {
    fn publish(&self, id: &PluginId, name: &TopicName<'_>, payload: &str) {
        if self.ledger.events.is_heard() {
            let at = self.ledger.time.wall_at(self.ledger.time.now());
            self.ledger.events.publish(at, id, name, payload);
        }
    }

    fn thread_panicked(&self, of: &HostOf, report: &FaultReport) {
        match of {
            HostOf::Plugin(index) => self.record_thread_panic(*index, report),
            // A thread knows which file it runs code of, not which plugin: every plugin of that file is told.
            HostOf::File(fingerprint) => {
                let of_file: Vec<u32> = self
                    .registry
                    .all()
                    .filter(|cell| {
                        let guarded = cell.lock();
                        let loaded = guarded.loaded.as_ref();
                        loaded.is_some_and(|loaded| loaded.library.fingerprint == **fingerprint)
                    })
                    .map(|cell| cell.index)
                    .collect();
                for index in of_file {
                    self.record_thread_panic(index, report);
                }
            }
        }
    }

    fn wants_backtraces(&self) -> bool {
        self.backtraces
    }
}
