//! What a plugin is run with: schedule, limits, settings and the host that its instances speak to.

use std::sync::Arc;
use std::time::Duration;

use plugin_engine_core::{CallLimits, Schedule};

use crate::cell::{Cell, Loaded};
use crate::config::{PluginConfig, Preparation};
use crate::discover::Candidate;
use crate::host::{HostContext, HostOf};
use crate::library::LoadedLibrary;
use crate::shared::Shared;

/// What a plugin is run with.
pub(crate) struct Setup {
    pub(crate) schedule: Schedule,
    pub(crate) limits: CallLimits,
    pub(crate) loaded: Loaded,
}

impl Setup {
    /// What a configuration makes of a plugin of this library.
    pub(crate) fn new(
        engine: &Shared,
        cell: &Cell,
        candidate: &Candidate,
        config: &PluginConfig,
        library: &Arc<LoadedLibrary>,
    ) -> Self {
        let preparation =
            Preparation::new(config, library.schema.as_ref(), &candidate.config_path());
        // What is the same each time is made once. Settings that are not good fail in the create, as any others do.
        let constant = preparation
            .is_constant()
            .then(|| preparation.prepare().ok())
            .flatten();
        let settings = constant.as_ref().map_or("{}", |resolved| &resolved.json);
        let host = HostContext::new(
            engine.listener(),
            engine.board.ledger.time.clock(),
            HostOf::Plugin(cell.index),
            cell.id.clone(),
            settings,
            Arc::clone(&library.secrets),
            Arc::clone(&cell.progress),
        );
        let crashes = &engine.board.crashes;
        host.record_as(crashes.enter(&cell.id, &candidate.path, &library.fingerprint));
        let (schedule, limits) = times(engine, cell, config, library);
        Self {
            schedule,
            limits,
            loaded: Loaded {
                library: Arc::clone(library),
                host,
                preparation: constant.is_none().then(|| Arc::new(preparation)),
            },
        }
    }
}

/// When a plugin is called, and how long each call may take.
pub(crate) fn times(
    engine: &Shared,
    cell: &Cell,
    config: &PluginConfig,
    library: &LoadedLibrary,
) -> (Schedule, CallLimits) {
    let manifest = &library.manifest;
    let interval = config.interval(manifest).value;
    let schedule = Schedule::new(interval, config.phase(&cell.id, manifest));
    (schedule, limits(engine, config.timeout(manifest).value))
}

pub(super) fn limits(engine: &Shared, update: Duration) -> CallLimits {
    CallLimits {
        create: engine.options.create_timeout,
        update,
        display: engine.options.display_timeout,
        destroy: engine.options.destroy_timeout,
        state: engine.options.state_timeout,
    }
}
